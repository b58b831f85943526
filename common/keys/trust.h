/*
 * trust: the certificates that a TLS peer is checked against. Blocks on the file system; any
 * thread.
 */
#ifndef FLWR_KEYS_TRUST_H
#define FLWR_KEYS_TRUST_H

#include "common/base/reason.h"

/*
 * Certificates as PEM text: those of the file at path, of which at least one must be readable; for
 * NULL the system's: $SSL_CERT_FILE, else OpenSSL's own file, else where distributions keep them.
 * 0; -errno of the file, -EINVAL (no certificate in it), -ENOENT (the system has none), -EFBIG,
 * -ENOMEM, each with a sentence. *pem_out is malloc()ed.
 */
int trust_load(const char *path, char **pem_out, struct reason *why);

/* The same of certificates that are at hand as text, which what calls in sentences. 0, -EINVAL,
 * -ENOMEM. */
int trust_take(const char *pem, const char *what, char **pem_out, struct reason *why);

#endif
