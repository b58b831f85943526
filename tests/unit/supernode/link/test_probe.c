/*
 * The results of probing both kinds of SuperLink, with each fault that TLS can have, and peers that
 * are no SuperLink.
 */
#include "common/base/clock.h"
#include "common/keys/trust.h"
#include "kit/child.h"
#include "kit/loop.h"
#include "supernode/link/probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>

#define GUESTS 8

enum leaf { PLAIN, GOOD, NAME, EXPIRED, FUTURE, N_LEAVES };

static const char *const leaf_names[N_LEAVES] = {"plain", "good", "name", "expired", "future"};

static struct world {
	struct loop *loop;
	struct http *http;
	struct kit_child peer;
	char directory[128];
	char addresses[N_LEAVES][64];
	char *ca, *other; /* PEM */
} world;

struct found {
	bool done;
	enum probe_result result;
	struct reason why;
};

static void on_done(void *arg, enum probe_result result, const struct reason *why)
{
	struct found *found = arg;

	assert_false(found->done);
	*found = (struct found){true, result, *why};
}

static void begin(const char *address, const char *ca_pem, struct found *found)
{
	struct probe *probe = NULL;

	*found = (struct found){0};
	assert_int_equal(probe_start(world.http,
				 &(struct probe_options){address, ca_pem, on_done, found}, &probe),
		0);
	assert_non_null(probe);
	assert_false(found->done);
}

static void wait_for(const struct found *found)
{
	kit_loop_until(world.loop, found->done);
}

/* before, the address, after: what is said. */
static void expect(const struct found *found, const char *address, enum probe_result result,
	const char *before, const char *after)
{
	char sentence[REASON_BYTES];

	snprintf(sentence, sizeof sentence, "%s%s%s", before, result >= PROBE_ABSENT ? address : "",
		after);
	assert_string_equal(found->why.text, sentence);
	assert_int_equal(found->result, result);
}

static void expect_at(const char *address, const char *ca_pem, enum probe_result result,
	const char *before, const char *after)
{
	struct found found;

	begin(address, ca_pem, &found);
	wait_for(&found);
	expect(&found, address, result, before, after);
}

/* ---- SuperLinks ---- */

static char *read_pem(const char *name)
{
	char path[256];
	struct reason why = {0};
	char *pem = NULL;

	snprintf(path, sizeof path, "%s/%s.pem", world.directory, name);
	assert_int_equal(trust_load(path, &pem, &why), 0);
	return pem;
}

static void at_superlink(enum probe_result kind)
{
	char named[64];

	expect_at(world.addresses[PLAIN], NULL, kind, "", "");
	expect_at(world.addresses[GOOD], world.ca, kind, "", "");
	snprintf(named, sizeof named, "localhost%s", strchr(world.addresses[GOOD], ':'));
	expect_at(named, world.ca, kind, "", "");
	expect_at(world.addresses[GOOD], NULL, PROBE_WRONG, "",
		" answers with TLS: leave out --insecure");
	expect_at(world.addresses[PLAIN], world.ca, PROBE_WRONG, "",
		" does not speak TLS: use --insecure if that is intended");
	expect_at(world.addresses[GOOD], world.other, PROBE_WRONG, "the TLS certificate of ",
		" is signed by nobody who is trusted here: give the certificate of the "
		"SuperLink's CA with --root-certificates");
	expect_at(world.addresses[NAME], world.ca, PROBE_WRONG, "the TLS certificate of ",
		" is for other names (\"link.example, *.far.example, 10.1.2.3\"): use one of them "
		"with --superlink, or have a certificate issued for this one");
	expect_at(world.addresses[EXPIRED], world.ca, PROBE_WRONG, "the TLS certificate of ",
		" has expired: have it renewed, or set the clock of this machine right");
	expect_at(world.addresses[FUTURE], world.ca, PROBE_WRONG, "the TLS certificate of ",
		" is not valid yet: set the clock of this machine right");
}

static void with_python(enum kit_python python, enum probe_result kind)
{
	kit_child_start(&world.peer, python, FLWR_TEST_DIR "/peers.py");
	kit_child_copy_value(&world.peer, "directory", world.directory, sizeof world.directory);
	for (int i = 0; i < N_LEAVES; i++)
		kit_child_copy_value(
			&world.peer, leaf_names[i], world.addresses[i], sizeof world.addresses[i]);
	world.ca = read_pem("ca");
	world.other = read_pem("other");
	at_superlink(kind);
	free(world.ca);
	free(world.other);
	kit_child_end(&world.peer);
}

static void test_grpc(void **state)
{
	with_python(KIT_OLDEST, PROBE_GRPC);
}

static void test_http(void **state)
{
	with_python(KIT_NEWEST, PROBE_HTTP);
}

/* ---- anything else ---- */

/* Says this to whoever comes, at once or after the first bytes, and then nothing more. */
struct stranger {
	const char *says;
	size_t len;
	bool listens_first, stays;
	int fd;
	struct watch *watch;
	struct guest {
		struct stranger *stranger;
		int fd;
		struct watch *watch;
	} guests[GUESTS];
	size_t n;
	char address[64];
};

static void guest_served(void *arg, int ready)
{
	struct guest *guest = arg;
	const struct stranger *stranger = guest->stranger;
	char heard[4096];

	watch_free(take_pointer(&guest->watch));
	if (stranger->listens_first)
		assert_true(recv(guest->fd, heard, sizeof heard, 0) >= 0);
	assert_int_equal(
		send(guest->fd, stranger->says, stranger->len, MSG_NOSIGNAL), stranger->len);
	if (!stranger->stays)
		close_fd(&guest->fd);
}

static void guest_comes(void *arg, int ready)
{
	struct stranger *stranger = arg;
	struct guest *guest = &stranger->guests[stranger->n++];

	assert_true(stranger->n <= GUESTS);
	guest->stranger = stranger;
	guest->fd = accept4(stranger->fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(guest->fd >= 0);
	if (stranger->listens_first)
		guest->watch = watch_new(world.loop, guest->fd, WATCH_READ, guest_served, guest);
	else
		guest_served(guest, 0);
}

static void stranger_open(struct stranger *stranger, int backlog)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof v4;

	stranger->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(stranger->fd, (struct sockaddr *)&v4, sizeof v4), 0);
	assert_int_equal(getsockname(stranger->fd, (struct sockaddr *)&v4, &len), 0);
	assert_int_equal(listen(stranger->fd, backlog), 0);
	snprintf(stranger->address, sizeof stranger->address, "127.0.0.1:%u", ntohs(v4.sin_port));
	stranger->watch = watch_new(world.loop, stranger->fd, WATCH_READ, guest_comes, stranger);
}

static void stranger_close(struct stranger *stranger)
{
	watch_free(stranger->watch);
	for (size_t i = 0; i < stranger->n; i++) {
		watch_free(stranger->guests[i].watch);
		close_fd(&stranger->guests[i].fd);
	}
	close_fd(&stranger->fd);
}

#define SAYS(text) .says = (text), .len = sizeof(text) - 1

static void test_strangers(void **state)
{
	static const char settings[] = "\0\0\x18\4\0\0\0\0\0";
	static const char no_superlink[] =
		" is no SuperLink: it speaks neither gRPC nor HTTP (its first bytes are ";
	static const struct {
		struct stranger stranger;
		enum probe_result result;
		const char *after[2];
	} rows[] = {
		{{SAYS(settings), .stays = true}, PROBE_GRPC, {"", ""}},
		{{SAYS(settings), .listens_first = true}, PROBE_GRPC, {"", ""}},
		{{SAYS("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), .listens_first = true},
			PROBE_HTTP, {"", ""}},
		/* Says when it ends by ending. */
		{{SAYS("HTTP/1.0 200 OK\r\n\r\n"), .listens_first = true}, PROBE_HTTP, {"", ""}},
		{{SAYS("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
			 .listens_first = true},
			PROBE_HTTP, {"", ""}},
		{{SAYS("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
			 .listens_first = true},
			PROBE_HTTP, {"", ""}},
		{{SAYS("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"), .listens_first = true},
			PROBE_ABSENT,
			{" answers with HTTP status 503, as proxies do: does the SuperLink behind "
			 "it "
			 "run?",
				""}},
		{{SAYS("\x15\3\1\0\2\2F"), .listens_first = true}, PROBE_WRONG,
			{" answers with TLS: leave out --insecure", ""}},
		{{SAYS("SSH-2.0-OpenSSH_9.2\r\n"), .stays = true}, PROBE_WRONG,
			{no_superlink, "\"SSH-2.0-OpenSSH_\"): is the port right?"}},
		{{SAYS("\1\2\3\4\5\6"), .listens_first = true}, PROBE_WRONG,
			{no_superlink, "\"\\x01\\x02\\x03\\x04\\x05\\x06\"): is the port right?"}},
		{{SAYS(""), .listens_first = true}, PROBE_ABSENT,
			{" takes connections and closes them without an answer: is the port right, "
			 "and does the SuperLink behind it run?",
				""}},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct stranger stranger = rows[i].stranger;
		char after[256];

		snprintf(after, sizeof after, "%s%s", rows[i].after[0], rows[i].after[1]);
		stranger_open(&stranger, 5);
		expect_at(stranger.address, NULL, rows[i].result, "", after);
		stranger_close(&stranger);
	}
}

/* A proxy for plain text answers itself, and wants to know who asks. */
static void test_password(void **state)
{
	struct stranger proxy = {
		SAYS("HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n"), .listens_first = true};

	stranger_open(&proxy, 5);
	expect_at(proxy.address, NULL, PROBE_ABSENT, "the proxy on the way to ",
		" wants a password (HTTP status 407): see http_proxy and no_proxy in the environment");
	stranger_close(&proxy);
}

static void test_strangers_with_tls(void **state)
{
	struct stranger ssh = {SAYS("SSH-2.0-OpenSSH_9.2\r\n"), .stays = true};
	struct stranger mute = {SAYS(""), .listens_first = true};
	auto_(free_at_exit) char *pem = NULL;
	struct found found;

	assert_int_equal(trust_load(NULL, &pem, NULL), 0);
	stranger_open(&ssh, 5);
	expect_at(ssh.address, pem, PROBE_WRONG, "",
		" is no SuperLink: it speaks neither gRPC nor HTTP (its first bytes are "
		"\"SSH-2.0-OpenSSH_\"): is the port right?");
	stranger_close(&ssh);
	stranger_open(&mute, 5);
	begin(mute.address, pem, &found);
	wait_for(&found);
	print_message("%s\n", found.why.text);
	assert_int_equal(found.result, PROBE_ABSENT);
	assert_non_null(strstr(found.why.text, "no TLS connection to 127.0.0.1:"));
	stranger_close(&mute);
}

static void test_unreachable(void **state)
{
	struct stranger gone = {SAYS("")};

	stranger_open(&gone, 5);
	stranger_close(&gone);
	expect_at(gone.address, NULL, PROBE_ABSENT, "",
		" refuses connections: does the SuperLink run, and is the port right?");
	expect_at("no-such-host.invalid:9092", NULL, PROBE_ABSENT, "the host name of ",
		" cannot be resolved: is it right, and does DNS work?");
	expect_at("255.255.255.255:9092", NULL, PROBE_ABSENT, "",
		" cannot be reached: is the address right, and is the network up?");
}

/* Both at a time, since it takes some. */
static void test_no_answer(void **state)
{
	struct stranger silent = {SAYS(""), .listens_first = true, .stays = true};
	struct stranger full = {SAYS("")};
	struct found by_silent, by_full, by_silent_tls;
	auto_(free_at_exit) char *pem = NULL;
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fds[2];

	assert_int_equal(trust_load(NULL, &pem, NULL), 0);
	stranger_open(&silent, 5);
	/* Nobody accepts, and there is no room for one more. */
	stranger_open(&full, 0);
	watch_free(take_pointer(&full.watch));
	v4.sin_port = htons((uint16_t)strtoul(strchr(full.address, ':') + 1, NULL, 10));
	for (int i = 0; i < 2; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		assert_true(fds[i] >= 0);
		(void)connect(fds[i], (struct sockaddr *)&v4, sizeof v4);
	}
	begin(silent.address, NULL, &by_silent);
	begin(silent.address, pem, &by_silent_tls);
	begin(full.address, NULL, &by_full);
	wait_for(&by_silent);
	wait_for(&by_full);
	wait_for(&by_silent_tls);
	expect(&by_silent, silent.address, PROBE_ABSENT, "",
		" takes connections but says nothing: is the port right, or does the SuperLink "
		"hang?");
	expect(&by_full, full.address, PROBE_ABSENT, "",
		" does not answer: is the address right, or does a firewall drop what is sent "
		"there?");
	print_message("%s\n", by_silent_tls.why.text);
	assert_int_equal(by_silent_tls.result, PROBE_ABSENT);
	assert_non_null(strstr(by_silent_tls.why.text, "no TLS connection to 127.0.0.1:"));
	for (int i = 0; i < 2; i++)
		close_fd(&fds[i]);
	stranger_close(&silent);
	stranger_close(&full);
}

static void test_cancelled(void **state)
{
	struct stranger silent = {SAYS(""), .listens_first = true, .stays = true};
	struct found found = {0};
	struct probe *probe;

	stranger_open(&silent, 5);
	assert_int_equal(
		probe_start(world.http,
			&(struct probe_options){silent.address, NULL, on_done, &found}, &probe),
		0);
	kit_loop_until(world.loop, silent.n > 0);
	probe_cancel(probe);
	for (int i = 0; i < 3; i++)
		loop_step(world.loop, 10);
	assert_false(found.done);
	/* And right after it has begun. */
	assert_int_equal(
		probe_start(world.http,
			&(struct probe_options){silent.address, NULL, on_done, &found}, &probe),
		0);
	probe_cancel(probe);
	probe_cancel(NULL);
	stranger_close(&silent);
	assert_int_equal(
		probe_start(world.http,
			&(struct probe_options){"no address", NULL, on_done, &found}, &probe),
		-EINVAL);
	assert_int_equal(
		probe_start(world.http, &(struct probe_options){"", NULL, on_done, &found}, &probe),
		-EINVAL);
}

static int setup(void **state)
{
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(loop_new(&world.loop), 0);
	assert_int_equal(http_new(world.loop, &world.http, NULL), 0);
	return 0;
}

static int teardown(void **state)
{
	http_free(world.http);
	loop_free(world.loop);
	return 0;
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_strangers),
		TEST(test_password),
		TEST(test_strangers_with_tls),
		TEST(test_unreachable),
		TEST(test_cancelled),
		TEST(test_no_answer),
		TEST(test_grpc),
		TEST(test_http),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
