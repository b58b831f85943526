/*
 * key_file: the key files that an operator gives: OpenSSH's formats and PEM. Main thread, at start;
 * blocks on the file system. Private to this folder.
 */
#ifndef FLWR_KEYS_KEY_FILE_H
#define FLWR_KEYS_KEY_FILE_H

#include "common/base/log.h"
#include "common/base/reason.h"

#include <openssl/types.h>

#define KEY_FILE_MAX_BYTES 65536

/*
 * A path may be "fd:N": a descriptor that was handed in, which is closed afterwards (files.h).
 *
 * Read a private key on P-256, P-384 or P-521: OpenSSH's format, or PEM (SEC1, PKCS#8), without a
 * passphrase. One warning in log when others than its owner can read the file. 0: *out is the
 * caller's. -ENOENT; another -errno of the file system, -EFBIG; -EBADMSG (damaged), -ENOTSUP
 * (another type or curve, a passphrase); each with a sentence that names the file. -ENOMEM; -EIO
 * when OpenSSL fails.
 */
int key_file_private(const char *path, struct log *log, EVP_PKEY **out, struct reason *why);

/* The same of a key that is at hand, which what calls in sentences ("authentication_key_pem"). */
int key_text_private(const char *text, const char *what, EVP_PKEY **out, struct reason *why);

/* A public key, an OpenSSH line or PEM. As above. */
int key_file_public(const char *path, EVP_PKEY **out, struct reason *why);

#endif
