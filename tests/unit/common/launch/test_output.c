#include "common/launch/output.h"
#include "rig.h"

#include "common/base/text.h"

#include <fcntl.h>

/* An output with its pipe. */
struct pipe_rig {
	struct output output;
	struct output_flow flow;
	struct output_tail tail;
	int write_end;
	bool closed;
	char text[PROCESS_TAIL_BYTES + 1];
};

static void on_closed(void *arg)
{
	struct pipe_rig *pipe_rig = arg;

	pipe_rig->closed = true;
}

static void pipe_open(struct rig *rig, struct pipe_rig *to)
{
	int ends[2];

	memset(to, 0, sizeof *to);
	assert_return_code(pipe2(ends, O_CLOEXEC), errno);
	assert_int_equal(output_flow_init(&to->flow, rig->loop, rig->log, "app 1"), 0);
	to->output = (struct output){.flow = &to->flow,
		.label = "err",
		.kind = OUTPUT_ERR,
		.tail = &to->tail,
		.closed = on_closed,
		.arg = to,
		.fd = -1};
	assert_int_equal(output_open(&to->output, rig->loop, ends[0]), 0);
	to->write_end = ends[1];
}

static void say(struct rig *rig, struct pipe_rig *to, const void *bytes, size_t len)
{
	const char *at = bytes;

	/* In pieces that fit, read in between. */
	while (len) {
		size_t n = len < 30000 ? len : 30000;

		assert_int_equal(write(to->write_end, at, n), (ssize_t)n);
		for (int i = 0; i < 3; i++)
			loop_step(rig->loop, 0);
		at += n;
		len -= n;
	}
}

static const char *finish(struct rig *rig, struct pipe_rig *to)
{
	close(to->write_end);
	rig_until(rig, &to->closed);
	output_flow_done(&to->flow);
	output_tail_text(&to->tail, to->text);
	return to->text;
}

#define SAY(rig, to, literal) say(rig, to, literal, sizeof(literal) - 1)

static void test_lines(void **state)
{
	struct rig *rig = *state;
	struct pipe_rig to;

	pipe_open(rig, &to);
	SAY(rig, &to, "one\ntw");
	SAY(rig, &to, "o\r\n\n\n10%\r20%\rthree");
	assert_string_equal(finish(rig, &to), "one\ntwo\n10%\n20%\nthree");
	assert_int_equal(rig_log_count(rig, "app 1 err: "), 5);
	assert_int_equal(rig_log_count(rig, "app 1 err: two\n"), 1);
}

static bool is_unwanted(void *arg, uint64_t topic, const char *line, size_t len)
{
	unsigned *asked = arg;

	assert_int_equal(topic, 7);
	++*asked;
	return len == 3 && memcmp(line, "two", len) == 0;
}

/* What the log is not to have is in the error reply all the same, and no line counts as lost. */
static void test_filter(void **state)
{
	struct rig *rig = *state;
	struct pipe_rig to;
	unsigned asked = 0;

	pipe_open(rig, &to);
	to.output.filter = is_unwanted;
	to.output.filter_arg = &asked;
	to.output.topic = 7;
	SAY(rig, &to, "one\ntwo\nthree\n");
	assert_string_equal(finish(rig, &to), "one\ntwo\nthree");
	assert_int_equal(asked, 3);
	assert_int_equal(rig_log_count(rig, "app 1 err: "), 2);
	assert_int_equal(rig_log_count(rig, "two"), 0);
	assert_int_equal(rig_log_count(rig, "left out"), 0);
}

/* A line that a log of ours wrote keeps its level; a line that only looks like one does not. */
static void test_levels(void **state)
{
	struct rig *rig = *state;
	struct pipe_rig to;

	pipe_open(rig, &to);
	SAY(rig, &to, "ERROR plain\n");
	to.output.levels = true;
	SAY(rig, &to, "ERROR one\nWARN  two\nWARN\nWARNING: three\nDEBUG four\n");
	finish(rig, &to);
	assert_int_equal(rig_log_count(rig, "INFO  test: app 1 err: ERROR plain\n"), 1);
	assert_int_equal(rig_log_count(rig, "ERROR test: app 1: one\n"), 1);
	assert_int_equal(rig_log_count(rig, "WARN  test: app 1: two\n"), 1);
	assert_int_equal(rig_log_count(rig, "INFO  test: app 1 err: WARN\n"), 1);
	assert_int_equal(rig_log_count(rig, "INFO  test: app 1 err: WARNING: three\n"), 1);
	assert_int_equal(rig_log_count(rig, "DEBUG test: app 1: four\n"), 1);
}

static void test_bad_bytes(void **state)
{
	struct rig *rig = *state;
	struct pipe_rig to;

	pipe_open(rig, &to);
	SAY(rig, &to, "a\0b\x1b[31m\tc\xff\xc3\n");
	SAY(rig, &to, "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80 \xed\xa0\x80 \xe2\x82\n");
	assert_string_equal(finish(rig, &to),
		"a?b\tc??\ngr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80 ??? ??");
}

static void test_tail_is_bounded(void **state)
{
	struct rig *rig = *state;
	struct pipe_rig to;
	char line[64];

	pipe_open(rig, &to);
	for (int i = 1; i <= 30; i++)
		say(rig, &to, line, (size_t)snprintf(line, sizeof line, "line %d.\n", i));
	finish(rig, &to);
	assert_memory_equal(to.text, "line 11.\n", 9);
	assert_string_equal(to.text + strlen(to.text) - 8, "line 30.");
}

static void test_endless_line(void **state)
{
	struct rig *rig = *state;
	struct pipe_rig to;
	auto_(free_at_exit) char *bytes = malloc(300000);

	pipe_open(rig, &to);
	for (size_t i = 0; i < 300000; i += 3)
		memcpy(bytes + i, "\xe2\x82\xac", 3);
	say(rig, &to, bytes, 300000);
	say(rig, &to, "the end", 7);
	finish(rig, &to);
	assert_true(strlen(to.text) <= PROCESS_TAIL_BYTES);
	assert_true(utf8_valid(to.text, strlen(to.text)));
	assert_null(strchr(to.text, '?'));
	assert_non_null(strstr(to.text, "the end"));
	assert_int_equal(rig_log_count(rig, "app 1 err: "), 300007 / (PROCESS_LINE_BYTES - 1) + 1);
	assert_null(strchr(rig_log(rig), '?'));
}

/* "name: N lines of its output were left out here": the sum of these. */
static unsigned left_out(struct rig *rig)
{
	static int counts[10000];
	size_t n = rig_log_numbers(rig, "WARN  test: app 1: ", counts, ARRAY_LEN(counts));
	unsigned sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (unsigned)counts[i];
	return sum;
}

static void flood(struct rig *rig, struct pipe_rig *to, int from, int until)
{
	auto_(text_done) struct text text = {0};

	for (int i = from; i <= until; i++)
		assert_int_equal(text_printf(&text, "flood %d %060d\n", i, i), 0);
	say(rig, to, text.data, text.len);
}

/* Nothing of a burst is lost. */
static void test_burst(void **state)
{
	struct rig *rig = *state;
	struct pipe_rig to;

	pipe_open(rig, &to);
	flood(rig, &to, 1, 5000);
	finish(rig, &to);
	assert_int_equal(rig_log_count(rig, "app 1 err: flood"), 5000);
	assert_int_equal(left_out(rig), 0);
}

/* The first and the last lines of a flood are there, and how many are not, in between. */
static void test_flood(void **state)
{
	struct rig *rig = *state;
	struct pipe_rig to;
	const char *gap;

	pipe_open(rig, &to);
	flood(rig, &to, 1, 20000);
	finish(rig, &to);
	unsigned logged = rig_log_count(rig, "app 1 err: flood");
	assert_in_range(logged, (OUTPUT_BURST_BYTES + OUTPUT_HELD_BYTES) / 160, 19999);
	assert_int_equal(logged + left_out(rig), 20000);
	gap = strstr(rig_log(rig), "were left out here\n");
	assert_true(gap > strstr(rig_log(rig), " flood 1 "));
	assert_true(gap < strstr(rig_log(rig), " flood 20000 "));
	assert_non_null(strstr(to.text, "flood 20000 "));
}

/* Time gives it back what it may write: what is held comes while the process lives on. */
static void test_flood_that_ends(void **state)
{
	struct rig *rig = *state;
	struct pipe_rig to;

	pipe_open(rig, &to);
	flood(rig, &to, 1, 20000);
	to.flow.may_bytes = OUTPUT_BURST_BYTES;
	rig_until_log(rig, " flood 20000 ");
	SAY(rig, &to, "and on\n");
	assert_int_equal(rig_log_count(rig, "app 1 err: and on\n"), 1);
	finish(rig, &to);
}

/* However much the process writes after it, on both pipes, while it lives on. */
static void test_traceback_is_whole(void **state)
{
	struct rig *rig = *state;
	struct pipe_rig to;
	char line[100];

	pipe_open(rig, &to);
	flood(rig, &to, 1, 20000);
	SAY(rig, &to,
		"Traceback (most recent call last):\n  File \"a.py\", line 1, in first\n    b()\n");
	for (int i = 0; i < 1000; i++)
		say(rig, &to, line,
			(size_t)snprintf(line, sizeof line, "  File \"b.py\", line %d, in b\n", i));
	SAY(rig, &to,
		"ValueError: wrong\nshape of it\n\nDuring handling of the above exception, "
		"another exception occurred:\n\nTraceback (most recent call last):\n  last "
		"frame\nTypeError: no\n");
	flood(rig, &to, 20001, 40000);
	output_flow_flush(&to.flow);
	assert_int_equal(rig_log_count(rig, "Traceback (most recent call last):\n"), 2);
	assert_int_equal(rig_log_count(rig, "err:   File \"b.py\", line "), 1000);
	assert_int_equal(rig_log_count(rig, "err: ValueError: wrong\n"), 1);
	assert_int_equal(rig_log_count(rig, "err: shape of it\n"), 1);
	assert_int_equal(rig_log_count(rig, "err: TypeError: no\n"), 1);
	assert_int_equal(
		left_out(rig) + rig_log_count(rig, "app 1 err: "), 40000 + 3 + 1000 + 3 + 3);
	finish(rig, &to);
}

/* Of an endless recursion, with carets: its head is there, too. */
static void test_long_traceback_is_whole(void **state)
{
	enum { FRAMES = 4000 };
	struct rig *rig = *state;
	struct pipe_rig to;

	pipe_open(rig, &to);
	flood(rig, &to, 1, 20000);
	SAY(rig, &to, "Traceback (most recent call last):\n");
	for (int i = 0; i < FRAMES; i++)
		SAY(rig, &to,
			"  File \"/home/somebody/apps/model.py\", line 12, in step\n"
			"    return self.step(values)\n           ^^^^^^^^^^^^^^^^^\n");
	SAY(rig, &to, "RecursionError: maximum recursion depth exceeded\n");
	flood(rig, &to, 20001, 40000);
	output_flow_flush(&to.flow);
	assert_int_equal(rig_log_count(rig, "err: Traceback (most recent call last):\n"), 1);
	assert_int_equal(rig_log_count(rig, "line 12, in step\n"), FRAMES);
	assert_int_equal(rig_log_count(rig, "err: RecursionError: maximum"), 1);
	finish(rig, &to);
}

/* As wide as a line of JSON may be. */
static void test_long_lines_stay_whole(void **state)
{
	struct rig *rig = *state;
	struct pipe_rig to;
	auto_(free_at_exit) char *bytes = malloc(PROCESS_LINE_BYTES + 2);
	const char *at;

	pipe_open(rig, &to);
	memset(bytes, 'x', PROCESS_LINE_BYTES);
	bytes[0] = '<';
	bytes[PROCESS_LINE_BYTES - 1] = '>';
	bytes[PROCESS_LINE_BYTES] = '\n';
	say(rig, &to, bytes, PROCESS_LINE_BYTES + 1);
	finish(rig, &to);
	at = strchr(rig_log(rig), '<');
	assert_non_null(at);
	assert_memory_equal(at, bytes, PROCESS_LINE_BYTES + 1);
	assert_int_equal(rig_log_count(rig, "app 1 err: "), 1);
}

/* Lines that an app prints have no level: a log that shows only errors shows them. */
static void test_it_is_no_matter_of_levels(void **state)
{
	struct rig *rig = *state;
	struct pipe_rig to;

	log_set_level(rig->log, LOG_LEVEL_CRITICAL);
	pipe_open(rig, &to);
	SAY(rig, &to, "said\n");
	to.output.levels = true;
	SAY(rig, &to, "ERROR one\nINFO  two\nplain\n");
	log_level_output(rig->log);
	SAY(rig, &to, "only with a level\n");
	finish(rig, &to);
	assert_int_equal(rig_log_count(rig, "app 1"), 2);
	assert_int_equal(rig_log_count(rig, "INFO  test: app 1 err: said\n"), 1);
	assert_int_equal(rig_log_count(rig, "INFO  test: app 1 err: plain\n"), 1);
}

static void test_random_bytes(void **state)
{
	struct rig *rig = *state;
	unsigned seed = (unsigned)clock_now_ms();
	char bytes[20000];

	print_message("seed %u\n", seed);
	srandom(seed);
	for (int round = 0; round < 30; round++) {
		struct pipe_rig to;

		pipe_open(rig, &to);
		for (size_t i = 0; i < sizeof bytes; i++)
			bytes[i] =
				(char)(random() % (round % 2 ? 256 : 32) + (round % 3 ? 0 : 0x70));
		say(rig, &to, bytes, sizeof bytes);
		finish(rig, &to);
		assert_true(utf8_valid(to.text, strlen(to.text)));
	}
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_lines),
		TEST(test_levels),
		TEST(test_bad_bytes),
		TEST(test_tail_is_bounded),
		TEST(test_endless_line),
		TEST(test_burst),
		TEST(test_flood),
		TEST(test_flood_that_ends),
		TEST(test_traceback_is_whole),
		TEST(test_long_traceback_is_whole),
		TEST(test_long_lines_stay_whole),
		TEST(test_it_is_no_matter_of_levels),
		TEST(test_filter),
		TEST(test_random_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
