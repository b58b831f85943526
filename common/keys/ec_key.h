/*
 * ec_key: keys on the NIST curves that a SuperLink takes, put together and compared. One thread;
 * knows no file format. Private to this folder.
 */
#ifndef FLWR_KEYS_EC_KEY_H
#define FLWR_KEYS_EC_KEY_H

#include "common/base/reason.h"
#include "common/keys/ssh.h"

#include <openssl/types.h>

#define EC_KEY_ADVICE "make one with: ssh-keygen -t ecdsa -b 384 -N '' -f FILE"

struct ec_curve {
	const char *group;    /* OpenSSL's name */
	const char *ssh;      /* OpenSSH's name */
	const char *ssh_type; /* of a key on it */
	size_t bytes;         /* of a coordinate and of a private number */
};

/* Find a curve by OpenSSL's name, by the type of an OpenSSH key; NULL: not one of P-256, P-384,
 * P-521. */
const struct ec_curve *ec_curve_of_group(const char *group);
const struct ec_curve *ec_curve_of_ssh(const struct ssh_bytes *type);

/*
 * A key pair of a private number (big-endian, as long as it likes, leading zeroes allowed). point:
 * the public key that came with it (SEC1, compressed or not), which must be its own; NULL: none
 * came. 0: *out is the caller's. -EBADMSG with a sentence; -ENOMEM; -EIO when OpenSSL fails.
 */
int ec_key_pair(const struct ec_curve *curve, const struct ssh_bytes *number,
	const struct ssh_bytes *point, EVP_PKEY **out, struct reason *why);

/* A public key. 0: *out is the caller's. -EBADMSG, -ENOMEM, -EIO. */
int ec_key_public(const struct ec_curve *curve, const struct ssh_bytes *point, EVP_PKEY **out);

/* auto_() */
void ec_key_free_at_exit(EVP_PKEY **key);

#endif
