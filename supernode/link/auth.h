/*
 * auth: the node's key pair, and the signed timestamp that every Fleet call carries. Main thread;
 * blocks about 1 ms. Knows no transport.
 */
#ifndef FLWR_LINK_AUTH_H
#define FLWR_LINK_AUTH_H

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AUTH_SIGNATURE_MAX_BYTES 160 /* DER, up to P-521 */

/*
 * For how long a signature may be used again. SuperLinks look at its age when a call arrives: 1.15
 * - 1.18 take timestamps of the last 15 s, later ones of the last 305 s (from 1.41 on when the body
 * has arrived too, so that a long upload takes a young one).
 */
#define AUTH_REUSE_ERA_A_MS 5000
#define AUTH_REUSE_MS       60000
#define AUTH_REUSE_LONG_MS  5000

struct auth;

/* A fresh key pair on P-256: Flower makes them on P-384, and takes any (1.15 - 1.42), but there
 * each signature takes OpenSSL 40 times as long, and the SuperLink 12 times. 0; -ENOMEM; -EIO when
 * OpenSSL fails. */
int auth_new(struct auth **out);

/*
 * The operator's key pair: a private key on P-256, P-384 or P-521 in OpenSSH's format or PEM (SEC1,
 * PKCS#8), without a passphrase; public_path NULL, or a file (OpenSSH or PEM) with its public key,
 * which must be the same. A private key that others can read is one warning in log (may be NULL).
 * Blocks on the file system.
 *
 * 0; -ENOENT: there is no such file, or a public key was given alone (private_path NULL); else
 * another -errno of reading a file, -EFBIG, -EBADMSG (damaged, or not its public key), -ENOTSUP
 * (another type of key or curve, a passphrase), each with a sentence that names the file and what
 * would do; -ENOMEM; -EIO when OpenSSL fails. *out is the caller's.
 */
int auth_load(const char *private_path, const char *public_path, struct log *log, struct auth **out,
	struct reason *why);

/* The same of a private key as text, which what calls in sentences. Does not block. */
int auth_load_text(
	const char *private_key, const char *what, struct auth **out, struct reason *why);

/* Flower's number for a result of auth_load(): an enum exit_code; EXIT_CODE_NONE: the key was not
 * at fault. */
int auth_exit_code(int result);

void auth_free(struct auth *auth); /* wipes the private key */

/* The public key as PEM SubjectPublicKeyInfo; borrowed; NUL-terminated, *len_out without the NUL.
 */
const char *auth_public_key(const struct auth *auth, size_t *len_out);

struct auth_proof {
	char timestamp[CLOCK_ISO8601_BYTES];
	unsigned char signature[AUTH_SIGNATURE_MAX_BYTES];
	size_t signature_len;
};

/* Sign as if the wall clock were offset_s seconds ahead of what auth_proof() is told: for tests of
 * clocks that differ. */
void auth_set_clock_offset(struct auth *auth, double offset_s);

/*
 * A timestamp and its signature (ECDSA with SHA-256, DER, over the timestamp's ASCII bytes): a new
 * one when the last is older than reuse_ms or the wall clock was set meanwhile (wall and monotonic
 * time disagree by over 1 s), else the last. Borrowed until the next call; NULL when OpenSSL fails.
 */
const struct auth_proof *auth_proof(
	struct auth *auth, int64_t now_ms, double wall_s, int64_t reuse_ms);

#endif
