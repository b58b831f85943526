/*
 * Each test is about a process of its own, which is the subreaper of what it starts.
 */
#include "common/base/below.h"
#include "common/base/tree.h"
#include "kit/test.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#define LONG_MS   20000
#define DEEP      100   /* processes */
#define BOMB      60    /* processes */
#define BOMB_USER 20004 /* has no others, not those of other tests either */

/* Run what() in a process of its own; its result is that process's exit status. */
static int apart(int (*what)(struct tree *tree))
{
	int status = -1;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct tree tree;
		sigset_t child;

		sigemptyset(&child);
		sigaddset(&child, SIGCHLD);
		sigprocmask(SIG_BLOCK, &child, NULL);
		prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
		tree_begin(&tree);
		_exit(what(&tree));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static bool empty(void)
{
	return waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD;
}

/* This process cannot be told to end. */
__attribute__((noreturn)) static void stay(int ready)
{
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	setsid();
	(void)!write(ready, "", 1);
	for (;;)
		pause();
}

/* Wait until so many have said that they are there. */
static void wait_for(int ready, unsigned n)
{
	char byte;

	while (n > 0)
		n -= read(ready, &byte, 1) == 1;
}

static int nothing(struct tree *tree)
{
	return tree_empty(tree, LONG_MS) == 0 && tree->ended == 0;
}

static void nothing_is_empty(void **state)
{
	assert_int_equal(apart(nothing), 1);
}

/* Start a chain of n processes, each the child of the one before, and wait until all are there.
 * false: there are none. */
static bool chain_start(unsigned n)
{
	int ends[2];

	if (pipe(ends) < 0)
		return false;
	if (fork() == 0) {
		for (unsigned i = 1; i < n; i++) {
			pid_t child = fork();

			if (child > 0)
				stay(ends[1]);
		}
		stay(ends[1]);
	}
	wait_for(ends[0], n);
	close(ends[0]);
	close(ends[1]);
	return true;
}

static int chain(struct tree *tree)
{
	if (!chain_start(40))
		return 2;
	return tree_empty(tree, LONG_MS) == 0 && empty() && tree->ended == 40;
}

static void chain_is_ended(void **state)
{
	assert_int_equal(apart(chain), 1);
}

static int deep_chain(struct tree *tree)
{
	if (!chain_start(DEEP))
		return 2;
	return tree_empty(tree, LONG_MS) == 0 && empty() && tree->ended == DEEP;
}

static void deep_chain_is_ended(void **state)
{
	assert_int_equal(apart(deep_chain), 1);
}

static bool all_are_chosen(void *arg, pid_t child)
{
	return true;
}

/* All below are killed at once, in the first go; this process has its own priority again. */
static int deep_below(struct tree *tree)
{
	const int policy = sched_getscheduler(0);
	unsigned killed = 0;
	siginfo_t info;

	if (!chain_start(DEEP))
		return 2;
	below_end(all_are_chosen, NULL);
	while (waitid(P_ALL, 0, &info, WEXITED) == 0)
		killed += info.si_code == CLD_KILLED && info.si_status == SIGKILL;
	return killed == DEEP && sched_getscheduler(0) == policy;
}

static void all_below_are_killed_in_one_go(void **state)
{
	assert_int_equal(apart(deep_below), 1);
}

static bool is_not(void *arg, pid_t child)
{
	return child != *(pid_t *)arg;
}

/* Only the chosen child ends. Whoever is below a child that was not chosen is not even stopped. */
static int not_chosen(struct tree *tree)
{
	int ends[2];
	pid_t spared, chosen;
	bool untouched;

	if (pipe(ends) < 0)
		return 2;
	spared = fork();
	if (spared == 0) {
		fork();
		stay(ends[1]);
	}
	chosen = fork();
	if (chosen == 0)
		stay(ends[1]);
	wait_for(ends[0], 3);
	below_end(is_not, &spared);
	untouched = waitpid(chosen, NULL, 0) == chosen &&
		    waitpid(spared, NULL, WNOHANG | WUNTRACED) == 0;
	return tree_empty(tree, LONG_MS) == 0 && untouched && tree->ended == 2;
}

static void who_is_not_chosen_is_spared(void **state)
{
	assert_int_equal(apart(not_chosen), 1);
}

/* Processes beside us and above us, of our own session, are not below us. */
static void who_is_not_below_gets_no_signal(void **state)
{
	int ends[2], status;
	pid_t beside;

	assert_int_equal(pipe(ends), 0);
	beside = fork();
	assert_true(beside >= 0);
	if (beside == 0)
		stay(ends[1]);
	wait_for(ends[0], 1);
	assert_int_equal(apart(deep_below), 1);
	/* Neither stopped nor ended, nor was it stopped and continued. */
	assert_int_equal(waitpid(beside, &status, WNOHANG | WUNTRACED | WCONTINUED), 0);
	kill(beside, SIGKILL);
	assert_int_equal(waitpid(beside, &status, 0), beside);
}

/* Daemons: their parents have ended. */
static int daemons(struct tree *tree)
{
	int ends[2];

	if (pipe(ends) < 0)
		return 2;
	for (int i = 0; i < 40; i++) {
		if (fork() == 0) {
			setsid();
			if (fork() == 0)
				stay(ends[1]);
			_exit(0);
		}
	}
	wait_for(ends[0], 40);
	return tree_empty(tree, LONG_MS) == 0 && empty() && tree->ended == 80;
}

static void daemons_are_ended(void **state)
{
	assert_int_equal(apart(daemons), 1);
}

/* Starts its child anew whenever that ends. */
__attribute__((noreturn)) static void start_again(int ready)
{
	for (bool first = true;; first = false) {
		pid_t child = fork();

		if (child == 0)
			for (;;)
				pause();
		if (first)
			(void)!write(ready, "", 1);
		waitpid(child, NULL, 0);
	}
}

/* Each generation has a session of its own and lives for no longer than it takes to fork. */
__attribute__((noreturn)) static void run_away(int ready)
{
	(void)!write(ready, "", 1);
	for (;;) {
		pid_t child = fork();

		if (child > 0)
			_exit(0);
		if (child == 0)
			setsid();
	}
}

static int runaways(struct tree *tree)
{
	int ends[2];

	if (pipe(ends) < 0)
		return 2;
	for (int i = 0; i < 8; i++) {
		if (fork() == 0) {
			if (i % 2)
				run_away(ends[1]);
			start_again(ends[1]);
		}
	}
	wait_for(ends[0], 8);
	return tree_empty(tree, LONG_MS) == 0 && empty();
}

static void what_forks_on_and_on_is_ended(void **state)
{
	for (int i = 0; i < 10; i++)
		assert_int_equal(apart(runaways), 1);
}

/* Forks without end, and so do its children, half of which have sessions of their own: as many as
 * the kernel lets their user have. */
__attribute__((noreturn)) static void explode(int ready)
{
	const struct rlimit limit = {BOMB, BOMB};

	setrlimit(RLIMIT_NPROC, &limit);
	(void)!setresuid(BOMB_USER, BOMB_USER, BOMB_USER);
	for (pid_t first = getpid();;) {
		pid_t child = fork();

		if (child == 0 && getpid() % 2)
			setsid();
		if (child < 0 && getpid() == first)
			(void)!write(ready, "", 1);
	}
}

static int bomb(struct tree *tree)
{
	int ends[2];

	if (pipe(ends) < 0)
		return 2;
	if (fork() == 0)
		explode(ends[1]);
	wait_for(ends[0], 1);
	return tree_empty(tree, LONG_MS) == 0 && empty();
}

static void fork_bomb_is_ended(void **state)
{
	if (geteuid() != 0)
		skip(); /* another user's processes are counted */
	assert_int_equal(apart(bomb), 1);
}

static int stopped(struct tree *tree)
{
	int ends[2];
	pid_t child = pipe(ends) < 0 ? -1 : fork();

	if (child == 0)
		stay(ends[1]);
	wait_for(ends[0], 1);
	kill(child, SIGSTOP);
	return tree_empty(tree, LONG_MS) == 0 && empty() && tree->ended == 1;
}

static void what_is_stopped_is_ended(void **state)
{
	assert_int_equal(apart(stopped), 1);
}

/* Without time it kills, and says how many it has not seen end. */
static int no_time(struct tree *tree)
{
	int ends[2];
	unsigned left;

	if (pipe(ends) < 0)
		return 2;
	if (fork() == 0)
		stay(ends[1]);
	wait_for(ends[0], 1);
	left = tree_empty(tree, 0);
	return left == 1 && tree_empty(tree, LONG_MS) == 0 && tree->ended == 1;
}

static void there_may_be_no_time(void **state)
{
	assert_int_equal(apart(no_time), 1);
}

/* The kernel's clock of starts has gone on. */
static void pass_tick(void)
{
	struct timespec now;
	long hz = sysconf(_SC_CLK_TCK), first;

	clock_gettime(CLOCK_BOOTTIME, &now);
	first = now.tv_nsec / (1000000000 / hz);
	while (now.tv_nsec / (1000000000 / hz) == first)
		clock_gettime(CLOCK_BOOTTIME, &now);
}

/* Children from before, as a shell's that was replaced by exec, are not its own. */
static int inherited(struct tree *tree)
{
	int ends[2];
	pid_t before = pipe(ends) < 0 ? -1 : fork();
	bool spared;

	if (before == 0)
		stay(ends[1]);
	pass_tick();
	tree_begin(tree);
	if (fork() == 0)
		stay(ends[1]);
	wait_for(ends[0], 2);
	spared = tree_empty(tree, LONG_MS) == 0 && tree->ended == 1 &&
		 waitpid(before, NULL, WNOHANG) == 0;
	kill(before, SIGKILL);
	return spared && waitpid(before, NULL, 0) == before;
}

static void children_from_before_are_spared(void **state)
{
	assert_int_equal(apart(inherited), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_empty),
		cmocka_unit_test(chain_is_ended),
		cmocka_unit_test(deep_chain_is_ended),
		cmocka_unit_test(all_below_are_killed_in_one_go),
		cmocka_unit_test(who_is_not_chosen_is_spared),
		cmocka_unit_test(who_is_not_below_gets_no_signal),
		cmocka_unit_test(daemons_are_ended),
		cmocka_unit_test(what_forks_on_and_on_is_ended),
		cmocka_unit_test(fork_bomb_is_ended),
		cmocka_unit_test(what_is_stopped_is_ended),
		cmocka_unit_test(there_may_be_no_time),
		cmocka_unit_test(children_from_before_are_spared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
