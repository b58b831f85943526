#include "common/loop/loop.h"

#include "common/base/clock.h"
#include "kit/test.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#define POSTERS    4
#define EACH_POSTS 10000

/* ---- posting ---- */

struct poster;

struct posted {
	struct loop_work work;
	struct poster *poster;
	int number;
};

struct poster {
	struct loop *loop;
	pthread_t thread;
	int next; /* main thread: the number that must come */
	int *left;
	struct posted posts[EACH_POSTS];
};

static void posted_run(struct loop_work *work)
{
	struct posted *posted = container_of(work, struct posted, work);
	struct poster *poster = posted->poster;

	assert_int_equal(posted->number, poster->next++);
	memset(posted, 0xee, sizeof *posted); /* as if freed */
	if (--*poster->left == 0)
		loop_stop(poster->loop);
}

static void *poster_run(void *arg)
{
	struct poster *poster = arg;

	for (int i = 0; i < EACH_POSTS; i++) {
		poster->posts[i] =
			(struct posted){.work = {.run = posted_run}, .poster = poster, .number = i};
		loop_post(poster->loop, &poster->posts[i].work);
	}
	return NULL;
}

static void posts_arrive_in_order(void **state)
{
	struct poster *posters = calloc(POSTERS, sizeof *posters);
	int left = POSTERS * EACH_POSTS;
	struct loop *loop;

	assert_non_null(posters);
	assert_int_equal(loop_new(&loop), 0);
	for (int i = 0; i < POSTERS; i++) {
		posters[i].loop = loop;
		posters[i].left = &left;
		assert_int_equal(
			pthread_create(&posters[i].thread, NULL, poster_run, &posters[i]), 0);
	}
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(left, 0);
	for (int i = 0; i < POSTERS; i++)
		pthread_join(posters[i].thread, NULL);
	loop_free(loop);
	free(posters);
}

/* ---- descriptors ---- */

struct socket_watch {
	struct watch *watch, *other;
	int calls;
	int ready;
};

static void note(void *arg, int ready)
{
	struct socket_watch *noted = arg;

	noted->calls++;
	noted->ready = ready;
}

static void free_all(void *arg, int ready)
{
	struct socket_watch *noted = arg;

	note(arg, ready);
	watch_free(noted->watch);
	watch_free(noted->other);
	noted->watch = noted->other = NULL;
}

static void watches_see_what_is_ready(void **state)
{
	struct socket_watch noted = {0};
	struct loop *loop;
	int ends[2];

	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	noted.watch = watch_new(loop, ends[0], WATCH_READ, note, &noted);
	loop_step(loop, 0);
	assert_int_equal(noted.calls, 0);
	assert_int_equal(write(ends[1], "x", 1), 1);
	loop_step(loop, 1000);
	loop_step(loop, 1000);
	assert_int_equal(noted.calls, 2);
	assert_int_equal(noted.ready, WATCH_READ);
	watch_free(noted.watch);
	noted.watch = watch_new(loop, ends[0], WATCH_READ | WATCH_WRITE | WATCH_EDGE, note, &noted);
	noted.calls = 0;
	loop_step(loop, 1000);
	loop_step(loop, 0);
	assert_int_equal(noted.calls, 1);
	assert_int_equal(noted.ready, WATCH_READ | WATCH_WRITE);
	watch_free(noted.watch);
	close(ends[0]);
	close(ends[1]);
	loop_free(loop);
}

static void a_hang_up_counts_as_readable(void **state)
{
	static const int kinds[] = {
		WATCH_READ, WATCH_WRITE, WATCH_READ | WATCH_WRITE, WATCH_WRITE | WATCH_EDGE};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct socket_watch noted = {0};
		struct loop *loop;
		int ends[2];

		assert_int_equal(loop_new(&loop), 0);
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
		noted.watch = watch_new(loop, ends[0], kinds[i], note, &noted);
		close(ends[1]);
		loop_step(loop, 1000);
		assert_true(noted.ready & WATCH_READ);
		watch_free(noted.watch);
		close(ends[0]);
		loop_free(loop);
	}
}

static void watches_freed_in_callbacks(void **state)
{
	struct socket_watch noted = {0};
	struct loop *loop;
	int a = eventfd(1, EFD_CLOEXEC), b = eventfd(1, EFD_CLOEXEC);

	assert_int_equal(loop_new(&loop), 0);
	noted.watch = watch_new(loop, a, WATCH_READ, free_all, &noted);
	noted.other = watch_new(loop, b, WATCH_READ, free_all, &noted);
	loop_step(loop, 1000);
	loop_step(loop, 0);
	assert_int_equal(noted.calls, 1);
	watch_free(NULL);
	loop_free(loop);
	close(a);
	close(b);
}

static void what_cannot_be_watched(void **state)
{
	struct loop *loop;
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	assert_int_equal(loop_new(&loop), 0);
	assert_null(watch_new(loop, file, WATCH_READ, note, NULL));
	assert_null(watch_new(loop, -1, WATCH_READ, note, NULL));
	close(file);
	loop_free(loop);
}

/* ---- signals ---- */

struct signals {
	struct loop *loop;
	int seen[NSIG];
};

static void signal_seen(void *arg, int number)
{
	struct signals *signals = arg;

	signals->seen[number]++;
	loop_stop(signals->loop);
}

static void signals_are_read(void **state)
{
	struct signals signals = {.loop = NULL};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	assert_int_equal(loop_new(&signals.loop), 0);
	assert_int_equal(loop_signals(signals.loop, &set, signal_seen, &signals), 0);
	assert_int_equal(loop_signals(signals.loop, &set, signal_seen, &signals), -EBUSY);
	kill(getpid(), SIGTERM);
	kill(getpid(), SIGHUP);
	assert_int_equal(loop_run(signals.loop), 0);
	assert_int_equal(signals.seen[SIGTERM], 1);
	assert_int_equal(signals.seen[SIGHUP], 1);
	assert_int_equal(signals.seen[SIGCHLD], 0);
	loop_free(signals.loop);
}

/* ---- running ---- */

static void stop_before_run_counts(void **state)
{
	struct loop *loop;
	int64_t before_ms = clock_now_ms();

	assert_int_equal(loop_new(&loop), 0);
	loop_stop(loop);
	assert_int_equal(loop_run(loop), 0);
	loop_step(loop, 30);
	assert_true(clock_now_ms() - before_ms >= 20);
	loop_step(loop, -1);
	loop_free(loop);
	loop_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(posts_arrive_in_order),
		cmocka_unit_test(watches_see_what_is_ready),
		cmocka_unit_test(a_hang_up_counts_as_readable),
		cmocka_unit_test(watches_freed_in_callbacks),
		cmocka_unit_test(what_cannot_be_watched),
		cmocka_unit_test(signals_are_read),
		cmocka_unit_test(stop_before_run_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
