/*
 * sha256: around OpenSSL's digests.
 */
#include "common/base/sha256.h"

#include "common/base/cleanup.h"

#include <assert.h>
#include <errno.h>
#include <openssl/evp.h>

struct sha256 {
	EVP_MD_CTX *digest;
};

struct sha256 *sha256_new(void)
{
	struct sha256 *hash = calloc(1, sizeof *hash);

	if (!hash)
		return NULL;
	hash->digest = EVP_MD_CTX_new();
	if (!hash->digest || EVP_DigestInit_ex(hash->digest, EVP_sha256(), NULL) != 1) {
		sha256_free(hash);
		return NULL;
	}
	return hash;
}

void sha256_add(struct sha256 *hash, const void *data, size_t len)
{
	int ok = EVP_DigestUpdate(hash->digest, data, len);

	assert(ok == 1);
	(void)ok;
}

void sha256_hex(struct sha256 *hash, char hex[SHA256_HEX_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char bytes[SHA256_BYTES] = {0};
	int ok = EVP_DigestFinal_ex(hash->digest, bytes, NULL);

	assert(ok == 1);
	(void)ok;
	for (size_t i = 0; i < SHA256_BYTES; i++) {
		hex[2 * i] = digits[bytes[i] >> 4];
		hex[2 * i + 1] = digits[bytes[i] & 15];
	}
	hex[2 * SHA256_BYTES] = '\0';
}

void sha256_free(struct sha256 *hash)
{
	if (!hash)
		return;
	EVP_MD_CTX_free(hash->digest);
	free(hash);
}

int sha256_slices(const struct slices *list, char hex[SHA256_HEX_BYTES])
{
	struct sha256 *hash = sha256_new();

	if (!hash)
		return -ENOMEM;
	for (size_t i = 0; i < list->n; i++)
		sha256_add(hash, list->v[i].data, list->v[i].len);
	sha256_hex(hash, hex);
	sha256_free(hash);
	return 0;
}

bool sha256_is_hex(const char *text)
{
	size_t len = 0;

	for (; len < SHA256_HEX_BYTES && text[len]; len++) {
		bool digit = text[len] >= '0' && text[len] <= '9';
		bool letter = text[len] >= 'a' && text[len] <= 'f';

		if (!digit && !letter)
			return false;
	}
	return len == SHA256_HEX_BYTES - 1;
}

static unsigned int digit(char c)
{
	return (unsigned int)(c <= '9' ? c - '0' : c - 'a' + 10);
}

int sha256_from_hex(const char *hex, unsigned char out[SHA256_BYTES])
{
	if (!sha256_is_hex(hex))
		return -EBADMSG;
	for (size_t i = 0; i < SHA256_BYTES; i++)
		out[i] = (unsigned char)(digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
	return 0;
}
