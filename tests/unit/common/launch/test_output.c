#include "common/launch/output.h"
#include "rig.h"

#include "common/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* One output with its pipe. */
struct pipe_rig {
	struct output output;
	struct output_rate rate;
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

	memset(to, 0, sizeof(*to));
	assert_return_code(pipe2(ends, O_CLOEXEC), errno);
	output_rate_init(&to->rate);
	to->output = (struct output){.log = rig->log,
		.name = "app 1",
		.label = "err",
		.rate = &to->rate,
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
	output_rate_report(&to->rate, rig->log, "app 1");
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

/* What a log of ours wrote keeps its level; what only looks like it does not. */
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
		say(rig, &to, line, (size_t)snprintf(line, sizeof(line), "line %d.\n", i));
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
	assert_int_equal(rig_log_count(rig, "app 1 err: "), 300007 / 4095 + 1);
	assert_null(strchr(rig_log(rig), '?'));
}

static void test_flood(void **state)
{
	struct rig *rig = *state;
	struct pipe_rig to;
	char line[64];
	unsigned dropped;

	pipe_open(rig, &to);
	for (int i = 1; i <= 10000; i++)
		say(rig, &to, line, (size_t)snprintf(line, sizeof(line), "flood %d\n", i));
	finish(rig, &to);
	/* The burst, and what time allowed while it was written. */
	unsigned logged = rig_log_count(rig, "app 1 err: flood");
	assert_true(logged >= OUTPUT_BURST_LINES);
	assert_true(logged < 5000);
	dropped = 0;
	int counts[5000];
	const char *head = "app 1: ";
	size_t n = rig_log_numbers(rig, head, counts, ARRAY_LEN(counts));
	for (size_t i = 0; i < n; i++)
		dropped += (unsigned)counts[i];
	assert_true(dropped > 0);
	assert_int_equal(logged + dropped, 10000);
	assert_string_equal(to.text + strlen(to.text) - 11, "flood 10000");
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
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] =
				(char)(random() % (round % 2 ? 256 : 32) + (round % 3 ? 0 : 0x70));
		say(rig, &to, bytes, sizeof(bytes));
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
		TEST(test_flood),
		TEST(test_random_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
