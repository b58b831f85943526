/*
 * sha256: hashes as Flower writes them, lower-case hex. Any thread; blocks for about 0.6 ms a MiB.
 */
#ifndef FLWR_BASE_SHA256_H
#define FLWR_BASE_SHA256_H

#include "common/base/slice.h"

#include <stdbool.h>

#define SHA256_BYTES     32
#define SHA256_HEX_BYTES 65 /* 64 digits and the NUL */

struct sha256; /* a running hash */

/* NULL on no memory. */
struct sha256 *sha256_new(void);
void sha256_add(struct sha256 *hash, const void *data, size_t len);
/* The digest as hex. The hash can only be freed afterwards. */
void sha256_hex(struct sha256 *hash, char hex[SHA256_HEX_BYTES]);
void sha256_free(struct sha256 *hash);

/* The hash of all of list. 0 or -ENOMEM. */
int sha256_slices(const struct slices *list, char hex[SHA256_HEX_BYTES]);

/* 64 lower-case hex digits? */
bool sha256_is_hex(const char *text);

/* The digest that 64 such digits stand for. 0, or -EBADMSG when they are none. */
int sha256_from_hex(const char *hex, unsigned char out[SHA256_BYTES]);

#endif
