/*
 * The checks of FABs, with the program that reads them and with others in its place that crash,
 * lie, say too much and hang.
 */
#include "common/base/sha256.h"
#include "kit/clock.h"
#include "kit/dir.h"
#include "kit/loop.h"
#include "supernode/run/fab_check.h"

#include <fcntl.h>
#include <sys/stat.h>

#define RUN_ID 7

static struct {
	struct loop *loop;
	struct log *log;
	struct process_set *processes;
	struct fab_checks *checks;
	unsigned said;
	char hash[SHA256_HEX_BYTES];
	char refused[REASON_BYTES];
} rig;

static int setup(void **state)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	rig.log = log_new(null, NULL, LOG_LEVEL_DEBUG);
	assert_int_equal(loop_new(&rig.loop), 0);
	kit_clock_run(rig.loop);
	assert_int_equal(process_set_new(rig.loop, rig.log, &rig.processes), 0);
	rig.said = 0;
	return 0;
}

static int teardown(void **state)
{
	fab_checks_free(rig.checks);
	rig.checks = NULL;
	process_set_free(rig.processes);
	kit_clock_done();
	loop_free(rig.loop);
	log_free(rig.log);
	return 0;
}

static void on_checked(void *arg, uint64_t run_id, struct checked_fab *fab, const char *refused)
{
	assert_ptr_equal(arg, &rig);
	assert_int_equal(run_id, RUN_ID);
	assert_string_equal(fab->hash, rig.hash);
	snprintf(rig.refused, sizeof rig.refused, "%s", refused ? refused : "");
	rig.said++;
}

static void check_begin(const char *reader, const char *bytes)
{
	const struct fab_checks_options options = {
		.processes = rig.processes, .reader_path = reader};
	struct unchecked_fab fab = {.hash = rig.hash};

	fab_checks_free(rig.checks);
	assert_int_equal(fab_checks_new(rig.loop, rig.log, &options, &rig.checks), 0);
	assert_int_equal(slices_append_copy(&fab.content, bytes, strlen(bytes)), 0);
	assert_int_equal(sha256_slices(&fab.content, rig.hash), 0);
	assert_int_equal(fab_checks_start(rig.checks, RUN_ID, &fab, on_checked, &rig), 0);
	assert_int_equal(fab.content.n, 0);
	assert_int_equal(fab_checks_count(rig.checks), 1);
}

static void check(const char *reader, const char *sentence)
{
	unsigned before = rig.said;

	check_begin(reader, "no zip");
	kit_loop_until(rig.loop, rig.said > before);
	assert_int_equal(fab_checks_count(rig.checks), 0);
	if (!strstr(rig.refused, sentence))
		fail_msg("%s: %s", sentence, rig.refused);
}

static void the_real_one(void **state)
{
	check(READ_MANIFEST, "the FAB is no zip archive");
}

/* A program in its place. */
static void check_script(const char *text, const char *sentence)
{
	auto_(free_at_exit) char *script = NULL, *path = NULL;

	assert_true(asprintf(&script, "#!/bin/sh\n%s\n", text) > 0);
	path = kit_dir_script("reader", script);
	check(path, sentence);
}

static void what_it_may_do(void **state)
{
	check_script("kill -SEGV $$", "killed by signal 11");
	check_script("kill -KILL $$", "killed by signal 9");
	check_script("ulimit -S -t 1; while :; do :; done", "too much time");
	check_script("exit 1", "failed");
	check_script("exit 0", "no answer of its form");
	check_script("printf Mabcdefghijklmnop >&3", "no answer of its form");
	check_script("printf 'R\\004\\000\\000\\000why?' >&3", "why?");
	check_script("printf 'R\\004\\000\\000\\000why?!' >&3", "no answer of its form");
	check_script("exec cat /dev/zero >&3", "too much in it");
	check("/nonexistent/reader", "could not start the program that reads it");
}

static void one_that_hangs(void **state)
{
	auto_(free_at_exit) char *path = kit_dir_script("reader", "#!/bin/sh\nexec sleep 1000\n");

	check_begin(path, "no zip");
	kit_loop_until(rig.loop, process_set_count(rig.processes) > 0);
	assert_int_equal(rig.said, 0);
	kit_clock_pass(30000);
	kit_loop_until(rig.loop, rig.said == 1);
	assert_non_null(strstr(rig.refused, "it took longer than 30 s"));
	assert_int_equal(process_set_count(rig.processes), 0);
}

/* Stopped in the middle, it is told, and nothing is left of it. */
static void a_stop(void **state)
{
	auto_(free_at_exit) char *path = kit_dir_script("reader", "#!/bin/sh\nexec sleep 1000\n");

	check_begin(path, "one");
	kit_loop_until(rig.loop, process_set_count(rig.processes) > 0);
	fab_checks_free(rig.checks);
	rig.checks = NULL;
	assert_int_equal(rig.said, 1);
	assert_non_null(strstr(rig.refused, "was stopped"));
	/* While it is hashed, too. */
	check_begin(path, "two");
	fab_checks_free(rig.checks);
	rig.checks = NULL;
	assert_int_equal(rig.said, 2);
	assert_non_null(strstr(rig.refused, "was stopped"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_real_one, setup, teardown),
		cmocka_unit_test_setup_teardown(what_it_may_do, setup, teardown),
		cmocka_unit_test_setup_teardown(one_that_hangs, setup, teardown),
		cmocka_unit_test_setup_teardown(a_stop, setup, teardown),
	};

	return cmocka_run_group_tests(tests, kit_dir_make, kit_dir_remove);
}
