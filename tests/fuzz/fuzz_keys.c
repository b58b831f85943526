/*
 * Fuzz target: an operator's key files, private and public, and its file of certificates. A key
 * that is taken is on one of Flower's three curves; certificates are handed on as they are.
 */
#include "fuzz.h"

#include "common/keys/ec_key.h"
#include "common/keys/key_file.h"
#include "common/keys/trust.h"

#include <openssl/evp.h>

FUZZ_MEMORY(512, 32);

static void check_key(int r, const EVP_PKEY *key, const struct reason *why)
{
	CHECK(r <= 0);
	if (r) {
		CHECK(!key);
		CHECK(why->text[0]);
		return;
	}
	CHECK(key && EVP_PKEY_is_a(key, "EC"));
	CHECK(EVP_PKEY_get_bits(key) == 256 || EVP_PKEY_get_bits(key) == 384 ||
		EVP_PKEY_get_bits(key) == 521);
}

static void check_certificates(const char *path, const uint8_t *data, size_t len)
{
	auto_(free_at_exit) char *pem = NULL;
	struct reason why = {0};
	int r = trust_load(path, &pem, &why);

	CHECK(r ? r < 0 && !pem && why.text[0] : strlen(pem) == len);
	CHECK(r || memcmp(pem, data, len) == 0);
}

void fuzz(const uint8_t *data, size_t len)
{
	auto_(ec_key_free_at_exit) EVP_PKEY *private = NULL, *public = NULL;
	auto_(fuzz_file_close) struct fuzz_file file = fuzz_file_open(data, len);
	struct reason why = {0};
	int r;

	r = key_file_private(file.path, NULL, &private, &why);
	check_key(r, private, &why);
	why = (struct reason){0};
	r = key_file_public(file.path, &public, &why);
	check_key(r, public, &why);
	check_certificates(file.path, data, len);
}
