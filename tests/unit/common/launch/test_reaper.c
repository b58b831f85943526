/*
 * The parent of this program stands for its reaper.
 */
#include "common/launch/reaper.h"
#include "rig.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#define OTHER 77 /* a sender that is none */

/* Find the reaper of a program with this in its environment. */
static struct reaper found(pid_t pid, int letter)
{
	struct reaper reaper;
	char text[64];

	snprintf(text, sizeof text, "%d:%d", (int)pid, letter);
	setenv("FLWR_REAPER", text, 1);
	reaper_find(&reaper);
	assert_null(getenv("FLWR_REAPER"));
	return reaper;
}

static void a_program_may_have_none(void **state)
{
	static const char *const texts[] = {NULL, "", "x", "5", "0:3", "-1:3"};
	struct rig *rig = *state;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct reaper reaper;

		if (texts[i])
			setenv("FLWR_REAPER", texts[i], 1);
		reaper_find(&reaper);
		assert_int_equal(reaper.pid, 0);
		assert_null(getenv("FLWR_REAPER"));
		assert_int_equal(reaper_watch(&reaper, rig->loop, NULL, NULL), 0);
		assert_false(reaper_ask_restart(&reaper));
		assert_false(reaper_repeats(&reaper, SIGTERM, OTHER, 0));
		assert_false(reaper_repeats(&reaper, SIGTERM, 0, 1));
		reaper_done(&reaper);
	}
}

static void letters_are_written(void **state)
{
	char text[32] = "";
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	struct reaper reaper = found(getppid(), ends[1]);
	assert_int_equal(reaper.letter, ends[1]);
	assert_int_equal(fcntl(reaper.letter, F_GETFD), FD_CLOEXEC);
	reaper_name_dir(&reaper, "/tmp/x");
	reaper_name_groups(&reaper, "/g/app-");
	assert_true(reaper_ask_restart(&reaper));
	assert_int_equal(read(ends[0], text, sizeof text), 18);
	assert_memory_equal(text, "d/tmp/x\0g/g/app-\0r", 18);
	reaper_done(&reaper);
	close(ends[0]);
}

static void note(void *arg)
{
	*(bool *)arg = true;
}

static void its_end_is_told(void **state)
{
	struct rig *rig = *state;
	bool gone = false;
	struct reaper reaper = {.pid = fork(), .letter = -1};

	if (reaper.pid == 0)
		for (;;)
			pause();
	reaper.pidfd = pidfd_open(reaper.pid, 0);
	assert_int_equal(reaper_watch(&reaper, rig->loop, note, &gone), 0);
	loop_step(rig->loop, 0);
	assert_false(gone);
	kill(reaper.pid, SIGKILL);
	rig_until(rig, &gone);
	waitpid(reaper.pid, NULL, 0);
	reaper_done(&reaper);
}

/* Its number is not the parent's any more when this program looks. */
static void its_early_end_is_told(void **state)
{
	struct rig *rig = *state;
	bool gone = false;
	struct reaper reaper = found(getpid(), -1);

	assert_int_equal(reaper.pid, getpid());
	assert_int_equal(reaper_watch(&reaper, rig->loop, note, &gone), 0);
	assert_false(gone);
	rig_until(rig, &gone);
	reaper_done(&reaper);
}

static void a_signal_to_both_counts_once(void **state)
{
	enum { ITS = 9 }; /* the reaper's number */
	static const struct {
		int signal;
		pid_t sender;
		int64_t ms;
		bool repeats;
	} rows[] = {
		/* From the reaper alone each counts, */
		{SIGTERM, ITS, 0, false},
		{SIGTERM, ITS, 1, false},
		/* from others, too; */
		{SIGINT, OTHER, 1000, false},
		{SIGINT, OTHER, 1001, false},
		/* not from one and the other, */
		{SIGTERM, OTHER, 2000, false},
		{SIGTERM, ITS, 2005, true},
		{SIGTERM, ITS, 2010, false},
		{SIGTERM, 0, 2015, true},
		/* unless it is another signal, */
		{SIGINT, ITS, 3000, false},
		{SIGTERM, OTHER, 3001, false},
		/* or a later one. */
		{SIGINT, ITS, 4000, false},
		{SIGINT, OTHER, 4500, false},
	};
	struct reaper reaper = {.pid = ITS, .pidfd = -1, .letter = -1};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (reaper_repeats(&reaper, rows[i].signal, rows[i].sender, rows[i].ms) !=
			rows[i].repeats)
			fail_msg("row %zu", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_program_may_have_none, rig_setup, rig_teardown),
		cmocka_unit_test(letters_are_written),
		cmocka_unit_test_setup_teardown(its_end_is_told, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(its_early_end_is_told, rig_setup, rig_teardown),
		cmocka_unit_test(a_signal_to_both_counts_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
