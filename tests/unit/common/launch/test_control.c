#include "common/launch/control.h"
#include "rig.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

static int ends_setup(void **state)
{
	int *ends = calloc(2, sizeof *ends);

	*state = ends;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends);
}

static int ends_teardown(void **state)
{
	int *ends = *state;

	close_fd(&ends[0]);
	close_fd(&ends[1]);
	free(ends);
	return 0;
}

static unsigned fds_open(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void example(enum control_kind kind, int fd, struct control_message *out)
{
	*out = (struct control_message){.kind = kind, .fd = -1};
	switch (kind) {
	case CONTROL_START:
		out->start = (struct control_start){.token = UINT64_MAX - 1,
			.address = (char *)"unix:/tmp/x/sock",
			.flwr_home = (char *)"/home/\xff/.flwr",
			.log_level = LOG_LEVEL_DEBUG,
			.names_apps = true,
			.tls = true,
			.root_certificates = (char *)"/etc/\xff/ca.pem",
			.client_key = (char *)"worker.key",
			.content_max_bytes = 12345678901234};
		break;
	case CONTROL_APP_STARTED:
		out->fd = fd;
		out->native = true;
		break;
	case CONTROL_APP_START:
		out->app = (struct control_app){.fab_id = (char *)"acme/robot",
			.component = (char *)"native:lib/x.so",
			.dir = (char *)"/home/\xff/apps/acme.robot",
			.run_id = 18446744073709551615U};
		break;
	case CONTROL_APP_ENDED:
		out->end = (struct process_end){.kind = PROCESS_KILLED,
			.value = 9,
			.stop = PROCESS_STOPPED,
			.out_of_memory = true,
			.never_ready = true,
			.over_memory_limit = true,
			.why = {"for this reason"}};
		memset(out->end.tail, 'x', PROCESS_TAIL_BYTES);
		break;
	case CONTROL_APP_STOP:
	case CONTROL_GIVE_UP:
	case CONTROL_KIND_N:
		break;
	}
}

static void test_round_trip(void **state)
{
	int *ends = *state;

	for (int kind = 0; kind < CONTROL_KIND_N; kind++) {
		struct control_message sent, got;

		example((enum control_kind)kind, STDERR_FILENO, &sent);
		assert_int_equal(control_receive(ends[1], &got), -EAGAIN);
		assert_int_equal(control_send(ends[0], &sent), 0);
		assert_int_equal(control_receive(ends[1], &got), 1);
		assert_int_equal(got.kind, kind);
		assert_int_equal(got.fd >= 0, kind == CONTROL_APP_STARTED);
		if (got.fd >= 0)
			assert_int_equal(fcntl(got.fd, F_GETFD), FD_CLOEXEC);
		if (kind == CONTROL_START) {
			assert_int_equal(got.start.token, sent.start.token);
			assert_string_equal(got.start.address, sent.start.address);
			assert_string_equal(got.start.flwr_home, sent.start.flwr_home);
			assert_int_equal(got.start.content_max_bytes, sent.start.content_max_bytes);
			assert_int_equal(got.start.log_level, sent.start.log_level);
			assert_true(got.start.names_apps);
			assert_true(got.start.tls);
			assert_string_equal(
				got.start.root_certificates, sent.start.root_certificates);
			assert_null(got.start.client_certificate);
			assert_string_equal(got.start.client_key, sent.start.client_key);
		}
		assert_int_equal(got.native, sent.native);
		if (kind == CONTROL_APP_START) {
			assert_string_equal(got.app.fab_id, sent.app.fab_id);
			assert_string_equal(got.app.component, sent.app.component);
			assert_string_equal(got.app.dir, sent.app.dir);
			assert_true(got.app.run_id == sent.app.run_id);
		}
		if (kind == CONTROL_APP_ENDED) {
			assert_int_equal(got.end.kind, sent.end.kind);
			assert_int_equal(got.end.value, sent.end.value);
			assert_int_equal(got.end.stop, sent.end.stop);
			assert_true(got.end.out_of_memory && got.end.never_ready &&
				    got.end.over_memory_limit);
			assert_string_equal(got.end.why.text, sent.end.why.text);
			assert_string_equal(got.end.tail, sent.end.tail);
		}
		control_message_done(&got);
	}
}

/* A template passes as it is; none stays none. */
static void test_start_with_command(void **state)
{
	static const char *const commands[] = {NULL, "flwr-clientapp --token {token} 'a \xff\n b'"};
	int *ends = *state;

	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		for (int quotes = 0; quotes < 2; quotes++) {
			struct control_message sent, got;

			example(CONTROL_START, -1, &sent);
			sent.start.command = (char *)commands[i];
			sent.start.stderr_in_replies = quotes;
			sent.start.token_file = quotes ? (char *)"/a/token" : NULL;
			assert_int_equal(control_send(ends[0], &sent), 0);
			assert_int_equal(control_receive(ends[1], &got), 1);
			if (commands[i])
				assert_string_equal(got.start.command, commands[i]);
			else
				assert_null(got.start.command);
			assert_int_equal(got.start.stderr_in_replies, quotes);
			assert_string_equal(got.start.flwr_home, sent.start.flwr_home);
			if (quotes)
				assert_string_equal(got.start.token_file, "/a/token");
			else
				assert_null(got.start.token_file);
			control_message_done(&got);
			assert_null(got.start.command);
		}
	}
}

/* A token of a task is there or is not. */
static void test_start_with_task_token(void **state)
{
	static const char *const tokens[] = {NULL, "0123456789abcdef"};
	int *ends = *state;

	for (size_t i = 0; i < ARRAY_LEN(tokens); i++) {
		struct control_message sent, got;

		example(CONTROL_START, -1, &sent);
		sent.start.task_token = (char *)(uintptr_t)tokens[i];
		assert_int_equal(control_send(ends[0], &sent), 0);
		assert_int_equal(control_receive(ends[1], &got), 1);
		if (tokens[i])
			assert_string_equal(got.start.task_token, tokens[i]);
		else
			assert_null(got.start.task_token);
		control_message_done(&got);
		assert_null(got.start.task_token);
	}
}

/* All strings as long as they can be fit into one message. */
static void test_longest(void **state)
{
	int *ends = *state;
	struct control_message message, got;
	char text[3074];
	char token[1025] = {0};

	example(CONTROL_START, -1, &message);
	memset(text, 'x', sizeof text);
	memset(token, 't', sizeof token - 1);
	message.start.task_token = token;
	text[3072] = '\0';
	message.start.address = message.start.flwr_home = message.start.command = text;
	message.start.token_file = message.start.root_certificates = text;
	message.start.client_certificate = message.start.client_key = text;
	assert_int_equal(control_send(ends[0], &message), 0);
	assert_int_equal(control_receive(ends[1], &got), 1);
	assert_string_equal(got.start.address, text);
	assert_string_equal(got.start.flwr_home, text);
	assert_string_equal(got.start.command, text);
	assert_string_equal(got.start.client_key, text);
	assert_string_equal(got.start.task_token, token);
	control_message_done(&got);
	text[3072] = 'x';
	text[3073] = '\0';
	example(CONTROL_START, -1, &message);
	message.start.command = text;
	assert_int_equal(control_send(ends[0], &message), -EMSGSIZE);
}

static void test_too_long(void **state)
{
	int *ends = *state;
	struct control_message message;
	char path[4000];

	example(CONTROL_START, -1, &message);
	memset(path, 'p', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	message.start.flwr_home = path;
	assert_int_equal(control_send(ends[0], &message), -EMSGSIZE);
}

static void test_gone(void **state)
{
	int *ends = *state;
	struct control_message message, got;

	example(CONTROL_APP_STOP, -1, &message);
	assert_int_equal(control_send(ends[0], &message), 0);
	assert_int_equal(control_send(ends[1], &message), 0);
	/* Leaves something unread. */
	close_fd(&ends[0]);
	assert_int_equal(control_receive(ends[1], &got), 1);
	assert_int_equal(got.kind, CONTROL_APP_STOP);
	assert_int_equal(control_receive(ends[1], &got), 0);
	assert_int_equal(control_send(ends[1], &message), -EPIPE);
}

static void test_full(void **state)
{
	int *ends = *state;
	struct control_message message;
	int r = 0;

	example(CONTROL_APP_ENDED, -1, &message);
	for (int i = 0; i < 100000 && r == 0; i++)
		r = control_send(ends[0], &message);
	assert_int_equal(r, -EAGAIN);
}

/* Send bytes with n_fds descriptors; what control_receive() makes of it. */
static int receive_raw(
	int *ends, const void *bytes, size_t len, size_t n_fds, struct control_message *got)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(8 * sizeof(int))];
	} space = {.bytes = {0}};
	struct iovec piece = {.iov_base = (void *)bytes, .iov_len = len};
	struct msghdr header = {.msg_iov = &piece, .msg_iovlen = 1};

	if (n_fds) {
		const int fds[8] = {1, 1, 1, 1, 1, 1, 1, 1};

		header.msg_control = space.bytes;
		header.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		struct cmsghdr *with = CMSG_FIRSTHDR(&header);
		with->cmsg_level = SOL_SOCKET;
		with->cmsg_type = SCM_RIGHTS;
		with->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(with), fds, n_fds * sizeof(int));
	}
	assert_int_equal(sendmsg(ends[0], &header, MSG_NOSIGNAL), (ssize_t)len);
	return control_receive(ends[1], got);
}

static void test_refused(void **state)
{
	int *ends = *state;
	const unsigned before = fds_open();
	struct control_message got;
	char big[40000] = {7, CONTROL_APP_START};
	static const struct {
		const char *bytes;
		size_t len, n_fds;
	} cases[] = {
		{"\7", 1, 0}, {"\6\1", 2, 0},                  /* another version */
		{"\7\6", 2, 0},                                /* no such kind */
		{"\7\3x", 3, 0},                               /* something behind it */
		{"\7\3", 2, 1},                                /* a descriptor where none belongs */
		{"\7\1\1\0a\0\0\0\0\1\0\0\0\0\0\0\0", 17, 0},  /* an app that has only a name */
		{"\7\2\0", 3, 0},                              /* none where one belongs */
		{"\7\2\0", 3, 2},                              /* two */
		{"\7\2\0", 3, 8},                              /* more than there is room for */
		{"\7\2\2", 3, 1},                              /* neither native nor not */
		{"\7\4\3\0\0\0\0\0\0\0\0\0\0\0\0", 15, 0},     /* no such end */
		{"\7\4\0\0\2\0\0\0\0\0\0\0\0\0\0", 15, 0},     /* neither true nor false */
		{"\7\4\0\0\0\0\0\0\0\0\0\0\0\1\0\xff", 16, 0}, /* not UTF-8 */
		{"\7\4\0\0\0\0\0\0\0\0\0\1\0\0\0\0", 16, 0},   /* a NUL inside */
		{"\7\4\0\0\0\0\0\0\0\0\0\0\2\0\0", 15, 0},     /* longer than the text can be */
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(
			receive_raw(ends, cases[i].bytes, cases[i].len, cases[i].n_fds, &got),
			-EBADMSG);
	assert_int_equal(receive_raw(ends, big, sizeof big, 0, &got), -EBADMSG);
	assert_int_equal(receive_raw(ends, "\7\1\0\0\0\0\0\0\1\0\0\0\0\0\0\0", 16, 0, &got), 1);
	assert_int_equal(fds_open(), before);
}

static void test_random(void **state)
{
	int *ends = *state;
	const unsigned before = fds_open();
	unsigned seed = (unsigned)clock_now_ms();
	unsigned taken = 0;
	unsigned char bytes[6000];

	print_message("seed %u\n", seed);
	srandom(seed);
	for (int round = 0; round < 20000; round++) {
		struct control_message got;
		size_t len = 2 + (size_t)random() % (round % 50 ? 40 : sizeof bytes - 2);

		for (size_t i = 0; i < len; i++)
			bytes[i] = (unsigned char)(random() % 3 ? 0 : random() % 256);
		bytes[0] = 6;
		bytes[1] = (unsigned char)(random() % (CONTROL_KIND_N + 1));
		int r = receive_raw(ends, bytes, len, (size_t)random() % 3, &got);
		if (r == 1) {
			taken++;
			control_message_done(&got);
		} else {
			assert_int_equal(r, -EBADMSG);
		}
	}
	print_message("%u of 20000 were messages\n", taken);
	assert_int_equal(fds_open(), before);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, ends_setup, ends_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_round_trip),
		TEST(test_start_with_command),
		TEST(test_start_with_task_token),
		TEST(test_longest),
		TEST(test_too_long),
		TEST(test_gone),
		TEST(test_full),
		TEST(test_refused),
		TEST(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
