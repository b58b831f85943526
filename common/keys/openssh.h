/*
 * openssh: key files in OpenSSH's own formats. One thread; pure; bounds are checked before anything
 * is read. Private to this folder.
 */
#ifndef FLWR_KEYS_OPENSSH_H
#define FLWR_KEYS_OPENSSH_H

#include "common/base/reason.h"

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

/* Does text (terminated) hold a private key in OpenSSH's format? */
bool openssh_is_private(const char *text);

/*
 * Read it: one key, without a passphrase, whose public part is its own. 0: *out is the caller's.
 * -EBADMSG (damaged) or -ENOTSUP (another type of key, a passphrase), with the end of a sentence
 * that begins with the file's name; -ENOMEM; -EIO.
 */
int openssh_private(const char *text, EVP_PKEY **out, struct reason *why);

/* The line of a public key, as above. */
int openssh_public(const char *text, size_t len, EVP_PKEY **out, struct reason *why);

#endif
