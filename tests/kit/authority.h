/*
 * authority: certificates for tests of TLS, as PEM files in the test's folder (kit/dir.h).
 */
#ifndef FLWR_KIT_AUTHORITY_H
#define FLWR_KIT_AUTHORITY_H

#include "kit/dir.h"

#include <openssl/x509.h>

/* Who signs. */
struct kit_authority {
	EVP_PKEY *key;
	X509 *certificate;
	char *file; /* NAME.pem */
};

struct kit_authority kit_authority_make(const char *name);
void kit_authority_done(struct kit_authority *authority);

/* A key and a certificate for localhost by that: NAME.pem and NAME.key below the folder, written
 * over when they are there. days: that it is valid from now on; below 0: it has expired. */
void kit_authority_sign(const struct kit_authority *authority, const char *name, int days);

#endif
