/*
 * Absences with real processes; their time passes when the test says so.
 */
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "supernode/appio/absence.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define DEADLINE_MS 10000
#define BACK_MS     30000
#define TIMERS      8

struct lost {
	unsigned times;
	uint64_t message;
	bool late;
	char reason[256];
};

static struct rig {
	struct loop *loop;
	struct absence *absence;
	struct lost lost; /* how often, and the last one */
	bool again;       /* when one is lost, it is away once more */
} rig;

/* What was armed, in that order; no timer fires by itself. */
static struct {
	struct timer *timer;
	int64_t at_ms;
} armed[TIMERS];
static size_t n_armed;

void __real_timer_set(struct timer *timer, int64_t at_ms);
void __wrap_timer_set(struct timer *timer, int64_t at_ms);

void __wrap_timer_set(struct timer *timer, int64_t at_ms)
{
	assert_true(n_armed < TIMERS);
	armed[n_armed].timer = timer;
	armed[n_armed++].at_ms = at_ms;
}

/* The time of the i-th one is over. */
static void time_is_over(size_t i)
{
	assert_true(i < n_armed);
	__real_timer_set(armed[i].timer, 0);
}

static void on_lost(void *arg, uint64_t message, bool late, const char *reason)
{
	assert_ptr_equal(arg, &rig);
	rig.lost.times++;
	rig.lost.message = message;
	rig.lost.late = late;
	snprintf(rig.lost.reason, sizeof rig.lost.reason, "%s", reason);
	if (rig.again)
		absence_begin(rig.absence, message, -1);
}

static int setup(void **state)
{
	(void)state;
	n_armed = 0;
	memset(&rig, 0, sizeof rig);
	assert_int_equal(loop_new(&rig.loop), 0);
	rig.absence = absence_new(rig.loop, BACK_MS, on_lost, &rig);
	assert_non_null(rig.absence);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	absence_free(rig.absence);
	loop_free(rig.loop);
	return 0;
}

static void until_lost(unsigned times)
{
	int64_t end_ms = clock_now_ms() + DEADLINE_MS;

	while (rig.lost.times < times) {
		assert_true(clock_now_ms() < end_ms);
		loop_step(rig.loop, 50);
	}
	assert_int_equal(rig.lost.times, times);
}

/* Whatever is ready now is done. */
static void settle(void)
{
	for (int i = 0; i < 3; i++)
		loop_step(rig.loop, 0);
}

/* A process that does nothing, and a pidfd of it. */
static pid_t process_new(int *pidfd)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		for (;;)
			pause();
	*pidfd = pidfd_open(pid, 0);
	assert_true(*pidfd >= 0);
	return pid;
}

static void process_end(pid_t pid)
{
	assert_return_code(kill(pid, SIGKILL), errno);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void the_end_of_the_process_is_the_end(void **state)
{
	int pidfd;
	pid_t pid = process_new(&pidfd);

	(void)state;
	absence_begin(rig.absence, 7, pidfd);
	settle();
	assert_int_equal(rig.lost.times, 0);
	process_end(pid);
	until_lost(1);
	assert_int_equal(rig.lost.message, 7);
	assert_false(rig.lost.late);
	assert_non_null(strstr(rig.lost.reason, "process has ended"));
	assert_false(is_open(pidfd));
	settle();
	assert_int_equal(rig.lost.times, 1);
}

/* It may have ended before the connection's end was seen. */
static void a_process_that_has_ended_is_seen_at_once(void **state)
{
	int pidfd;
	pid_t pid = process_new(&pidfd);

	(void)state;
	process_end(pid);
	absence_begin(rig.absence, 7, pidfd);
	/* From the loop, never from inside. */
	assert_int_equal(rig.lost.times, 0);
	until_lost(1);
	assert_false(rig.lost.late);
}

static void without_a_process_the_time_counts(void **state)
{
	int64_t before_ms = clock_now_ms();

	(void)state;
	absence_begin(rig.absence, 7, -1);
	assert_int_equal(n_armed, 1);
	assert_in_range(armed[0].at_ms, before_ms + BACK_MS, clock_now_ms() + BACK_MS);
	settle();
	assert_int_equal(rig.lost.times, 0);
	time_is_over(0);
	until_lost(1);
	assert_int_equal(rig.lost.message, 7);
	assert_true(rig.lost.late);
	assert_non_null(strstr(rig.lost.reason, "within 30 s (--worker-reconnect)"));
}

/* One that lives, and hangs, does not come back either. */
static void the_time_counts_for_a_process_that_lives(void **state)
{
	int pidfd;
	pid_t pid = process_new(&pidfd);

	(void)state;
	absence_begin(rig.absence, 7, pidfd);
	time_is_over(0);
	until_lost(1);
	assert_true(rig.lost.late);
	assert_false(is_open(pidfd));
	process_end(pid);
	settle();
	assert_int_equal(rig.lost.times, 1);
}

static void one_that_is_back_is_not_lost(void **state)
{
	int pidfd;
	pid_t pid = process_new(&pidfd);

	(void)state;
	absence_begin(rig.absence, 7, pidfd);
	absence_end(rig.absence, 7);
	assert_false(is_open(pidfd));
	process_end(pid);
	settle();
	assert_int_equal(rig.lost.times, 0);
	/* Nobody is away. */
	absence_end(rig.absence, 7);
	absence_end(rig.absence, 8);
	/* It may go once more. */
	absence_begin(rig.absence, 7, -1);
	time_is_over(1);
	until_lost(1);
	assert_int_equal(rig.lost.message, 7);
}

static void each_message_has_its_own(void **state)
{
	int pidfds[3];
	pid_t pids[3];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
		pids[i] = process_new(&pidfds[i]);
		absence_begin(rig.absence, 10 + i, pidfds[i]);
	}
	absence_end(rig.absence, 11);
	process_end(pids[1]);
	process_end(pids[0]);
	until_lost(1);
	assert_int_equal(rig.lost.message, 10);
	assert_true(is_open(pidfds[2]));
	time_is_over(2);
	until_lost(2);
	assert_int_equal(rig.lost.message, 12);
	assert_true(rig.lost.late);
	process_end(pids[2]);
}

/* The last end counts: with its process, and the whole time again. */
static void away_again_takes_the_place_of_away(void **state)
{
	int first, second;
	pid_t pids[2] = {process_new(&first), process_new(&second)};

	(void)state;
	absence_begin(rig.absence, 7, first);
	absence_begin(rig.absence, 7, second);
	assert_false(is_open(first));
	assert_int_equal(n_armed, 2);
	process_end(pids[0]);
	settle();
	assert_int_equal(rig.lost.times, 0);
	process_end(pids[1]);
	until_lost(1);
	assert_false(rig.lost.late);
}

/* As appio does while outputs are on their way. */
static void one_that_is_lost_may_be_let_wait_again(void **state)
{
	(void)state;
	rig.again = true;
	absence_begin(rig.absence, 7, -1);
	time_is_over(0);
	until_lost(1);
	assert_int_equal(n_armed, 2);
	settle();
	assert_int_equal(rig.lost.times, 1);
	rig.again = false;
	time_is_over(1);
	until_lost(2);
	assert_int_equal(rig.lost.message, 7);
}

static void nothing_is_told_when_it_is_freed(void **state)
{
	int pidfd;
	pid_t pid = process_new(&pidfd);

	(void)state;
	absence_begin(rig.absence, 7, pidfd);
	absence_begin(rig.absence, 8, -1);
	absence_free(rig.absence);
	rig.absence = NULL;
	assert_false(is_open(pidfd));
	process_end(pid);
	settle();
	assert_int_equal(rig.lost.times, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_end_of_the_process_is_the_end),
		TEST(a_process_that_has_ended_is_seen_at_once),
		TEST(without_a_process_the_time_counts),
		TEST(the_time_counts_for_a_process_that_lives),
		TEST(one_that_is_back_is_not_lost),
		TEST(each_message_has_its_own),
		TEST(away_again_takes_the_place_of_away),
		TEST(one_that_is_lost_may_be_let_wait_again),
		TEST(nothing_is_told_when_it_is_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
