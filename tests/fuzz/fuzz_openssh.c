/*
 * Fuzz target: OpenSSH's private and public keys, as a file has them, and the private ones also by
 * their bytes, which few changed letters of a file would reach.
 */
#include "fuzz.h"

#include "common/base/text.h"
#include "common/keys/ec_key.h"
#include "common/keys/openssh.h"

#include <openssl/evp.h>

FUZZ_MEMORY(512, 32);

static void try_private(const char *text)
{
	auto_(ec_key_free_at_exit) EVP_PKEY *key = NULL;

	CHECK((openssh_private(text, &key, NULL) == 0) == (key != NULL));
}

void fuzz(const uint8_t *data, size_t len)
{
	auto_(free_at_exit) char *text = text_dup(data, len);
	auto_(free_at_exit) unsigned char *letters = malloc(len * 2 + 8);
	auto_(ec_key_free_at_exit) EVP_PKEY *key = NULL;
	auto_(text_done) struct text file = {0};

	CHECK(text && letters);
	try_private(text);
	openssh_public(text, len, &key, NULL);
	letters[0] = '\0';
	EVP_EncodeBlock(letters, data, (int)len);
	CHECK(text_printf(&file,
		      "-----BEGIN OPENSSH PRIVATE KEY-----\n%s\n-----END OPENSSH PRIVATE "
		      "KEY-----\n",
		      (const char *)letters) == 0);
	try_private(file.data);
}
