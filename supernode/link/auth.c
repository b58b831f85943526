#include "supernode/link/auth.h"

#include "common/base/cleanup.h"
#include "common/base/exit_code.h"
#include "common/keys/ec_key.h"
#include "common/keys/key_file.h"

#include <errno.h>
#include <math.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <string.h>

#define AUTH_CLOCK_STEP_S 1.0

struct auth {
	EVP_PKEY *key;
	char *pem;
	size_t pem_len;
	double offset_s;
	bool proven; /* proof is filled */
	int64_t proof_ms;
	double proof_wall_s;
	struct auth_proof proof;
};

static void auth_free_at_exit(struct auth **auth)
{
	auth_free(*auth);
}

static void bio_free_at_exit(BIO **bio)
{
	BIO_free(*bio);
}

static void md_free_at_exit(EVP_MD_CTX **md)
{
	EVP_MD_CTX_free(*md);
}

static int write_public_key(struct auth *auth)
{
	auto_(bio_free_at_exit) BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	long len;

	if (!bio)
		return -ENOMEM;
	if (PEM_write_bio_PUBKEY(bio, auth->key) != 1)
		return -EIO;
	len = BIO_get_mem_data(bio, &text);
	if (len <= 0 || !text)
		return -EIO;
	auth->pem = malloc((size_t)len + 1);
	if (!auth->pem)
		return -ENOMEM;
	memcpy(auth->pem, text, (size_t)len);
	auth->pem[len] = '\0';
	auth->pem_len = (size_t)len;
	return 0;
}

int auth_new(struct auth **out)
{
	auto_(auth_free_at_exit) struct auth *auth = calloc(1, sizeof *auth);
	int r;

	if (!auth)
		return -ENOMEM;
	auth->key = EVP_EC_gen("P-256");
	r = auth->key ? write_public_key(auth) : -EIO;
	/* The queue belongs to the whole thread: what is ours must not be read as somebody else's.
	 */
	ERR_clear_error();
	if (r)
		return r;
	*out = take_pointer(&auth);
	return 0;
}

int auth_load(const char *private_path, const char *public_path, struct log *log, struct auth **out,
	struct reason *why)
{
	auto_(auth_free_at_exit) struct auth *auth = NULL;
	auto_(ec_key_free_at_exit) EVP_PKEY *public = NULL;
	int r;

	if (!private_path)
		return reason_code(why, -ENOENT,
			"a public key was given without the private key that belongs to it");
	auth = calloc(1, sizeof *auth);
	if (!auth)
		return -ENOMEM;
	r = key_file_private(private_path, log, &auth->key, why);
	if (r == 0 && public_path)
		r = key_file_public(public_path, &public, why);
	if (r < 0)
		return r;
	if (public && EVP_PKEY_eq(auth->key, public) != 1)
		r = reason_code(why, -EBADMSG,
			"the public key %s does not belong to the private key %s", public_path,
			private_path);
	else
		r = write_public_key(auth);
	ERR_clear_error();
	if (r == -EIO)
		reason_set(why, "OpenSSL cannot write the public key of %s", private_path);
	if (r < 0)
		return r;
	*out = take_pointer(&auth);
	return 0;
}

int auth_load_text(const char *private_key, const char *what, struct auth **out, struct reason *why)
{
	auto_(auth_free_at_exit) struct auth *auth = calloc(1, sizeof *auth);
	int r = auth ? key_text_private(private_key, what, &auth->key, why) : -ENOMEM;

	if (r == 0)
		r = write_public_key(auth);
	ERR_clear_error();
	if (r < 0)
		return r;
	*out = take_pointer(&auth);
	return 0;
}

int auth_exit_code(int result)
{
	if (result == 0 || result == -ENOMEM)
		return EXIT_CODE_NONE;
	return result == -ENOENT ? EXIT_CODE_KEYS_MISSING : EXIT_CODE_KEY_INVALID;
}

void auth_free(struct auth *auth)
{
	if (!auth)
		return;
	EVP_PKEY_free(auth->key); /* clears the private number before it frees it */
	free(auth->pem);
	free(auth);
}

const char *auth_public_key(const struct auth *auth, size_t *len_out)
{
	*len_out = auth->pem_len;
	return auth->pem;
}

static int sign(EVP_PKEY *key, const char *text, unsigned char *out, size_t *len)
{
	auto_(md_free_at_exit) EVP_MD_CTX *md = EVP_MD_CTX_new();

	if (!md)
		return -ENOMEM;
	if (EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, key) != 1)
		return -EIO;
	if (EVP_DigestSign(md, out, len, (const unsigned char *)text, strlen(text)) != 1)
		return -EIO;
	return 0;
}

void auth_set_clock_offset(struct auth *auth, double offset_s)
{
	auth->offset_s = offset_s;
	auth->proven = false;
}

static bool proof_is_good(const struct auth *auth, int64_t now_ms, double wall_s, int64_t reuse_ms)
{
	int64_t age_ms = now_ms - auth->proof_ms;
	double wall_age_s = wall_s - auth->proof_wall_s;

	if (!auth->proven || age_ms < 0 || age_ms > reuse_ms)
		return false;
	return fabs(wall_age_s - (double)age_ms / 1000.0) <= AUTH_CLOCK_STEP_S;
}

const struct auth_proof *auth_proof(
	struct auth *auth, int64_t now_ms, double wall_s, int64_t reuse_ms)
{
	size_t len = sizeof auth->proof.signature;
	int r;

	if (proof_is_good(auth, now_ms, wall_s, reuse_ms))
		return &auth->proof;
	auth->proven = false;
	clock_iso8601(wall_s + auth->offset_s, auth->proof.timestamp);
	r = sign(auth->key, auth->proof.timestamp, auth->proof.signature, &len);
	ERR_clear_error();
	if (r)
		return NULL;
	auth->proof.signature_len = len;
	auth->proof_ms = now_ms;
	auth->proof_wall_s = wall_s;
	auth->proven = true;
	return &auth->proof;
}
