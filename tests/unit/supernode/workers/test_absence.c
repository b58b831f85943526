/*
 * Absences with real processes; their time passes when the test says so.
 */
#include "common/base/clock.h"
#include "kit/loop.h"
#include "supernode/workers/absence.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#define BACK_MS 30000
#define TIMERS  8

struct lost {
	unsigned times;
	uint64_t token;
	char reason[256];
};

static struct rig {
	struct loop *loop;
	struct absence *absence;
	struct lost lost; /* how often, and the last one */
	bool returning;   /* one that is away may be on its way back */
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

static void on_lost(void *arg, uint64_t token, const char *reason)
{
	assert_ptr_equal(arg, &rig);
	rig.lost.times++;
	rig.lost.token = token;
	snprintf(rig.lost.reason, sizeof rig.lost.reason, "%s", reason);
}

static bool on_returning(void *arg)
{
	assert_ptr_equal(arg, &rig);
	return rig.returning;
}

static const struct absence_ops events = {.lost = on_lost, .returning = on_returning};

/* The reason of the last one says that its time was over. */
static bool late(void)
{
	return strstr(rig.lost.reason, "did not come back") != NULL;
}

static int setup(void **state)
{
	n_armed = 0;
	memset(&rig, 0, sizeof rig);
	assert_int_equal(loop_new(&rig.loop), 0);
	rig.absence = absence_new(rig.loop, BACK_MS, &events, &rig);
	assert_non_null(rig.absence);
	return 0;
}

static int teardown(void **state)
{
	absence_free(rig.absence);
	loop_free(rig.loop);
	return 0;
}

static void until_lost(unsigned times)
{
	kit_loop_until(rig.loop, rig.lost.times >= times);
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

	absence_begin(rig.absence, 7, pidfd, false);
	settle();
	assert_int_equal(rig.lost.times, 0);
	process_end(pid);
	until_lost(1);
	assert_int_equal(rig.lost.token, 7);
	assert_false(late());
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

	process_end(pid);
	absence_begin(rig.absence, 7, pidfd, false);
	/* From the loop, never from inside. */
	assert_int_equal(rig.lost.times, 0);
	until_lost(1);
	assert_false(late());
}

static void without_a_process_the_time_counts(void **state)
{
	int64_t before_ms = clock_now_ms();

	absence_begin(rig.absence, 7, -1, false);
	assert_int_equal(n_armed, 1);
	assert_in_range(armed[0].at_ms, before_ms + BACK_MS, clock_now_ms() + BACK_MS);
	settle();
	assert_int_equal(rig.lost.times, 0);
	time_is_over(0);
	until_lost(1);
	assert_int_equal(rig.lost.token, 7);
	assert_true(late());
	assert_non_null(strstr(rig.lost.reason, "within 30 s (--worker-reconnect)"));
}

/* One that lives, and hangs, does not come back either. */
static void the_time_counts_for_a_process_that_lives(void **state)
{
	int pidfd;
	pid_t pid = process_new(&pidfd);

	absence_begin(rig.absence, 7, pidfd, false);
	time_is_over(0);
	until_lost(1);
	assert_true(late());
	assert_false(is_open(pidfd));
	process_end(pid);
	settle();
	assert_int_equal(rig.lost.times, 1);
}

static void one_that_is_back_is_not_lost(void **state)
{
	int pidfd;
	pid_t pid = process_new(&pidfd);

	absence_begin(rig.absence, 7, pidfd, false);
	assert_true(absence_end(rig.absence, 7));
	assert_false(is_open(pidfd));
	process_end(pid);
	settle();
	assert_int_equal(rig.lost.times, 0);
	/* Nobody is away. */
	assert_false(absence_end(rig.absence, 7));
	assert_false(absence_end(rig.absence, 8));
	/* It may go once more. */
	absence_begin(rig.absence, 7, -1, false);
	time_is_over(1);
	until_lost(1);
	assert_int_equal(rig.lost.token, 7);
}

static void each_message_has_its_own(void **state)
{
	int pidfds[3];
	pid_t pids[3];

	for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
		pids[i] = process_new(&pidfds[i]);
		absence_begin(rig.absence, 10 + i, pidfds[i], false);
	}
	absence_end(rig.absence, 11);
	process_end(pids[1]);
	process_end(pids[0]);
	until_lost(1);
	assert_int_equal(rig.lost.token, 10);
	assert_true(is_open(pidfds[2]));
	time_is_over(2);
	until_lost(2);
	assert_int_equal(rig.lost.token, 12);
	assert_true(late());
	process_end(pids[2]);
}

/* The last end counts: with its process, and the whole time again. */
static void away_again_takes_the_place_of_away(void **state)
{
	int first, second;
	pid_t pids[2] = {process_new(&first), process_new(&second)};

	absence_begin(rig.absence, 7, first, false);
	absence_begin(rig.absence, 7, second, false);
	assert_false(is_open(first));
	assert_int_equal(n_armed, 2);
	process_end(pids[0]);
	settle();
	assert_int_equal(rig.lost.times, 0);
	process_end(pids[1]);
	until_lost(1);
	assert_false(late());
}

/* As long as outputs are on their way; its process counts all the same. */
static void one_that_may_be_returning_is_waited_for_again(void **state)
{
	int pidfd;
	pid_t pid = process_new(&pidfd);

	rig.returning = true;
	absence_begin(rig.absence, 7, pidfd, false);
	time_is_over(0);
	kit_loop_until(rig.loop, n_armed >= 2);
	assert_int_equal(rig.lost.times, 0);
	process_end(pid);
	until_lost(1);
	assert_false(late());
	absence_begin(rig.absence, 8, -1, false);
	rig.returning = false;
	time_is_over(2);
	until_lost(2);
	assert_int_equal(rig.lost.token, 8);
	assert_true(late());
}

/* No time at all is a second then. */
static void who_has_no_time_is_not_looked_for_all_the_time(void **state)
{
	struct absence *impatient = absence_new(rig.loop, 0, &events, &rig);
	int64_t before_ms = clock_now_ms();

	assert_non_null(impatient);
	rig.returning = true;
	absence_begin(impatient, 7, -1, false);
	time_is_over(0);
	kit_loop_until(rig.loop, n_armed >= 2);
	assert_in_range(armed[1].at_ms, before_ms + 1000, clock_now_ms() + 1000);
	absence_free(impatient);
}

static void one_that_may_stay_away_has_no_time(void **state)
{
	int pidfd;
	pid_t pid = process_new(&pidfd);

	absence_begin(rig.absence, 7, -1, true);
	absence_begin(rig.absence, 8, pidfd, true);
	assert_true(absence_is_for_good(rig.absence, 7));
	assert_false(absence_is_for_good(rig.absence, 9));
	assert_int_equal(n_armed, 0);
	process_end(pid);
	until_lost(1);
	assert_int_equal(rig.lost.token, 8);
	assert_false(late());
}

/* The search for it takes longer than the connection lived. */
static void a_process_may_be_found_later(void **state)
{
	int first, second, third;
	pid_t pids[] = {process_new(&first), process_new(&second), process_new(&third)};

	/* Of one that is not away. */
	absence_found(rig.absence, 7, first);
	assert_false(is_open(first));
	absence_begin(rig.absence, 7, -1, false);
	absence_found(rig.absence, 7, second);
	/* The first one that was found is it. */
	absence_found(rig.absence, 7, third);
	assert_false(is_open(third));
	process_end(pids[0]);
	process_end(pids[2]);
	settle();
	assert_int_equal(rig.lost.times, 0);
	process_end(pids[1]);
	until_lost(1);
	assert_int_equal(rig.lost.token, 7);
}

static bool is_odd(void *arg, uint64_t token)
{
	assert_ptr_equal(arg, &rig);
	return token % 2;
}

static void those_that_live_no_longer_are_forgotten(void **state)
{
	int pidfds[4];
	pid_t pids[4];

	for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
		pids[i] = process_new(&pidfds[i]);
		absence_begin(rig.absence, 10 + i, pidfds[i], true);
	}
	absence_sweep(rig.absence, is_odd, &rig);
	for (size_t i = 0; i < ARRAY_LEN(pids); i++)
		assert_int_equal(is_open(pidfds[i]), i % 2);
	for (size_t i = 0; i < ARRAY_LEN(pids); i++)
		process_end(pids[i]);
	until_lost(2);
}

static void nothing_is_told_when_it_is_freed(void **state)
{
	int pidfd;
	pid_t pid = process_new(&pidfd);

	absence_begin(rig.absence, 7, pidfd, false);
	absence_begin(rig.absence, 8, -1, false);
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
		TEST(one_that_may_be_returning_is_waited_for_again),
		TEST(who_has_no_time_is_not_looked_for_all_the_time),
		TEST(one_that_may_stay_away_has_no_time),
		TEST(a_process_may_be_found_later),
		TEST(those_that_live_no_longer_are_forgotten),
		TEST(nothing_is_told_when_it_is_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
