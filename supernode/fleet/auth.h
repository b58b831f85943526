/*
 * auth: the node's key pair, and the signed timestamp that every Fleet call carries. Main thread;
 * blocks about 1 ms. Knows no transport.
 */
#ifndef FLWR_FLEET_AUTH_H
#define FLWR_FLEET_AUTH_H

#include "common/base/clock.h"

#include <stddef.h>
#include <stdint.h>

#define AUTH_SIGNATURE_MAX_BYTES 160 /* DER, up to P-521 */
#define AUTH_REUSE_MS                                                                              \
	5000 /* a signature is used again for so long (a 1.15 SuperLink takes timestamps of the    \
		last 15 s) */

struct auth;

/* A fresh SECP384R1 key pair. 0; -ENOMEM; -EIO when OpenSSL fails. */
int auth_new(struct auth **out);
void auth_free(struct auth *auth); /* wipes the private key */

/* The public key as PEM SubjectPublicKeyInfo; borrowed; NUL-terminated, *len_out without the NUL.
 */
const char *auth_public_key(const struct auth *auth, size_t *len_out);

struct auth_proof {
	char timestamp[CLOCK_ISO8601_BYTES];
	unsigned char signature[AUTH_SIGNATURE_MAX_BYTES];
	size_t signature_len;
};

/*
 * A timestamp and its signature (ECDSA with SHA-256, DER, over the timestamp's ASCII bytes): a new
 * one when the last is older than AUTH_REUSE_MS or the wall clock was set meanwhile (wall and
 * monotonic time disagree by over 1 s), else the last. Borrowed until the next call; NULL when
 * OpenSSL fails.
 */
const struct auth_proof *auth_proof(struct auth *auth, int64_t now_ms, double wall_s);

#endif
