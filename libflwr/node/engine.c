/*
 * engine: everything that it has is made and freed by its own thread, so that gRPC's threads, which
 * are that thread's children, have all signals blocked as it has.
 */
#include "libflwr/node/engine.h"

#include "common/base/cleanup.h"
#include "common/base/files.h"
#include "common/base/thread.h"

#include <errno.h>
#include <locale.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define OBJECTS_MEMORY_BYTES (32 << 20) /* of all nodes; what is more lies in a file */

/* The engine as its thread has it. */
struct running {
	struct engine engine;
	pthread_t thread;
	unsigned holders;
	struct loop_work stop;
	/* For who waits for the start. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool started;
	int result; /* of the start */
};

/* The only state of the process that the library has. */
static pthread_mutex_t only_lock = PTHREAD_MUTEX_INITIALIZER;
static struct running *only;

static void engine_stop(struct loop_work *work)
{
	struct running *running = container_of(work, struct running, stop);

	loop_stop(running->engine.loop);
}

static int spool_make(struct engine *engine)
{
	auto_(free_at_exit) char *dir = path_spool(NULL);

	return dir ? spool_new(engine->loop, dir, OBJECTS_MEMORY_BYTES, &engine->spool) : -ENOMEM;
}

static int engine_open(struct engine *engine)
{
	int r = sodium_init() < 0 ? -EIO : loop_new(&engine->loop);

	budget_init(&engine->budget, budget_default_limit());
	if (r == 0)
		r = rpc_new(engine->loop, &engine->rpc);
	if (r == 0)
		r = spool_make(engine);
	return r;
}

int engine_need_http(struct engine *engine, struct reason *why)
{
	return engine->http ? 0 : http_new(engine->loop, &engine->http, why);
}

static void engine_close(struct engine *engine)
{
	http_free(engine->http);
	rpc_free(engine->rpc);
	spool_free(engine->spool);
	loop_free(engine->loop);
}

static void tell_started(struct running *running, int r)
{
	pthread_mutex_lock(&running->lock);
	running->started = true;
	running->result = r;
	pthread_cond_signal(&running->changed);
	pthread_mutex_unlock(&running->lock);
}

static void *engine_run(void *arg)
{
	struct running *running = arg;
	/* Numbers in sentences and in what is sent do not follow the program's locale. */
	locale_t locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	int r = locale ? 0 : -ENOMEM;

	if (r == 0) {
		uselocale(locale);
		rpc_silence_unless_used();
		r = engine_open(&running->engine);
	}
	tell_started(running, r);
	if (r == 0)
		loop_run(running->engine.loop);
	engine_close(&running->engine);
	uselocale(LC_GLOBAL_LOCALE);
	if (locale)
		freelocale(locale);
	return NULL;
}

static void running_free(struct running *running)
{
	pthread_cond_destroy(&running->changed);
	pthread_mutex_destroy(&running->lock);
	free(running);
}

static int start(struct running **out)
{
	struct running *running = calloc(1, sizeof *running);
	int r;

	if (!running)
		return -ENOMEM;
	pthread_mutex_init(&running->lock, NULL);
	pthread_cond_init(&running->changed, NULL);
	running->stop.run = engine_stop;
	r = thread_start(&running->thread, engine_run, running);
	if (r < 0) {
		running_free(running);
		return r;
	}
	pthread_setname_np(running->thread, "flwr");
	pthread_mutex_lock(&running->lock);
	while (!running->started)
		pthread_cond_wait(&running->changed, &running->lock);
	r = running->result;
	pthread_mutex_unlock(&running->lock);
	if (r < 0) {
		pthread_join(running->thread, NULL);
		running_free(running);
		return r;
	}
	*out = running;
	return 0;
}

int engine_hold(struct engine **out, struct reason *why)
{
	int r;

	pthread_mutex_lock(&only_lock);
	r = only ? 0 : start(&only);
	if (r == 0) {
		only->holders++;
		*out = &only->engine;
	}
	pthread_mutex_unlock(&only_lock);
	return r ? reason_code(why, r, "the library's thread cannot start: %s", strerror(-r)) : 0;
}

void engine_release(struct engine *engine)
{
	pthread_mutex_lock(&only_lock);
	if (engine && --only->holders == 0) {
		loop_post(only->engine.loop, &only->stop);
		pthread_join(only->thread, NULL);
		running_free(take_pointer(&only));
	}
	pthread_mutex_unlock(&only_lock);
}
