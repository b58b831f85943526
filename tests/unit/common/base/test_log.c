#include "common/base/log.h"
#include "kit/test.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <termios.h>

#define WAIT_MS    20000
#define HEAD_BYTES 30 /* the time and the space behind it */

/* Read all that has been written to a pipe by now, as a string. */
static char *drain(int fd)
{
	static char buffer[1 << 20];
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, buffer + len, sizeof buffer - 1 - len)) > 0)
		len += (size_t)n;
	buffer[len] = '\0';
	return buffer;
}

static void the_form_of_a_line(void **state)
{
	int ends[2];
	struct log *log;
	char *line;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	log = log_new(ends[1], "node", LOG_LEVEL_INFO);
	assert_non_null(log);
	log_info(log, "worker %u: started pid=%d", 3u, 17);
	line = drain(ends[0]);
	assert_int_equal(line[4], '-');
	assert_int_equal(line[10], 'T');
	assert_int_equal(line[19], '.');
	assert_memory_equal(line + 23, "+00:00 ", 7);
	assert_string_equal(line + HEAD_BYTES, "INFO  node: worker 3: started pid=17\n");
	log_error(log, "x\ny\tz\x1b[1m\xc2\x85\xc3\xa9\xff\x7f");
	assert_string_equal(drain(ends[0]) + HEAD_BYTES,
		"ERROR node: x\\ny\\tz\\x1b[1m\\xc2\\x85\xc3\xa9\\xff\\x7f\n");
	/* What turns the direction of text, or ends a line for some: U+202E, U+2066, U+2028. */
	log_error(log, "%s",
		"a\xe2\x80\xae"
		"b\xe2\x81\xa6\xe2\x80\xa8\xe2\x82\xac");
	assert_string_equal(drain(ends[0]) + HEAD_BYTES,
		"ERROR node: a\\xe2\\x80\\xaeb\\xe2\\x81\\xa6\\xe2\\x80\\xa8\xe2\x82\xac\n");
	log_debug(log, "not at this level");
	assert_string_equal(drain(ends[0]), "");
	log_warn(NULL, "nobody listens");
	assert_true(log_enabled(log, LOG_LEVEL_INFO));
	assert_false(log_enabled(log, LOG_LEVEL_DEBUG));
	assert_false(log_enabled(NULL, LOG_LEVEL_ERROR));
	log_free(log);
	log_free(NULL);
	close(ends[0]);
	close(ends[1]);
}

static void long_lines_are_cut(void **state)
{
	char text[20000];
	int ends[2];
	struct log *log;
	char *line;

	memset(text, '\n', sizeof text);
	text[sizeof text - 1] = '\0';
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	log = log_new(ends[1], "node", LOG_LEVEL_INFO);
	log_info(log, "%s", text);
	line = drain(ends[0]);
	assert_true(strlen(line) > 8000 && strlen(line) <= 8192);
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	log_free(log);
	close(ends[0]);
	close(ends[1]);
}

/* Not what other programs wrote. */
static void output_is_not_cut(void **state)
{
	static char bytes[40000];
	int ends[2];
	struct log *log;
	char *line;

	memset(bytes, 'x', sizeof bytes);
	bytes[1] = '\0';
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	log = log_new(ends[1], "node", LOG_LEVEL_CRITICAL);
	log_output(log, LOG_LEVEL_INFO, "7 app out: ", bytes, sizeof bytes);
	log_output(NULL, LOG_LEVEL_INFO, "7 app out: ", bytes, sizeof bytes);
	line = drain(ends[0]);
	assert_memory_equal(line + HEAD_BYTES, "INFO  node: 7 app out: x\\x00xx", 28);
	assert_int_equal(strlen(line), HEAD_BYTES + 23 + sizeof bytes + 3 + 1);
	log_free(log);
	close(ends[0]);
	close(ends[1]);
}

/* Append what drain() has found to all, of so many bytes. */
static void add(char *all, size_t bytes, const char *found)
{
	size_t len = strlen(all), more = strlen(found) + 1;

	assert_true(len + more <= bytes);
	memcpy(all + len, found, more);
}

static void waits(void *arg)
{
	(*(int *)arg)++;
}

/* The log keeps lines that the descriptor does not take at once, in order, up to a bound. */
static void lines_are_kept(void **state)
{
	int ends[2], waiting = 0, n = 0, got = 0;
	struct log *log;
	char text[1000];
	static char all[400000];

	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = '\0';
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	log = log_new(ends[1], NULL, LOG_LEVEL_INFO);
	log_keep(log, 200000, waits, &waiting);
	assert_false(log_crowded(log));
	while (n < 1000)
		log_info(log, "%d %s", n++, text);
	assert_in_range(waiting, 150, 210);
	assert_true(log_crowded(log));
	do {
		add(all, sizeof all, drain(ends[0]));
	} while (log_flush(log));
	add(all, sizeof all, drain(ends[0]));
	for (char *line = all; *line; line = strchr(line, '\n') + 1)
		assert_int_equal(strtol(line + 6, NULL, 10), got++);
	assert_in_range(got, 65000 / 1010 + 190, 65536 / 1000 + 200);
	log_info(log, "last");
	snprintf(
		text, sizeof text, "INFO  last (%d lines before this one were dropped)\n", n - got);
	assert_string_equal(drain(ends[0]), text);
	/* Nobody reads any more: it is not waited for. */
	signal(SIGPIPE, SIG_IGN);
	close(ends[0]);
	log_info(log, "lost");
	assert_false(log_flush(log));
	log_free(log);
	close(ends[1]);
}

/* Writes more than fits, and reads it when all is written: nothing may block. */
static void blocked_fd_drops_lines(int reader, int writer)
{
	struct log *log = log_new(writer, "node", LOG_LEVEL_INFO);
	char *text, *line, *save;
	char text_in[3000];
	char expected[64];
	int lines = 0, i;

	memset(text_in, 'x', sizeof text_in);
	text_in[sizeof text_in - 1] = '\0';
	fcntl(reader, F_SETFL, O_NONBLOCK);
	for (i = 0; i < 500; i++)
		log_info(log, "%s", text_in);
	text = drain(reader);
	for (line = strchr(text, '\n'); line; line = strchr(line + 1, '\n'))
		lines++;
	assert_in_range(lines, 1, 499);
	snprintf(expected, sizeof expected, "here (%d lines before this one were dropped)",
		500 - lines);
	log_info(log, "here");
	log_info(log, "again");
	text = drain(reader);
	/* The rest of a torn line was ended first. */
	if (*text == '\n')
		text++;
	line = strtok_r(text, "\n", &save);
	assert_string_equal(line + HEAD_BYTES + strlen("INFO  node: "), expected);
	line = strtok_r(NULL, "\n", &save);
	assert_string_equal(line + HEAD_BYTES, "INFO  node: again");
	log_free(log);
	close(reader);
	close(writer);
}

static void a_blocked_pipe_drops_lines(void **state)
{
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	blocked_fd_drops_lines(ends[0], ends[1]);
}

static void a_blocked_socket_drops_lines(void **state)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	blocked_fd_drops_lines(ends[0], ends[1]);
}

static void nobody_reads(void **state)
{
	int ends[2];
	struct log *log;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	close(ends[0]);
	log = log_new(ends[1], "node", LOG_LEVEL_DEBUG);
	log_debug(log, "into the void");
	log_free(log);
	close(ends[1]);
	log = log_new(-1, "node", LOG_LEVEL_DEBUG);
	log_debug(log, "into the void");
	log_free(log);
}

/* A terminal that changes nothing of what is written to it, and the end that its person looks at.
 */
static void terminal_open(int *terminal, int *person)
{
	struct termios raw;

	*person = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(*person >= 0);
	assert_int_equal(grantpt(*person), 0);
	assert_int_equal(unlockpt(*person), 0);
	*terminal = open(ptsname(*person), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(*terminal >= 0);
	assert_int_equal(tcgetattr(*terminal, &raw), 0);
	cfmakeraw(&raw);
	assert_int_equal(tcsetattr(*terminal, TCSANOW, &raw), 0);
}

/* The next thing that the person sees. */
static void expect_seen(int person, const char *text)
{
	struct pollfd ready = {.fd = person, .events = POLLIN};
	char seen[256] = "";
	size_t len = 0;

	assert_true(strlen(text) < sizeof seen);
	while (len < strlen(text)) {
		ssize_t n;

		assert_int_equal(poll(&ready, 1, WAIT_MS), 1);
		n = read(person, seen + len, strlen(text) - len);
		assert_true(n > 0);
		len += (size_t)n;
	}
	assert_string_equal(seen, text);
}

static void progress_on_a_terminal_is_one_line(void **state)
{
	int terminal, person;
	struct log *log;

	terminal_open(&terminal, &person);
	log = log_new(terminal, NULL, LOG_LEVEL_INFO);
	log_info(log, "before");
	expect_seen(person, "INFO  before\n");
	log_progress(log, "%d %%", 10);
	expect_seen(person, "INFO  10 %");
	log_progress(log, "%d %%", 20);
	expect_seen(person, "\r\x1b[KINFO  20 %");
	/* A line that is not written takes no room. */
	log_debug(log, "not at this level");
	log_warn(log, "of any kind");
	expect_seen(person, "\r\x1b[KWARN  of any kind\n");
	log_info(log, "this one stays");
	expect_seen(person, "INFO  this one stays\n");
	log_progress(log, "%d %%", 30);
	expect_seen(person, "INFO  30 %");
	log_free(log);
	close(terminal);
	close(person);
}

static void progress_elsewhere_is_a_line_like_others(void **state)
{
	int ends[2];
	struct log *log;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	log = log_new(ends[1], NULL, LOG_LEVEL_INFO);
	log_progress(log, "%d %%", 10);
	log_progress(log, "%d %%", 20);
	log_info(log, "done");
	assert_string_equal(drain(ends[0]), "INFO  10 %\nINFO  20 %\nINFO  done\n");
	log_set_level(log, LOG_LEVEL_WARN);
	log_progress(log, "%d %%", 30);
	log_warn(log, "after");
	assert_string_equal(drain(ends[0]), "WARN  after\n");
	log_progress(NULL, "nobody listens");
	log_free(log);
	close(ends[0]);
	close(ends[1]);
}

static void expect_on_terminal(int fd, bool expected)
{
	struct log *log = log_new(fd, NULL, LOG_LEVEL_INFO);

	assert_int_equal(log_on_terminal(log), expected);
	log_free(log);
}

static void what_a_person_reads(void **state)
{
	int terminal, person, pipe_ends[2], sockets[2];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	terminal_open(&terminal, &person);
	assert_int_equal(pipe2(pipe_ends, O_CLOEXEC), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
	assert_true(null >= 0);
	expect_on_terminal(terminal, true);
	expect_on_terminal(null, false);
	expect_on_terminal(pipe_ends[1], false);
	expect_on_terminal(sockets[1], false);
	expect_on_terminal(-1, false);
	assert_false(log_on_terminal(NULL));
	for (int i = 0; i < 2; i++) {
		close(pipe_ends[i]);
		close(sockets[i]);
	}
	close(null);
	close(terminal);
	close(person);
}

static void level_names(void **state)
{
	enum log_level level = LOG_LEVEL_N;

	assert_int_equal(log_level_parse("WARNING", &level), 0);
	assert_int_equal(level, LOG_LEVEL_WARN);
	assert_int_equal(log_level_parse("warn", &level), 0);
	assert_int_equal(level, LOG_LEVEL_WARN);
	assert_int_equal(log_level_parse("Error", &level), 0);
	assert_int_equal(level, LOG_LEVEL_ERROR);
	assert_int_equal(log_level_parse("info", &level), 0);
	assert_int_equal(level, LOG_LEVEL_INFO);
	assert_int_equal(log_level_parse("debug", &level), 0);
	assert_int_equal(level, LOG_LEVEL_DEBUG);
	assert_int_equal(log_level_parse("NotSet", &level), 0);
	assert_int_equal(level, LOG_LEVEL_DEBUG);
	assert_int_equal(log_level_parse("CRITICAL", &level), 0);
	assert_int_equal(level, LOG_LEVEL_CRITICAL);
	assert_int_equal(log_level_parse("10", &level), -EINVAL);
	assert_int_equal(log_level_parse("verbose", &level), -EINVAL);
	assert_int_equal(log_level_parse("", &level), -EINVAL);
}

struct taken {
	enum log_level level;
	char text[10000];
	unsigned lines;
};

static void take(void *arg, enum log_level level, const char *text)
{
	struct taken *taken = arg;

	taken->level = level;
	taken->lines++;
	snprintf(taken->text, sizeof taken->text, "%s", text);
}

static void lines_that_are_given(void **state)
{
	static char much[20000];
	static struct taken taken;
	struct log *log = log_new_for(take, &taken, LOG_LEVEL_INFO);

	(void)state;
	assert_non_null(log);
	log_warn(log, "worker %u:\nstarted", 3u);
	assert_int_equal(taken.level, LOG_LEVEL_WARN);
	assert_string_equal(taken.text, "worker 3:\\nstarted");
	log_debug(log, "not at this level");
	assert_int_equal(taken.lines, 1);
	log_progress(log, "half");
	assert_int_equal(taken.level, LOG_LEVEL_INFO);
	assert_string_equal(taken.text, "half");
	log_output(log, LOG_LEVEL_ERROR, "app: ", "x\x1b", 2);
	assert_int_equal(taken.level, LOG_LEVEL_ERROR);
	assert_string_equal(taken.text, "app: x\\x1b");
	memset(much, 'y', sizeof much - 1);
	log_error(log, "%s", much);
	assert_int_equal(taken.lines, 4);
	assert_in_range(strlen(taken.text), 8000, 8192);
	log_free(log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_that_are_given),
		cmocka_unit_test(the_form_of_a_line),
		cmocka_unit_test(output_is_not_cut),
		cmocka_unit_test(lines_are_kept),
		cmocka_unit_test(long_lines_are_cut),
		cmocka_unit_test(a_blocked_pipe_drops_lines),
		cmocka_unit_test(a_blocked_socket_drops_lines),
		cmocka_unit_test(nobody_reads),
		cmocka_unit_test(progress_on_a_terminal_is_one_line),
		cmocka_unit_test(progress_elsewhere_is_a_line_like_others),
		cmocka_unit_test(what_a_person_reads),
		cmocka_unit_test(level_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
