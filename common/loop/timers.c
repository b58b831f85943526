/*
 * timers: a binary heap. Room in it is made when a timer is made, so that setting one cannot fail.
 */
#include "common/loop/timers.h"

#include "common/base/array.h"
#include "common/base/cleanup.h"
#include "common/base/clock.h"

#include <assert.h>
#include <errno.h>
#include <sys/timerfd.h>

#define NOT_SET SIZE_MAX

struct timers {
	int fd;
	size_t refs;
	size_t made; /* timers that there are, set or not */
	size_t n;    /* timers that are set */
	size_t cap;  /* of the heap; at least made */
	struct timer **heap;
	int64_t armed_ms;  /* what fd is set to */
	uint64_t sequence; /* of the last timer_set(): equal times run in the order of setting */
};

struct timer {
	struct timers *timers;
	size_t index; /* in the heap, or NOT_SET */
	int64_t at_ms;
	uint64_t sequence;
	timer_fn *fn;
	void *arg;
};

static bool is_earlier(const struct timer *a, const struct timer *b)
{
	return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->sequence < b->sequence;
}

static void heap_place(struct timers *timers, struct timer *timer, size_t index)
{
	timers->heap[index] = timer;
	timer->index = index;
}

static void heap_rise(struct timers *timers, struct timer *timer, size_t index)
{
	while (index > 0 && is_earlier(timer, timers->heap[(index - 1) / 2])) {
		heap_place(timers, timers->heap[(index - 1) / 2], index);
		index = (index - 1) / 2;
	}
	heap_place(timers, timer, index);
}

static void heap_sink(struct timers *timers, struct timer *timer, size_t index)
{
	for (;;) {
		size_t child = 2 * index + 1;

		if (child + 1 < timers->n &&
			is_earlier(timers->heap[child + 1], timers->heap[child]))
			child++;
		if (child >= timers->n || !is_earlier(timers->heap[child], timer))
			break;
		heap_place(timers, timers->heap[child], index);
		index = child;
	}
	heap_place(timers, timer, index);
}

static void heap_remove(struct timers *timers, struct timer *timer)
{
	size_t index = timer->index;
	struct timer *last;

	if (index == NOT_SET)
		return;
	timer->index = NOT_SET;
	last = timers->heap[--timers->n];
	if (last == timer)
		return;
	heap_sink(timers, last, index);
	heap_rise(timers, last, last->index);
}

/* Make the descriptor readable when the first timer is due. */
static void timers_arm(struct timers *timers)
{
	int64_t at_ms = timers->n ? timers->heap[0]->at_ms : CLOCK_NEVER;
	struct itimerspec when = {0};
	int r;

	if (at_ms == timers->armed_ms)
		return;
	timers->armed_ms = at_ms;
	if (at_ms < 1)
		at_ms = 1; /* zero would disarm */
	if (at_ms != CLOCK_NEVER) {
		when.it_value.tv_sec = at_ms / 1000;
		when.it_value.tv_nsec = at_ms % 1000 * 1000000;
	}
	r = timerfd_settime(timers->fd, TFD_TIMER_ABSTIME, &when, NULL);
	assert(r == 0);
	(void)r;
}

int timers_new(struct timers **out)
{
	struct timers *timers = calloc(1, sizeof *timers);
	int fd;

	if (!timers)
		return -ENOMEM;
	fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (fd < 0) {
		int r = -errno;

		free(timers);
		return r;
	}
	timers->fd = fd;
	timers->refs = 1;
	timers->armed_ms = CLOCK_NEVER;
	*out = timers;
	return 0;
}

void timers_unref(struct timers *timers)
{
	if (!timers || --timers->refs > 0)
		return;
	close_fd(&timers->fd);
	free(timers->heap);
	free(timers);
}

int timers_fd(const struct timers *timers)
{
	return timers->fd;
}

void timers_run(struct timers *timers)
{
	const uint64_t last = timers->sequence;
	const int64_t now_ms = clock_now_ms();
	uint64_t count;

	/* The descriptor has nothing to read when it was set anew in between; then there is nothing
	 * to clear. */
	if (read(timers->fd, &count, sizeof count) < 0 && errno != EAGAIN)
		return;
	timers->armed_ms = CLOCK_NEVER;
	while (timers->n && timers->heap[0]->at_ms <= now_ms && timers->heap[0]->sequence <= last) {
		struct timer *timer = timers->heap[0];

		heap_remove(timers, timer);
		timer->fn(timer->arg); /* may free the timer, and others */
	}
	timers_arm(timers);
}

struct timer *timers_add(struct timers *timers, timer_fn *fn, void *arg)
{
	struct timer *timer;

	if (array_reserve(&timers->heap, &timers->cap, timers->made, 1, sizeof *timers->heap) < 0)
		return NULL;
	timer = calloc(1, sizeof *timer);
	if (!timer)
		return NULL;
	timer->timers = timers;
	timer->index = NOT_SET;
	timer->fn = fn;
	timer->arg = arg;
	timers->made++;
	timers->refs++;
	return timer;
}

void timer_set(struct timer *timer, int64_t at_ms)
{
	struct timers *timers = timer->timers;

	heap_remove(timers, timer);
	if (at_ms != CLOCK_NEVER) {
		timer->at_ms = at_ms;
		timer->sequence = ++timers->sequence;
		heap_rise(timers, timer, timers->n++);
	}
	timers_arm(timers);
}

void timer_free(struct timer *timer)
{
	if (!timer)
		return;
	timer_set(timer, CLOCK_NEVER);
	timer->timers->made--;
	timers_unref(timer->timers);
	free(timer);
}
