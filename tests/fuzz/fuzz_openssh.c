/*
 * Fuzz target: OpenSSH's private and public keys, as a file has them, and the private ones also by
 * their bytes, which few changed letters of a file would reach.
 */
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "supernode/fleet/ec_key.h"
#include "supernode/fleet/openssh.h"

#include <openssl/evp.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void try_private(const char *text)
{
	auto_(ec_key_free_at_exit) EVP_PKEY *key = NULL;

	openssh_private(text, &key, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	auto_(free_at_exit) char *text = text_dup(data, len);
	auto_(free_at_exit) unsigned char *letters = len < 1 << 20 ? malloc(len * 2 + 8) : NULL;
	auto_(free_at_exit) char *file = NULL;
	auto_(ec_key_free_at_exit) EVP_PKEY *key = NULL;

	if (!text || !letters)
		return 0;
	try_private(text);
	openssh_public(text, len, &key, NULL);
	EVP_EncodeBlock(letters, data, (int)len);
	if (asprintf(&file,
		    "-----BEGIN OPENSSH PRIVATE KEY-----\n%s\n-----END OPENSSH PRIVATE KEY-----\n",
		    len ? (const char *)letters : "") < 0) {
		file = NULL;
		return 0;
	}
	try_private(file);
	return 0;
}
