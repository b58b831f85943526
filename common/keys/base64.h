/*
 * base64: bytes in letters, as keys and signatures travel. Any thread; pure.
 */
#ifndef FLWR_KEYS_BASE64_H
#define FLWR_KEYS_BASE64_H

#include <stddef.h>

/*
 * Decode len characters of either alphabet ("+/" or "-_"); padding may be left out, line ends and
 * blanks are skipped. 0; -EBADMSG; -ENOMEM. *out is malloc()ed, never NULL; who decodes secrets
 * wipes it.
 */
int base64_decode(const char *text, size_t len, unsigned char **out, size_t *len_out);

/* The standard alphabet with padding, NUL-terminated, malloc()ed. 0; -ENOMEM. */
int base64_encode(const void *data, size_t len, char **out);

#endif
