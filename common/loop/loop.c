/*
 * loop: libevent's loop, and what comes from outside the main thread.
 */
#include "common/loop/loop.h"

#include "common/base/cleanup.h"
#include "common/loop/jobs.h"
#include "common/loop/timers.h"

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#define SIGNALS_AT_ONCE 8
#define STEP_MAX_MS     (24 * 3600 * 1000)

struct loop {
	struct event_base *base;
	struct event *step_end; /* ends the wait of loop_step() */
	struct timers *timers;
	struct watch *timers_watch;
	struct jobs *jobs;
	struct watch *wake_watch;
	struct watch *signal_watch;
	int wake_fd;
	int signal_fd;
	pid_t signal_sender; /* of the one that is told */
	bool stopped;
	signal_fn *on_signal;
	void *on_signal_arg;
	_Atomic(struct loop_work *) posted; /* by any thread, the last one first */
};

struct watch {
	struct event *event;
	int events; /* WATCH_* */
	watch_fn *fn;
	void *arg;
};

/* ---- descriptors ---- */

/*
 * libevent reports an error or a hang-up as everything that was asked for. A watch for writing
 * alone would not learn of it; poll() tells.
 */
static bool is_broken(int fd)
{
	struct pollfd ready = {.fd = fd};

	return poll(&ready, 1, 0) == 1 && (ready.revents & (POLLERR | POLLHUP | POLLNVAL));
}

static void watch_ready(evutil_socket_t fd, short what, void *arg)
{
	struct watch *watch = arg;
	int ready = 0;

	if (what & EV_READ)
		ready |= WATCH_READ;
	if (what & EV_WRITE)
		ready |= WATCH_WRITE;
	if (!(watch->events & WATCH_READ) && is_broken(fd))
		ready |= WATCH_READ;
	watch->fn(watch->arg, ready); /* may free the watch */
}

struct watch *watch_new(struct loop *loop, int fd, int events, watch_fn *fn, void *arg)
{
	struct watch *watch;
	struct stat st;
	short what = EV_PERSIST;

	/* epoll takes no files and no directories; libevent would say so on stderr. */
	if (fstat(fd, &st) < 0 || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))
		return NULL;
	watch = calloc(1, sizeof *watch);
	if (!watch)
		return NULL;
	if (events & WATCH_READ)
		what |= EV_READ;
	if (events & WATCH_WRITE)
		what |= EV_WRITE;
	if (events & WATCH_EDGE)
		what |= EV_ET;
	watch->events = events;
	watch->fn = fn;
	watch->arg = arg;
	watch->event = event_new(loop->base, fd, what, watch_ready, watch);
	if (!watch->event || event_add(watch->event, NULL) < 0) {
		watch_free(watch);
		return NULL;
	}
	return watch;
}

void watch_free(struct watch *watch)
{
	if (!watch)
		return;
	if (watch->event)
		event_free(watch->event);
	free(watch);
}

/* ---- work of other threads ---- */

void loop_post(struct loop *loop, struct loop_work *work)
{
	struct loop_work *head = atomic_load_explicit(&loop->posted, memory_order_relaxed);
	const int wake_fd = loop->wake_fd;
	const uint64_t one = 1;

	do
		work->next = head;
	while (!atomic_compare_exchange_weak_explicit(
		&loop->posted, &head, work, memory_order_release, memory_order_relaxed));
	/*
	 * The thread that found the list empty wakes the loop. Its write can neither block nor
	 * fail: the counter is read before the list is taken, so it is far from its end.
	 */
	if (!head) {
		while (write(wake_fd, &one, sizeof one) < 0 && errno == EINTR) {
		}
	}
}

static void posted_run(void *arg, int ready)
{
	struct loop *loop = arg;
	struct loop_work *work, *next, *in_order = NULL;
	uint64_t count;

	(void)ready;
	/* The counter is read before the list is taken: what is posted in between is either in the
	 * list or wakes the loop again. */
	if (read(loop->wake_fd, &count, sizeof count) < 0 && errno != EAGAIN)
		return;
	work = atomic_exchange_explicit(&loop->posted, NULL, memory_order_acquire);
	for (; work; work = next) {
		next = work->next;
		work->next = in_order;
		in_order = work;
	}
	for (work = in_order; work; work = next) {
		next = work->next; /* run() may free the work */
		work->run(work);
	}
}

/* ---- signals ---- */

static void signals_read(void *arg, int ready)
{
	struct loop *loop = arg;
	struct signalfd_siginfo info[SIGNALS_AT_ONCE];
	ssize_t n = read(loop->signal_fd, info, sizeof info);

	(void)ready;
	for (ssize_t i = 0; i < n / (ssize_t)sizeof info[0]; i++) {
		loop->signal_sender = (pid_t)info[i].ssi_pid;
		loop->on_signal(loop->on_signal_arg, (int)info[i].ssi_signo);
	}
}

pid_t loop_signal_sender(const struct loop *loop)
{
	return loop->signal_sender;
}

sigset_t loop_block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGPIPE);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigdelset(&set, SIGCHLD);
	sigdelset(&set, SIGPIPE);
	return set;
}

int loop_signals(struct loop *loop, const sigset_t *set, signal_fn *fn, void *arg)
{
	auto_(close_at_exit) int fd = -1;

	if (loop->signal_watch)
		return -EBUSY;
	fd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	loop->on_signal = fn;
	loop->on_signal_arg = arg;
	loop->signal_watch = watch_new(loop, fd, WATCH_READ, signals_read, loop);
	if (!loop->signal_watch)
		return -ENOMEM;
	loop->signal_fd = take_fd(&fd);
	return 0;
}

/* ---- the loop ---- */

static void timers_ready(void *arg, int ready)
{
	struct loop *loop = arg;

	(void)ready;
	timers_run(loop->timers);
}

/* Wakes event_base_loop(EVLOOP_ONCE), that is all. */
static void step_over(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

static struct event_base *base_new(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base;

	if (!config)
		return NULL;
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
	event_config_require_features(config, EV_FEATURE_ET);
	base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}

/* The loop is half-built when this fails. */
static int loop_init(struct loop *loop)
{
	int r;

	loop->base = base_new();
	if (!loop->base)
		return -ENOMEM;
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake_fd < 0)
		return -errno;
	loop->wake_watch = watch_new(loop, loop->wake_fd, WATCH_READ, posted_run, loop);
	loop->step_end = event_new(loop->base, -1, 0, step_over, NULL);
	if (!loop->wake_watch || !loop->step_end)
		return -ENOMEM;
	r = timers_new(&loop->timers);
	if (r < 0)
		return r;
	loop->timers_watch =
		watch_new(loop, timers_fd(loop->timers), WATCH_READ, timers_ready, loop);
	loop->jobs = jobs_new(loop);
	return loop->timers_watch && loop->jobs ? 0 : -ENOMEM;
}

int loop_new(struct loop **out)
{
	struct loop *loop = calloc(1, sizeof *loop);
	int r;

	if (!loop)
		return -ENOMEM;
	loop->wake_fd = -1;
	loop->signal_fd = -1;
	atomic_init(&loop->posted, NULL);
	r = loop_init(loop);
	if (r < 0) {
		loop_free(loop);
		return r;
	}
	*out = loop;
	return 0;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	jobs_free(loop->jobs); /* first: a job's end is posted */
	watch_free(loop->signal_watch);
	watch_free(loop->timers_watch);
	watch_free(loop->wake_watch);
	timers_unref(loop->timers);
	if (loop->step_end)
		event_free(loop->step_end);
	if (loop->base)
		event_base_free(loop->base);
	close_fd(&loop->signal_fd);
	close_fd(&loop->wake_fd);
	free(loop);
}

int loop_run(struct loop *loop)
{
	int r = 0;

	if (!loop->stopped)
		r = event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY);
	loop->stopped = false;
	return r < 0 ? -EIO : 0;
}

void loop_stop(struct loop *loop)
{
	loop->stopped = true;
	event_base_loopbreak(loop->base);
}

void loop_step(struct loop *loop, int64_t wait_ms)
{
	struct timeval wait;

	if (wait_ms <= 0) {
		event_base_loop(loop->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		return;
	}
	if (wait_ms > STEP_MAX_MS)
		wait_ms = STEP_MAX_MS;
	wait.tv_sec = wait_ms / 1000;
	wait.tv_usec = wait_ms % 1000 * 1000;
	event_add(loop->step_end, &wait);
	event_base_loop(loop->base, EVLOOP_ONCE);
	event_del(loop->step_end);
}

struct timer *timer_new(struct loop *loop, timer_fn *fn, void *arg)
{
	return timers_add(loop->timers, fn, arg);
}

int loop_job(struct loop *loop, struct job *job)
{
	return jobs_add(loop->jobs, job);
}
