/*
 * Connections that come and go, and large bodies: their memory, their progress, and that nobody
 * waits for them.
 */
#include "fixture.h"

#include <fcntl.h>
#include <malloc.h>

bool __wrap_log_on_terminal(const struct log *log);

bool __wrap_log_on_terminal(const struct log *log)
{
	return true;
}

/* ---- connections ---- */

static void a_connection_is_used_again(void **state)
{
	struct world *world = *state;

	expect_text(world, "/count", "1.1");
	expect_text(world, "/count", "1.2");
	expect_text(world, "/count", "1.3");
}

static void a_connection_closed_while_idle_harms_no_call(void **state)
{
	struct world *world = *state;

	for (int i = 0; i < 20; i++)
		expect_text(world, "/once", "");
}

/* The request is on its way already: it is sent once more, from its beginning. */
static void a_request_whose_connection_closes_is_sent_again(void **state)
{
	struct world *world = *state;
	char expected[32];

	for (int i = 1; i < 5; i++) {
		struct slices body = bytes_of(3);
		struct answer answer;

		call(world, "/stale", &body, &answer);
		assert_int_equal(answer.failure, HTTP_FAILURE_NONE);
		snprintf(expected, sizeof expected, "%d.%zu", i, 3 * MIB);
		expect_body(&answer, expected);
		answer_done(&answer);
	}
}

/* ---- large bodies ---- */

/* Other calls are answered while this one is out; then the server is told to go on with it. */
static void others_go_on(struct world *world, struct answer *transfer)
{
	struct answer beat;

	for (int i = 0; i < 10; i++) {
		ask(world, "/echo", NULL, 5000, NULL, &beat);
		wait_for(world, &beat);
		assert_int_equal(beat.outcome, OUTCOME_OK);
		assert_int_equal(transfer->done, 0);
	}
	expect_text(world, "/open", "");
	wait_for(world, transfer);
	assert_int_equal(transfer->failure, HTTP_FAILURE_NONE);
}

static void nobody_waits_for_an_upload(void **state)
{
	struct world *world = *state;
	struct slices body = bytes_of(64);
	struct answer upload;

	/* The server takes a part of it, and goes on when it is told to. */
	ask(world, "/late", &body, 0, "a reply", &upload);
	others_go_on(world, &upload);
	expect_body(&upload, "67108864");
	answer_done(&upload);
}

static void nobody_waits_for_a_download(void **state)
{
	struct world *world = *state;
	struct answer download;

	ask(world, "/gated/64", NULL, 0, "a message", &download);
	others_go_on(world, &download);
	assert_int_equal(download.body.bytes, 64 * MIB);
	answer_done(&download);
}

/* The server has said no before it has read all. */
static void a_large_body_may_be_refused_early(void **state)
{
	struct world *world = *state;
	struct slices body = bytes_of(8);
	struct answer answer;

	call(world, "/refuse", &body, &answer);
	if (answer.failure == HTTP_FAILURE_NONE)
		assert_int_equal(answer.status, 413);
	else
		assert_int_equal(answer.failure, HTTP_FAILURE_CLOSED);
	answer_done(&answer);
}

static size_t status_kib(const char *name)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[256];
	size_t kib = 0;

	assert_non_null(file);
	while (fgets(line, sizeof line, file))
		if (strncmp(line, name, strlen(name)) == 0)
			kib = strtoul(line + strlen(name) + 1, NULL, 10);
	fclose(file);
	return kib;
}

/* From here on the highest is counted anew. */
static size_t begin_highest(void)
{
	int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "5", 1) != 1)
		skip();
	close(fd);
	return status_kib("VmRSS");
}

static void expect_growth(size_t before_kib, size_t mib)
{
#ifndef __SANITIZE_ADDRESS__
	/* The kernel counts to some pages only: the highest may be below what was there. */
	size_t highest_kib = status_kib("VmHWM");
	size_t grown_kib = highest_kib > before_kib ? highest_kib - before_kib : 0;

	print_message("grown by %zu KiB for %zu MiB\n", grown_kib, mib);
	assert_true(grown_kib < (mib + 4) * 1024);
#else
#endif
}

static void memory_grows_by_the_body_only(void **state)
{
	struct world *world = *state;
	struct slices body = bytes_of(64);
	struct answer answer;
	size_t before;

	expect_text(world, "/echo", "");
	expect_text(world, "/open", "");
	/* What is sent is there already. */
	before = begin_highest();
	call(world, "/late", &body, &answer);
	expect_body(&answer, "67108864");
	answer_done(&answer);
	expect_growth(before, 0);
	before = begin_highest();
	call(world, "/big/64", NULL, &answer);
	assert_int_equal(answer.body.bytes, 64 * MIB);
	expect_growth(before, 64);
	answer_done(&answer);
	/* Nobody says how long it will be. */
	before = begin_highest();
	call(world, "/chunked/64", NULL, &answer);
	assert_int_equal(answer.body.bytes, 64 * MIB);
	expect_growth(before, 64);
	answer_done(&answer);
	/* An announcement takes none. */
	before = begin_highest();
	ask(world, "/half", NULL, 100, NULL, &answer);
	wait_for(world, &answer);
	expect_growth(before, 0);
}

/* ---- progress ---- */

static void progress_is_logged(void **state)
{
	struct world *world = *state;
	struct slices body = bytes_of(64);
	struct answer upload, download;

	ask(world, "/late", &body, 0, "a reply", &upload);
	kit_loop_until(world->loop, kit_log_count(&world->log, "sending a reply: "));
	assert_true(kit_log_count(&world->log, " of 64.0 MiB, ") > 0);
	ask(world, "/gated/5", NULL, 0, "a FAB", &download);
	kit_loop_until(
		world->loop, kit_log_count(&world->log, "receiving a FAB: 3.0 MiB so far, "));
	expect_text(world, "/open", "");
	wait_for(world, &upload);
	wait_for(world, &download);
	answer_done(&upload);
	answer_done(&download);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_connection_is_used_again),
		TEST(a_connection_closed_while_idle_harms_no_call),
		TEST(a_request_whose_connection_closes_is_sent_again),
		TEST(nobody_waits_for_an_upload),
		TEST(nobody_waits_for_a_download),
		TEST(a_large_body_may_be_refused_early),
		TEST(memory_grows_by_the_body_only),
		TEST(progress_is_logged),
	};

	/* As the programs do: what is freed is gone. */
	mallopt(M_MMAP_THRESHOLD, 1 << 17);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
