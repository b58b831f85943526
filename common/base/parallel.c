#include "common/base/parallel.h"

#include "common/base/thread.h"

#include <sched.h>
#include <stdatomic.h>

#define THREADS_MAX 16

struct parallel_work {
	atomic_size_t next;
	size_t n;
	void (*one)(void *arg, size_t i);
	void *arg;
};

static void *work_run(void *arg)
{
	struct parallel_work *work = arg;
	size_t i;

	while ((i = atomic_fetch_add_explicit(&work->next, 1, memory_order_relaxed)) < work->n)
		work->one(work->arg, i);
	return NULL;
}

static unsigned count_cores(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof set, &set) < 0 ? 1 : CPU_COUNT(&set);

	return n > 1 ? (unsigned)n : 1;
}

static unsigned count_threads(size_t n, unsigned threads_max)
{
	unsigned threads = threads_max < THREADS_MAX ? threads_max : THREADS_MAX;

	if (threads > n)
		threads = (unsigned)n;
	if (threads > 1 && threads > count_cores())
		threads = count_cores();
	return threads;
}

void parallel_each(size_t n, unsigned threads_max, void (*one)(void *arg, size_t i), void *arg)
{
	struct parallel_work work = {.n = n, .one = one, .arg = arg};
	unsigned threads = count_threads(n, threads_max);
	pthread_t others[THREADS_MAX];
	unsigned n_others = 0;

	while (n_others + 1 < threads && thread_start(&others[n_others], work_run, &work) == 0)
		n_others++;
	work_run(&work);
	while (n_others > 0)
		pthread_join(others[--n_others], NULL);
}
