/*
 * Streams over socket pairs: at the other end plain bytes, or a client of OpenSSL.
 */
#include "common/listen/stream.h"

#include "kit/authority.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

static struct rig {
	struct kit_authority authority;
	struct tls *tls;
	struct stream stream;
	int peer, fd;
	SSL_CTX *context;
	SSL *client;
} rig;

static int setup(void **state)
{
	auto_(free_at_exit) char *certificate = NULL;
	auto_(free_at_exit) char *key = NULL;
	int ends[2];

	assert_int_equal(kit_dir_make(state), 0);
	rig.authority = kit_authority_make("authority");
	kit_authority_sign(&rig.authority, "server", 30);
	certificate = kit_dir_path("server.pem");
	key = kit_dir_path("server.key");
	assert_int_equal(tls_new(&(struct tls_files){.certificate = certificate,
					 .key = key,
					 .authorities = rig.authority.file},
				 &rig.tls, NULL),
		0);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
	rig.peer = ends[0];
	rig.fd = ends[1];
	stream_init(&rig.stream, rig.fd, rig.tls);
	rig.context = SSL_CTX_new(TLS_client_method());
	return 0;
}

static int teardown(void **state)
{
	stream_done(&rig.stream);
	SSL_free(rig.client);
	SSL_CTX_free(rig.context);
	tls_free(rig.tls);
	close(rig.peer);
	close(rig.fd);
	kit_authority_done(&rig.authority);
	memset(&rig, 0, sizeof rig);
	return kit_dir_remove(state);
}

static ssize_t peek(uint8_t *bytes, size_t n)
{
	size_t plain = 0;
	ssize_t got = stream_peek(&rig.stream, bytes, n, &plain);

	return got == STREAM_PLAIN ? -100 - (ssize_t)plain : got;
}

/* Both sides are through with the handshake. */
static void greet(void)
{
	uint8_t bytes[STREAM_PEEK_MAX];

	rig.client = SSL_new(rig.context);
	SSL_set_fd(rig.client, rig.peer);
	for (int i = 0; i < 5 && SSL_connect(rig.client) != 1; i++)
		assert_int_equal(peek(bytes, 24), STREAM_AGAIN);
	assert_int_equal(SSL_is_init_finished(rig.client), 1);
	assert_int_equal(peek(bytes, 24), STREAM_AGAIN);
	assert_false(stream_is_greeting(&rig.stream));
}

static void say(const void *bytes, size_t n)
{
	assert_int_equal(SSL_write(rig.client, bytes, (int)n), n);
}

static void plain_bytes_are_looked_at_and_read(void **state)
{
	uint8_t bytes[100];

	stream_init(&rig.stream, rig.fd, NULL);
	assert_int_equal(peek(bytes, 24), STREAM_AGAIN);
	assert_int_equal(send(rig.peer, "hello", 5, 0), 5);
	assert_int_equal(peek(bytes, 3), 3);
	assert_int_equal(peek(bytes, 24), 5);
	assert_int_equal(stream_read(&rig.stream, bytes, 2), 2);
	assert_int_equal(stream_read(&rig.stream, bytes + 2, 98), 3);
	assert_memory_equal(bytes, "hello", 5);
	assert_int_equal(stream_read(&rig.stream, bytes, 1), STREAM_AGAIN);
	assert_int_equal(stream_write(&rig.stream, (const uint8_t *)"answer", 6), 6);
	assert_int_equal(recv(rig.peer, bytes, sizeof bytes, 0), 6);
	shutdown(rig.peer, SHUT_WR);
	assert_int_equal(stream_read(&rig.stream, bytes, 1), STREAM_ENDED);
}

static void first_bytes_may_be_split_in_any_way(void **state)
{
	static const char words[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n and more";
	const size_t len = sizeof words - 1;

	for (size_t cut = 1; cut < len; cut++) {
		uint8_t bytes[100];
		size_t first = cut < 24 ? cut : 24, got = 0;

		if (cut > 1) {
			teardown(NULL);
			setup(NULL);
		}
		greet();
		say(words, cut);
		assert_int_equal(peek(bytes, 24), first);
		assert_memory_equal(bytes, words, first);
		say(words + cut, len - cut);
		assert_int_equal(peek(bytes, 24), 24);
		assert_memory_equal(bytes, words, 24);
		for (int i = 0; i < 4 && got < len; i++) {
			ssize_t n = stream_read(&rig.stream, bytes + got, i ? 90 : 7);

			assert_true(n > 0);
			got += (size_t)n;
		}
		assert_int_equal(got, len);
		assert_memory_equal(bytes, words, len);
		assert_int_equal(stream_read(&rig.stream, bytes, 1), STREAM_AGAIN);
	}
}

/* The client's bytes come one by one: records and their heads are in pieces. */
static void pieces_of_records_are_waited_for(void **state)
{
	uint8_t wire[4096], bytes[100];
	int aside[2];
	BIO *bio;
	ssize_t n;

	greet();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, aside), 0);
	bio = BIO_new_socket(aside[0], BIO_NOCLOSE);
	SSL_set0_wbio(rig.client, bio);
	say("hello", 5);
	n = recv(aside[1], wire, sizeof wire, 0);
	assert_true(n > 5);
	for (ssize_t i = 0; i < n; i++) {
		assert_int_equal(stream_read(&rig.stream, bytes, sizeof bytes), STREAM_AGAIN);
		assert_int_equal(send(rig.peer, wire + i, 1, 0), 1);
	}
	assert_int_equal(stream_read(&rig.stream, bytes, sizeof bytes), 5);
	assert_memory_equal(bytes, "hello", 5);
	close(aside[0]);
	close(aside[1]);
}

static void much_goes_both_ways(void **state)
{
	enum { BYTES = 1 << 20 };
	auto_(free_at_exit) uint8_t *sent = malloc(BYTES);
	auto_(free_at_exit) uint8_t *got = malloc(BYTES);
	size_t out = 0, in = 0;

	greet();
	for (size_t i = 0; i < BYTES; i++)
		sent[i] = (uint8_t)(i * 7 + i / 251);
	while (in < BYTES) {
		size_t chunk = BYTES - out < 65536 ? BYTES - out : 65536;
		ssize_t n = chunk ? stream_write(&rig.stream, sent + out, chunk) : 0;
		int read;

		assert_true(n >= 0);
		out += (size_t)n;
		while (in < BYTES && (read = SSL_read(rig.client, got + in, BYTES)) > 0)
			in += (size_t)read;
	}
	assert_memory_equal(sent, got, BYTES);
	SSL_set_mode(rig.client, SSL_MODE_ENABLE_PARTIAL_WRITE);
	for (out = in = 0; in < BYTES;) {
		int n = out < BYTES ? SSL_write(rig.client, sent + out, (int)(BYTES - out)) : 0;
		ssize_t read;

		if (n > 0)
			out += (size_t)n;
		while (in < BYTES && (read = stream_read(&rig.stream, got + in, BYTES - in)) > 0)
			in += (size_t)read;
	}
	assert_memory_equal(sent, got, BYTES);
}

static void the_end_is_seen_and_said(void **state)
{
	uint8_t bytes[10];

	greet();
	say("end", 3);
	SSL_shutdown(rig.client);
	assert_int_equal(stream_read(&rig.stream, bytes, sizeof bytes), 3);
	assert_int_equal(stream_read(&rig.stream, bytes, sizeof bytes), STREAM_ENDED);
	stream_finish(&rig.stream);
	assert_int_equal(SSL_read(rig.client, bytes, 1), 0);
	assert_int_equal(SSL_get_error(rig.client, 0), SSL_ERROR_ZERO_RETURN);
}

static void an_end_without_a_word_is_no_fault_of_tls(void **state)
{
	uint8_t bytes[10];

	greet();
	shutdown(rig.peer, SHUT_RDWR);
	assert_int_equal(stream_read(&rig.stream, bytes, sizeof bytes), STREAM_FAILED);
	assert_null(rig.stream.why);
}

static void a_peer_without_tls_is_told_from_others(void **state)
{
	uint8_t bytes[24];

	assert_int_equal(send(rig.peer, "PRI * HTTP", 10, 0), 10);
	assert_int_equal(peek(bytes, 24), -110);
	assert_memory_equal(bytes, "PRI * HTTP", 10);
}

static void garbage_in_the_handshake_is_the_end(void **state)
{
	static const uint8_t hello[] = {22, 3, 1, 0, 10, 1, 0, 0, 6, 9, 9, 9, 9, 9, 9};
	uint8_t bytes[24];

	assert_int_equal(send(rig.peer, hello, sizeof hello, 0), sizeof hello);
	assert_int_equal(peek(bytes, 24), STREAM_FAILED);
	assert_non_null(rig.stream.why);
	/* And nothing comes after it. */
	assert_int_equal(peek(bytes, 24), STREAM_FAILED);
}

static void a_peer_that_goes_in_the_handshake_is_told_from_others(void **state)
{
	static const uint8_t hello[] = {22, 3, 1, 0, 10, 1, 0, 0, 6};
	uint8_t bytes[24];

	assert_int_equal(send(rig.peer, hello, sizeof hello, 0), sizeof hello);
	assert_int_equal(peek(bytes, 24), STREAM_AGAIN);
	assert_true(stream_is_greeting(&rig.stream));
	shutdown(rig.peer, SHUT_WR);
	assert_int_equal(peek(bytes, 24), STREAM_FAILED);
	assert_non_null(strstr(rig.stream.why, "--root-certificates"));
}

static void a_broken_record_is_the_end(void **state)
{
	uint8_t bytes[24];

	greet();
	assert_int_equal(send(rig.peer, "\x17\x03\x03\0\x14garbage, 20 bytes...", 25, 0), 25);
	assert_int_equal(stream_read(&rig.stream, bytes, sizeof bytes), STREAM_FAILED);
	assert_non_null(rig.stream.why);
	assert_int_equal(stream_write(&rig.stream, bytes, 1), STREAM_FAILED);
}

/* New keys, again and again: each costs, and brings nothing. */
static void records_that_carry_nothing_are_bounded(void **state)
{
	uint8_t bytes[100];
	ssize_t n = STREAM_AGAIN;
	unsigned updates = 0;

	SSL_CTX_set_min_proto_version(rig.context, TLS1_3_VERSION);
	greet();
	/* Some are fine. */
	for (int i = 0; i < 3; i++) {
		SSL_key_update(rig.client, SSL_KEY_UPDATE_NOT_REQUESTED);
		say("x", 1);
		assert_int_equal(stream_read(&rig.stream, bytes, sizeof bytes), 1);
	}
	while (n == STREAM_AGAIN && updates++ < 100000) {
		SSL_key_update(rig.client, SSL_KEY_UPDATE_NOT_REQUESTED);
		SSL_do_handshake(rig.client);
		n = stream_read(&rig.stream, bytes, sizeof bytes);
	}
	assert_int_equal(n, STREAM_FAILED);
	assert_non_null(strstr(rig.stream.why, "carry nothing"));
	assert_true(updates < 10000);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(plain_bytes_are_looked_at_and_read),
		TEST(first_bytes_may_be_split_in_any_way),
		TEST(pieces_of_records_are_waited_for),
		TEST(much_goes_both_ways),
		TEST(the_end_is_seen_and_said),
		TEST(an_end_without_a_word_is_no_fault_of_tls),
		TEST(a_peer_without_tls_is_told_from_others),
		TEST(garbage_in_the_handshake_is_the_end),
		TEST(a_peer_that_goes_in_the_handshake_is_told_from_others),
		TEST(a_broken_record_is_the_end),
		TEST(records_that_carry_nothing_are_bounded),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
