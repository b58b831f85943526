/*
 * ssh: the parts of OpenSSH's key files: numbers and strings one after the other in a blob, and the
 * line of a public key. Any thread; pure; knows no kind of key.
 */
#ifndef FLWR_KEYS_SSH_H
#define FLWR_KEYS_SSH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Borrowed bytes; reading takes them off the front. */
struct ssh_bytes {
	const unsigned char *data;
	size_t len;
};

/* The next number. 0, or -EBADMSG when there is not so much left. */
int ssh_number(struct ssh_bytes *from, uint32_t *out);

/* The next string, by reference. 0, or -EBADMSG when there is not so much left. */
int ssh_string(struct ssh_bytes *from, struct ssh_bytes *out);

/* Are the bytes this text? */
bool ssh_equals(const struct ssh_bytes *bytes, const char *text);

/*
 * Decode the line "type base64 comment" that text begins with; the blob must begin with the same
 * type. 0: *blob_out is malloc()ed and *type_out lies in it, *rest_out is what follows the type
 * there. -EBADMSG, -ENOMEM.
 */
int ssh_public_line(const char *text, size_t len, unsigned char **blob_out,
	struct ssh_bytes *type_out, struct ssh_bytes *rest_out);

#endif
