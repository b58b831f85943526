#include "common/loop/loop.h"
#include "kit/test.h"

#include <pthread.h>
#include <semaphore.h>

#define JOBS 100

struct counted {
	struct job job;
	struct loop *loop;
	int number;
	int *next_run;  /* io thread */
	int *next_done; /* main thread */
	pthread_t main_thread;
};

static void counted_run(struct job *job)
{
	struct counted *counted = container_of(job, struct counted, job);
	sigset_t mask;

	assert_false(pthread_equal(pthread_self(), counted->main_thread));
	assert_int_equal(counted->number, (*counted->next_run)++);
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	assert_true(sigismember(&mask, SIGTERM) && sigismember(&mask, SIGUSR1));
}

static void counted_done(struct job *job)
{
	struct counted *counted = container_of(job, struct counted, job);

	assert_true(pthread_equal(pthread_self(), counted->main_thread));
	assert_int_equal(counted->number, (*counted->next_done)++);
	if (counted->number == JOBS - 1)
		loop_stop(counted->loop);
	free(counted);
}

static void jobs_run_in_order(void **state)
{
	int next_run = 0, next_done = 0;
	struct loop *loop;

	assert_int_equal(loop_new(&loop), 0);
	for (int i = 0; i < JOBS; i++) {
		struct counted *counted = calloc(1, sizeof *counted);

		assert_non_null(counted);
		*counted = (struct counted){
			.job = {.run = counted_run, .done = counted_done},
			.loop = loop,
			.number = i,
			.next_run = &next_run,
			.next_done = &next_done,
			.main_thread = pthread_self(),
		};
		assert_int_equal(loop_job(loop, &counted->job), 0);
	}
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(next_done, JOBS);
	loop_free(loop);
}

/* ---- the end ---- */

struct held {
	struct job job;
	sem_t *started, *go_on;
	bool ran;
};

static void held_run(struct job *job)
{
	struct held *held = container_of(job, struct held, job);

	held->ran = true;
	if (held->started) {
		sem_post(held->started);
		sem_wait(held->go_on);
	}
}

static void held_done(struct job *job)
{
	fail_msg("done() after the end of the loop");
}

static void *let_go_on(void *arg)
{
	sem_post(arg);
	return NULL;
}

static void the_end_waits_for_the_job_at_hand(void **state)
{
	struct held first = {.job = {.run = held_run, .done = held_done}};
	struct held second = first;
	struct loop *loop;
	pthread_t helper;
	sem_t started, go_on;

	sem_init(&started, 0, 0);
	sem_init(&go_on, 0, 0);
	first.started = &started;
	first.go_on = &go_on;
	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(loop_job(loop, &first.job), 0);
	assert_int_equal(loop_job(loop, &second.job), 0);
	sem_wait(&started);
	assert_int_equal(pthread_create(&helper, NULL, let_go_on, &go_on), 0);
	loop_free(loop);
	pthread_join(helper, NULL);
	assert_true(first.ran);
	sem_destroy(&started);
	sem_destroy(&go_on);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(jobs_run_in_order),
		cmocka_unit_test(the_end_waits_for_the_job_at_hand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
