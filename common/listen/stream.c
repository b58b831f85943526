#include "common/listen/stream.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>

#define HANDSHAKE_RECORD 22 /* TLS begins with it */
/* Bytes of TLS that carry none of the peer's: at once, and for each that they carry. */
#define OVERHEAD_BYTES     (64 << 10)
#define OVERHEAD_PER_BYTE  64
#define EMPTY_BYTES        (32 << 10) /* in turn */
#define FINISH_READS       4
#define FINISH_CHUNK_BYTES 16384

void stream_init(struct stream *stream, int fd, struct tls *tls)
{
	*stream = (struct stream){.fd = fd, .tls = tls};
}

static ssize_t fail(struct stream *stream, const char *why)
{
	stream->broken = true;
	if (!stream->why)
		stream->why = why;
	ERR_clear_error();
	return STREAM_FAILED;
}

/* ---- TLS ---- */

/* The outcome of an SSL_...() that has moved nothing. */
static ssize_t ssl_outcome(struct stream *stream, int r)
{
	switch (SSL_get_error(stream->ssl, r)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return STREAM_AGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return STREAM_ENDED;
	case SSL_ERROR_SYSCALL:
		return fail(stream, NULL);
	default:
		/* The end of a connection without the end of TLS is one, too. */
		if (ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
			return fail(stream, NULL);
		return fail(stream, tls_failure());
	}
}

/* Does the peer send records that carry nothing? */
static bool is_hollow(const struct stream *stream)
{
	return BIO_number_read(SSL_get_rbio(stream->ssl)) >
	       OVERHEAD_BYTES + (OVERHEAD_PER_BYTE + 1) * stream->decrypted;
}

static ssize_t ssl_read(struct stream *stream, uint8_t *bytes, size_t n)
{
	BIO *bio;
	uint64_t first, before, now;

	if (stream->broken)
		return STREAM_FAILED;
	bio = SSL_get_rbio(stream->ssl);
	first = now = BIO_number_read(bio);
	do {
		ssize_t outcome;
		size_t got;

		before = now;
		ERR_clear_error();
		if (SSL_read_ex(stream->ssl, bytes, n, &got) == 1) {
			stream->decrypted += got;
			return (ssize_t)got;
		}
		outcome = ssl_outcome(stream, 0);
		if (outcome != STREAM_AGAIN)
			return outcome;
		now = BIO_number_read(bio);
		if (is_hollow(stream) || now - first > EMPTY_BYTES)
			return fail(stream, "sends TLS records that carry nothing: closed");
		/* After a part of a record, or one that carries nothing, there may be more. */
	} while (now > before);
	return STREAM_AGAIN;
}

static ssize_t ssl_write(struct stream *stream, const uint8_t *bytes, size_t n)
{
	size_t sent = 0, k;

	if (stream->broken)
		return STREAM_FAILED;
	while (sent < n) {
		ssize_t outcome;

		ERR_clear_error();
		if (SSL_write_ex(stream->ssl, bytes + sent, n - sent, &k) == 1) {
			sent += k;
			continue;
		}
		outcome = ssl_outcome(stream, 0);
		if (outcome != STREAM_AGAIN)
			return STREAM_FAILED;
		break;
	}
	return (ssize_t)sent;
}

/* ---- as they are ---- */

static ssize_t socket_outcome(struct stream *stream, ssize_t n)
{
	if (n >= 0)
		return n;
	return errno == EAGAIN ? STREAM_AGAIN : fail(stream, NULL);
}

static ssize_t socket_read(struct stream *stream, uint8_t *bytes, size_t n, int flags)
{
	ssize_t got;

	do
		got = recv(stream->fd, bytes, n, MSG_DONTWAIT | flags);
	while (got < 0 && errno == EINTR);
	return socket_outcome(stream, got);
}

static ssize_t socket_write(struct stream *stream, const uint8_t *bytes, size_t n)
{
	size_t sent = 0;

	while (sent < n) {
		ssize_t r = send(stream->fd, bytes + sent, n - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0 && errno == EAGAIN)
			break;
		if (r < 0)
			return STREAM_FAILED;
		sent += (size_t)r;
	}
	return (ssize_t)sent;
}

/* ---- both ---- */

/* Begin with TLS if the peer does. STREAM_AGAIN, STREAM_ENDED, STREAM_FAILED, STREAM_PLAIN, or 1.
 */
static ssize_t begin_tls(struct stream *stream, uint8_t *bytes, size_t n, size_t *plain_out)
{
	ssize_t got = socket_read(stream, bytes, n, MSG_PEEK);

	if (got <= 0)
		return got;
	if (bytes[0] != HANDSHAKE_RECORD) {
		*plain_out = (size_t)got;
		return STREAM_PLAIN;
	}
	stream->ssl = tls_accept(stream->tls, stream->fd);
	return stream->ssl ? 1 : STREAM_FAILED;
}

static ssize_t greet(struct stream *stream)
{
	ssize_t outcome;
	int r;

	ERR_clear_error();
	r = SSL_do_handshake(stream->ssl);
	outcome = r == 1 ? 1 : ssl_outcome(stream, r);
	/* Not each client says why it goes. */
	if (outcome != 1 && outcome != STREAM_AGAIN && !stream->why)
		return fail(stream,
			"ends in the TLS handshake: it may not trust the certificate of this address (--root-certificates)");
	return outcome;
}

ssize_t stream_peek(struct stream *stream, uint8_t *bytes, size_t n, size_t *plain_out)
{
	ssize_t got = 1;

	if (stream->broken)
		return STREAM_FAILED;
	if (!stream->tls)
		return socket_read(stream, bytes, n, MSG_PEEK);
	if (!stream->ssl)
		got = begin_tls(stream, bytes, n, plain_out);
	if (got == 1 && stream_is_greeting(stream))
		got = greet(stream);
	if (got != 1)
		return got;
	/* A record of TLS may have any part of them. */
	while (stream->first_n < n) {
		got = ssl_read(stream, stream->first + stream->first_n, n - stream->first_n);
		if (got <= 0)
			break;
		stream->first_n += (uint8_t)got;
	}
	if (!stream->first_n || got == STREAM_ENDED || got == STREAM_FAILED)
		return got;
	memcpy(bytes, stream->first, stream->first_n);
	return stream->first_n;
}

bool stream_is_greeting(const struct stream *stream)
{
	return stream->ssl && !SSL_is_init_finished(stream->ssl);
}

ssize_t stream_read(struct stream *stream, uint8_t *bytes, size_t n)
{
	size_t left = (size_t)(stream->first_n - stream->first_at);

	if (!stream->ssl)
		return socket_read(stream, bytes, n, 0);
	if (!left)
		return ssl_read(stream, bytes, n);
	if (left > n)
		left = n;
	memcpy(bytes, stream->first + stream->first_at, left);
	stream->first_at += (uint8_t)left;
	return (ssize_t)left;
}

ssize_t stream_write(struct stream *stream, const uint8_t *bytes, size_t n)
{
	return stream->ssl ? ssl_write(stream, bytes, n) : socket_write(stream, bytes, n);
}

/* Say the end of TLS, if its beginning was said. */
static void say_end(struct stream *stream)
{
	if (!stream->ssl || stream->broken || stream_is_greeting(stream))
		return;
	(void)SSL_shutdown(stream->ssl);
	stream->broken = true;
	ERR_clear_error();
}

void stream_finish(struct stream *stream)
{
	uint8_t bytes[FINISH_CHUNK_BYTES];

	say_end(stream);
	shutdown(stream->fd, SHUT_WR);
	/* Bytes that are unread when the socket is closed make a reset, which may overtake what was
	 * sent. */
	for (int i = 0; i < FINISH_READS; i++)
		if (socket_read(stream, bytes, sizeof bytes, 0) <= 0)
			return;
}

ssize_t stream_drop(struct stream *stream, uint8_t *bytes, size_t n)
{
	return socket_read(stream, bytes, n, 0);
}

void stream_done(struct stream *stream)
{
	say_end(stream);
	SSL_free(stream->ssl);
	stream->ssl = NULL;
	ERR_clear_error();
}
