/*
 * launcher_auth: the secret that a SuperNode shares with its launchers, as Flower has it from 1.29
 * on: a call that asks for work carries the time, a nonce, the hash of its body, and a signature of
 * these with a key that is made of the secret. Both ends, one thread each; knows no transport.
 */
#ifndef FLWR_MESSAGE_LAUNCHER_AUTH_H
#define FLWR_MESSAGE_LAUNCHER_AUTH_H

#include "common/base/reason.h"
#include "common/base/slice.h"

#include <stdint.h>

/* The texts of a signed call, each in a header of its own. */
enum launcher_proof { PROOF_TIME, PROOF_NONCE, PROOF_BODY, PROOF_SIGNATURE, PROOF_N };

#define LAUNCHER_TIME_HEADER      "flwr-superexec-ts"
#define LAUNCHER_NONCE_HEADER     "flwr-superexec-nonce"
#define LAUNCHER_BODY_HEADER      "flwr-superexec-body-sha256"
#define LAUNCHER_SIGNATURE_HEADER "flwr-superexec-signature"

#define PROOF_TEXT_BYTES 65 /* of each at most, with the NUL */

extern const char *const launcher_headers[PROOF_N];

struct launcher_auth;

/* The secret is all bytes of the file. 0, or -errno with a sentence that names the file. */
int launcher_auth_load(const char *path, struct launcher_auth **out, struct reason *why);
/* Wipes the key. NULL is fine. */
void launcher_auth_free(struct launcher_auth *auth);

/* Sign a call of method ("/flwr.proto.Runtime/ClaimTask") at now_s, in seconds of wall time. 0 or
 * -ENOMEM. */
int launcher_auth_sign(const struct launcher_auth *auth, const char *method,
	const struct slices *body, double now_s, char out[PROOF_N][PROOF_TEXT_BYTES]);

/* Is the call signed, at this time (5 s ahead to 305 s ago), and was this signature not seen
 * before? Texts that are missing are NULL. */
bool launcher_auth_verify(struct launcher_auth *auth, const char *method, const struct slices *body,
	double now_s, const char *const texts[PROOF_N]);

#endif
