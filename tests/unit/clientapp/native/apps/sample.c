/* Does what the type of the message says, in every good and wrong way. */
#include "kit/app_handlers.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Half of each array of floats, written where it lies. */
static int halve(struct flwr_call *call)
{
	struct flwr_record *arrays = flwr_dict_add(call->reply, "arrays", FLWR_ARRAYS);

	flwr_record_copy(arrays, flwr_dict_get(call->content, "arrays"));
	for (size_t i = 0; i < flwr_record_count(arrays); i++) {
		size_t n;
		float *values =
			flwr_edit_data(arrays, flwr_record_key(arrays, i), FLWR_FLOAT32, &n);

		for (size_t k = 0; k < n; k++)
			values[k] /= 2;
	}
	/* The edited ones are copies: the message is as it was. */
	return flwr_record_copy(flwr_dict_add(call->reply, "came", FLWR_ARRAYS),
		flwr_dict_get(call->content, "arrays"));
}

/* Arrays of all sizes: small ones share memory, large ones do not, some are thrown away. */
static int make(struct flwr_call *call)
{
	struct flwr_record *arrays = flwr_dict_add(call->reply, "made", FLWR_ARRAYS);
	int64_t n = 0;

	for (int i = 0; i < 200; i++) {
		const int64_t shape[] = {i % 20 == 19 ? 100000 + i : i};
		char key[16];
		uint32_t *values;

		snprintf(key, sizeof key, "%d", i);
		values = flwr_new_array(arrays, key, FLWR_UINT32, 1, shape);
		for (int64_t k = 0; values && k < shape[0]; k++)
			values[k] = (uint32_t)(i * k);
		n += shape[0];
	}
	for (int i = 0; i < 200; i += 3) {
		char key[16];

		snprintf(key, sizeof key, "%d", i);
		flwr_record_remove(arrays, key);
	}
	return flwr_set_int(flwr_dict_add(call->reply, "metrics", FLWR_METRICS), "n", n);
}

/* Tell all that is known of message and context. */
static int describe(struct flwr_call *call)
{
	const struct flwr_message *message = call->message;
	struct flwr_record *known = flwr_dict_add(call->reply, "known", FLWR_CONFIGS);
	int64_t partition = -1;
	const char *name = "";

	flwr_get_int(call->context->node_config, "partition-id", &partition);
	flwr_get_string(call->context->run_config, "name", &name);
	flwr_set_string(known, "type", message->type);
	flwr_set_string(known, "id", message->id);
	flwr_set_string(known, "group", message->group_id);
	flwr_set_double(known, "ttl", message->ttl);
	flwr_set_double(known, "created", message->created_at);
	flwr_set_int(known, "src", (int64_t)message->src_node_id);
	flwr_set_int(known, "node", (int64_t)call->context->node_id);
	flwr_set_bool(known, "run", message->run_id == call->context->run_id);
	flwr_set_int(known, "partition", partition);
	flwr_set_bool(known, "stopping", flwr_stopping(call->context));
	return flwr_set_string(known, "name", name);
}

/* The state stays from one message to the next; an array in it, too. */
static int count(struct flwr_call *call)
{
	struct flwr_record *mine = flwr_dict_add(call->context->state, "mine", FLWR_CONFIGS);
	struct flwr_record *kept = flwr_dict_add(call->context->state, "kept", FLWR_ARRAYS);
	const int64_t shape[] = {3};
	int64_t n = 0;
	double *sums;

	if (flwr_get_int(mine, "n", &n) < 0)
		return FLWR_FAILED;
	flwr_set_int(mine, "n", n + 1);
	sums = n ? flwr_edit_data(kept, "sums", FLWR_FLOAT64, NULL)
		 : flwr_new_array(kept, "sums", FLWR_FLOAT64, 1, shape);
	if (!sums)
		return FLWR_FAILED;
	sums[2] += (double)n;
	flwr_set_double(flwr_dict_add(call->reply, "metrics", FLWR_METRICS), "sum", sums[2]);
	return flwr_set_int(flwr_dict_add(call->reply, "metrics", FLWR_METRICS), "n", n + 1);
}

static int count_and_fail(struct flwr_call *call)
{
	count(call);
	return flwr_fail("no data below /var/lib/sensor");
}

static int wrong_type(struct flwr_call *call)
{
	double lr = 0.1;

	return flwr_get_double(flwr_dict_get(call->content, "config"), "lr", &lr);
}

static int spoil(struct flwr_call *call)
{
	flwr_set_string(flwr_dict_add(call->reply, "metrics", FLWR_METRICS), "name", "x");
	return 0;
}

static int bad_text(struct flwr_call *call)
{
	(void)call;
	return flwr_fail("no \xff text");
}

static int crash(struct flwr_call *call)
{
	(void)call;
	return raise(SIGSEGV);
}

/* The message's arrays are read-only. */
static int scribble(struct flwr_call *call)
{
	const struct flwr_record *arrays = flwr_dict_at(call->content, 0);
	const struct flwr_array *first = flwr_get_array(arrays, flwr_record_key(arrays, 0));

	memset((void *)(uintptr_t)first->raw, 0, first->raw_size);
	return 0;
}

__attribute__((noreturn)) static int leave(struct flwr_call *call)
{
	(void)call;
	fprintf(stderr, "last words\n");
	exit(3);
}

/* Work until nobody wants the reply. */
static int wait_for_stop(struct flwr_call *call)
{
	while (!flwr_stopping(call->context))
		usleep(1000);
	return flwr_set_bool(flwr_dict_add(call->reply, "known", FLWR_CONFIGS), "stopped", true);
}

/* Parent and child come back. */
static int fork_twice(struct flwr_call *call)
{
	const int64_t shape[] = {10};
	pid_t child;

	flwr_new_array(flwr_dict_add(call->reply, "a", FLWR_ARRAYS), "x", FLWR_INT8, 1, shape);
	child = fork();
	if (child > 0)
		waitpid(child, NULL, 0);
	return 0;
}

/* A child stays, and has all that its parent had. */
static int fork_child(struct flwr_call *call)
{
	const int64_t shape[] = {1000000};
	char *values = flwr_new_array(
		flwr_dict_add(call->reply, "a", FLWR_ARRAYS), "x", FLWR_INT8, 1, shape);

	values[999999] = 7;
	if (fork() == 0) {
		alarm(20); /* nobody else ends it */
		pause();
		_exit(0);
	}
	return 0;
}

static int print(struct flwr_call *call)
{
	(void)call;
	printf("a line on stdout\n");
	printf("half a line");
	fflush(stdout);
	fprintf(stderr, "a line on stderr\n");
	return 0;
}

/* The same array again and again: memory of the one before serves the next. */
static int replace(struct flwr_call *call)
{
	const struct rlimit limit = {1UL << 30, 1UL << 30};
	struct flwr_record *arrays = flwr_dict_add(call->reply, "a", FLWR_ARRAYS);
	const int64_t shape[] = {64 << 20};

	setrlimit(RLIMIT_AS, &limit);
	for (int i = 0; i < 20; i++)
		if (!flwr_new_array(arrays, "x", FLWR_INT8, 1, shape))
			return FLWR_FAILED;
	return 0;
}

static int limit_files(struct flwr_call *call)
{
	const struct rlimit limit = {1, RLIM_INFINITY};

	setrlimit(RLIMIT_FSIZE, &limit);
	return halve(call);
}

static int say(struct flwr_call *call)
{
	flwr_log(call->context, FLWR_LOG_ERROR, "an error");
	flwr_logf(call->context, FLWR_LOG_WARN, "a %s", "warning");
	flwr_log(call->context, FLWR_LOG_INFO, "a line");
	flwr_log(call->context, FLWR_LOG_DEBUG, "a detail");
	for (int i = 0; i <= 1000; i++)
		flwr_progress(call->context, i / 1000.0, "epoch");
	return 0;
}

static void at_exit(void)
{
	printf("exit handler\n");
}

static void *stay(void *arg)
{
	(void)arg;
	usleep(100000);
	printf("thread ended\n");
	return NULL;
}

static pthread_t thread;

static void join(void)
{
	pthread_join(thread, NULL);
}

static int leave_thread(struct flwr_call *call)
{
	(void)call;
	atexit(at_exit);
	atexit(join);
	return pthread_create(&thread, NULL, stay, NULL);
}

const struct flwr_clientapp *flwr_app(void)
{
	static const struct flwr_handler handlers[] = {{"train", halve, NULL},
		{"train.make", make, NULL}, {"train.replace", replace, NULL},
		{"train.allocate", allocate, NULL}, {"train.fill_memory", fill_memory, NULL},
		{"train.limit_files", limit_files, NULL}, {"train.scribble", scribble, NULL},
		{"evaluate", echo, NULL}, {"query.describe", describe, NULL},
		{"query.count", count, NULL}, {"query.count_and_fail", count_and_fail, NULL},
		{"query.wrong_type", wrong_type, NULL}, {"query.spoil", spoil, NULL},
		{"query.minus_one", minus_one, NULL}, {"query.bad_text", bad_text, NULL},
		{"query.crash", crash, NULL}, {"query.leave", leave, NULL},
		{"query.wait", wait_for_stop, NULL}, {"query.fork_twice", fork_twice, NULL},
		{"query.fork_child", fork_child, NULL}, {"query.print", print, NULL},
		{"query.garbage", garbage, NULL}, {"query.say", say, NULL},
		{"query.leave_thread", leave_thread, NULL}, {NULL, NULL, NULL}};
	static const struct flwr_clientapp app = {sizeof app, FLWR_VERSION, handlers, NULL};

	return &app;
}

/* Another function, for --native-app ...:SYMBOL. */
FLWR_API const struct flwr_clientapp *other_app(void);
const struct flwr_clientapp *other_app(void)
{
	static const struct flwr_handler handlers[] = {{"query", print, NULL}, {NULL, NULL, NULL}};
	static const struct flwr_clientapp app = {sizeof app, FLWR_VERSION, handlers, NULL};

	return &app;
}
