/*
 * Everything is done once, by as many threads as may be.
 */
#include "common/base/parallel.h"
#include "kit/vectors.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>

#define N 1000

struct seen {
	atomic_uint times[N];
	atomic_uint threads, blocked; /* other than the caller's */
	pthread_t caller;
	pthread_barrier_t *all_here; /* NULL: nobody waits */
};

static void see(void *arg, size_t i)
{
	struct seen *seen = arg;
	sigset_t mask;

	atomic_fetch_add(&seen->times[i], 1);
	if (!pthread_equal(pthread_self(), seen->caller)) {
		pthread_sigmask(SIG_SETMASK, NULL, &mask);
		atomic_fetch_add(&seen->threads, 1);
		atomic_fetch_add(&seen->blocked, (unsigned)sigismember(&mask, SIGTERM));
	}
	if (seen->all_here)
		pthread_barrier_wait(seen->all_here);
}

static void assert_once(const struct seen *seen, size_t n)
{
	for (size_t i = 0; i < N; i++)
		assert_int_equal(seen->times[i], i < n);
}

static void each_is_done_once(void **state)
{
	static const size_t sizes[] = {0, 1, 2, 7, N};
	static const unsigned threads[] = {0, 1, 2, 1000};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		for (size_t j = 0; j < ARRAY_LEN(threads); j++) {
			struct seen seen = {.caller = pthread_self()};

			parallel_each(sizes[i], threads[j], see, &seen);
			assert_once(&seen, sizes[i]);
			if (threads[j] < 2 || sizes[i] < 2)
				assert_int_equal(seen.threads, 0);
		}
}

/* Two at a time: each of two waits for the other. */
static void as_many_as_there_are_cores(void **state)
{
	struct seen seen = {.caller = pthread_self()};
	pthread_barrier_t both;
	cpu_set_t before, one;

	assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
	if (CPU_COUNT(&before) < 2)
		skip();
	assert_int_equal(pthread_barrier_init(&both, NULL, 2), 0);
	seen.all_here = &both;
	parallel_each(2, 4, see, &seen);
	assert_once(&seen, 2);
	assert_int_equal(seen.threads, 1);
	assert_int_equal(seen.blocked, 1);
	pthread_barrier_destroy(&both);
	/* This thread alone, on one core. */
	seen = (struct seen){.caller = pthread_self()};
	CPU_ZERO(&one);
	for (int cpu = 0; CPU_COUNT(&one) == 0; cpu++)
		if (CPU_ISSET(cpu, &before))
			CPU_SET(cpu, &one);
	assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
	parallel_each(N, 4, see, &seen);
	assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
	assert_once(&seen, N);
	assert_int_equal(seen.threads, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_is_done_once),
		cmocka_unit_test(as_many_as_there_are_cores),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
