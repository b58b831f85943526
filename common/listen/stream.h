/*
 * stream: the bytes of an accepted connection, as they are or by TLS. Main thread. Knows no
 * protocol above, and nobody who waits: after STREAM_AGAIN the caller tries again when the
 * descriptor is ready to be read or written.
 */
#ifndef FLWR_LISTEN_STREAM_H
#define FLWR_LISTEN_STREAM_H

#include "common/listen/tls.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define STREAM_PEEK_MAX 32 /* first bytes that can be looked at */

/* Embedded. Others read why. */
struct stream {
	int fd;          /* borrowed, non-blocking */
	struct tls *tls; /* borrowed; NULL: the bytes are as they are */
	SSL *ssl;        /* once the peer has begun with TLS */
	const char *why; /* what was wrong with its TLS, static; NULL: nothing was */
	uint64_t decrypted;
	uint8_t first[STREAM_PEEK_MAX]; /* bytes that were looked at, and are to be read */
	uint8_t first_n, first_at;
	bool broken;
};

/* Outcomes beside numbers of bytes. */
enum {
	STREAM_ENDED = 0,   /* the peer has ended it */
	STREAM_AGAIN = -1,  /* nothing now */
	STREAM_FAILED = -2, /* it is broken; why may say by what */
	STREAM_PLAIN = -3,  /* stream_peek(): the peer does not begin with TLS */
};

/* fd is an accepted socket. */
void stream_init(struct stream *stream, int fd, struct tls *tls);
/* Tell the peer that nothing follows, if that can be said now. The descriptor stays open. */
void stream_done(struct stream *stream);

/*
 * Look at the first bytes, up to n (at most STREAM_PEEK_MAX): all that have come; they stay to be
 * read. Of TLS the handshake comes before them. Their number; or an outcome, and with STREAM_PLAIN
 * *plain_out of the peer's own bytes are in bytes. STREAM_ENDED: the end comes behind those that
 * were looked at before.
 */
ssize_t stream_peek(struct stream *stream, uint8_t *bytes, size_t n, size_t *plain_out);
/* Is a handshake on its way? */
bool stream_is_greeting(const struct stream *stream);

/* Read up to n bytes: their number, or an outcome. */
ssize_t stream_read(struct stream *stream, uint8_t *bytes, size_t n);
/*
 * Send n bytes without blocking: so many of them have gone; STREAM_FAILED. When not all have, the
 * next call must begin with those that have not.
 */
ssize_t stream_write(struct stream *stream, const uint8_t *bytes, size_t n);
/* No more bytes follow; the peer's can still be dropped. */
void stream_finish(struct stream *stream);
/* After that: drop bytes of the peer's, of TLS undecrypted. As stream_read(). */
ssize_t stream_drop(struct stream *stream, uint8_t *bytes, size_t n);

#endif
