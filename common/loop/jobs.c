/*
 * jobs: a thread that takes a job after the other.
 */
#include "common/loop/jobs.h"

#include "common/base/cleanup.h"
#include "common/base/thread.h"

struct jobs {
	struct loop *loop;
	bool started; /* main thread only */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* The lock guards: */
	bool ending;
	struct loop_work *first;
	struct loop_work **last; /* where the next one goes */
};

static void job_finish(struct loop_work *work)
{
	struct job *job = container_of(work, struct job, work);

	job->done(job);
}

/* The next job, or NULL when the thread shall end. Blocks. */
static struct job *job_wait(struct jobs *jobs)
{
	struct loop_work *work = NULL;

	pthread_mutex_lock(&jobs->lock);
	while (!jobs->ending && !jobs->first)
		pthread_cond_wait(&jobs->changed, &jobs->lock);
	if (!jobs->ending) {
		work = jobs->first;
		jobs->first = work->next;
		if (!jobs->first)
			jobs->last = &jobs->first;
	}
	pthread_mutex_unlock(&jobs->lock);
	return work ? container_of(work, struct job, work) : NULL;
}

static void *jobs_thread(void *arg)
{
	struct jobs *jobs = arg;
	struct job *job;

	while ((job = job_wait(jobs))) {
		job->run(job);
		loop_post(jobs->loop, &job->work);
	}
	return NULL;
}

static int jobs_start(struct jobs *jobs)
{
	int r = thread_start(&jobs->thread, jobs_thread, jobs);

	jobs->started = r == 0;
	return r;
}

struct jobs *jobs_new(struct loop *loop)
{
	struct jobs *jobs = calloc(1, sizeof *jobs);

	if (!jobs)
		return NULL;
	jobs->loop = loop;
	jobs->last = &jobs->first;
	pthread_mutex_init(&jobs->lock, NULL);
	pthread_cond_init(&jobs->changed, NULL);
	return jobs;
}

void jobs_free(struct jobs *jobs)
{
	if (!jobs)
		return;
	if (jobs->started) {
		pthread_mutex_lock(&jobs->lock);
		jobs->ending = true;
		pthread_cond_signal(&jobs->changed);
		pthread_mutex_unlock(&jobs->lock);
		pthread_join(jobs->thread, NULL);
	}
	pthread_cond_destroy(&jobs->changed);
	pthread_mutex_destroy(&jobs->lock);
	free(jobs);
}

int jobs_add(struct jobs *jobs, struct job *job)
{
	int r = jobs->started ? 0 : jobs_start(jobs);

	if (r < 0)
		return r;
	job->work.next = NULL;
	job->work.run = job_finish;
	pthread_mutex_lock(&jobs->lock);
	*jobs->last = &job->work;
	jobs->last = &job->work.next;
	pthread_cond_signal(&jobs->changed);
	pthread_mutex_unlock(&jobs->lock);
	return 0;
}
