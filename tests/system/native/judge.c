/*
 * The judge's ClientApp in C: does what the record "do" of the message says (test_native.py). What
 * the one in Python does too has its names.
 */
#include "../../kit/app_handlers.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *word(struct flwr_call *call, const char *key)
{
	const char *value = "";

	flwr_get_string(flwr_dict_get(call->content, "do"), key, &value);
	return value;
}

/* The test reads the file: it is written as a whole, or not at all. */
static void tell_pids(const char *file, pid_t child)
{
	char other[512];
	FILE *out;

	snprintf(other, sizeof other, "%s.new", file);
	out = fopen(other, "w");
	if (!out)
		abort();
	fprintf(out, "%d %d", (int)getpid(), (int)child);
	fclose(out);
	rename(other, file);
}

/* All bytes of each array, anew: nothing of the reply lies where the message lay. */
static int copy(struct flwr_call *call)
{
	for (size_t i = 0; i < flwr_dict_count(call->content); i++) {
		const struct flwr_record *record = flwr_dict_at(call->content, i);
		struct flwr_record *to;

		if (flwr_record_kind(record) != FLWR_ARRAYS)
			continue;
		to = flwr_dict_add(call->reply, flwr_record_name(record), FLWR_ARRAYS);
		for (size_t k = 0; k < flwr_record_count(record); k++) {
			const char *key = flwr_record_key(record, k);
			const struct flwr_array *array = flwr_get_array(record, key);

			if (!array)
				return FLWR_FAILED;
			flwr_set_tensor(to, key, array->stype, array->raw, array->raw_size);
		}
	}
	return 0;
}

static int count(struct flwr_call *call)
{
	struct flwr_record *kept = flwr_dict_add(call->context->state, "counter", FLWR_METRICS);
	int64_t n = 0;

	if (flwr_get_int(kept, "n", &n) < 0)
		return FLWR_FAILED;
	flwr_set_int(kept, "n", n + 1);
	return flwr_set_int(flwr_dict_add(call->reply, "counter", FLWR_METRICS), "n", n + 1);
}

static int count_and_fail(struct flwr_call *call)
{
	count(call);
	return flwr_failf("no data in %s", word(call, "where"));
}

static int describe(struct flwr_call *call)
{
	struct flwr_record *known = flwr_dict_add(call->reply, "known", FLWR_CONFIGS);
	const char *partition = "", *text = "";

	flwr_get_string(call->context->node_config, "name", &partition);
	flwr_get_string(call->context->run_config, "a-string", &text);
	flwr_set_string(known, "type", call->message->type);
	flwr_set_string(known, "group", call->message->group_id);
	flwr_set_string(known, "name", partition);
	flwr_set_string(known, "variable", getenv("FLWR_APP_FD") ? "there" : "gone");
	return flwr_set_string(known, "text", text);
}

static int wrong_type(struct flwr_call *call)
{
	double lr;

	return flwr_get_double(flwr_dict_get(call->content, "do"), "what", &lr);
}

static int spoil(struct flwr_call *call)
{
	flwr_set_string(flwr_dict_add(call->reply, "m", FLWR_METRICS), "name", "x");
	return 0;
}

static int be_killed(struct flwr_call *call)
{
	int64_t number = SIGSEGV;

	flwr_get_int(flwr_dict_get(call->content, "do"), "signal", &number);
	return raise((int)number);
}

/* Memory that belongs to others, until something breaks. */
static int corrupt(struct flwr_call *call)
{
	char *memory = malloc(16);

	(void)call;
	for (size_t i = 0;; i++)
		memory[i] = 'x';
}

static int leave(struct flwr_call *call)
{
	int64_t status = 0;

	flwr_get_int(flwr_dict_get(call->content, "do"), "status", &status);
	fprintf(stderr, "last words\n");
	exit((int)status);
}

/* Hang, with a child in the group and one that has left it. */
static int sit(struct flwr_call *call)
{
	pid_t child = fork();

	if (child == 0) {
		if (fork() == 0)
			setsid();
		for (;;)
			pause();
	}
	tell_pids(word(call, "file"), child);
	for (;;)
		pause();
}

/* A child stays when the app has replied. */
static int fork_child(struct flwr_call *call)
{
	pid_t child = fork();

	if (child == 0) {
		for (;;)
			pause();
	}
	tell_pids(word(call, "file"), child);
	return flwr_set_int(flwr_dict_add(call->reply, "app", FLWR_METRICS), "pid", getpid());
}

static int fork_twice(struct flwr_call *call)
{
	pid_t child = fork();

	if (child > 0)
		waitpid(child, NULL, 0);
	return count(call);
}

static int print(struct flwr_call *call)
{
	printf("to stdout\n");
	fprintf(stderr, "to stderr\n");
	flwr_log(call->context, FLWR_LOG_WARN, "a warning");
	flwr_log(call->context, FLWR_LOG_INFO, "a line");
	flwr_progress(call->context, 1, "all done");
	printf("without a newline");
	return count(call);
}

/* malloc() does not end it: what it did not get is written to. */
static int allocate_heap(struct flwr_call *call)
{
	const struct rlimit limit = {1UL << 30, 1UL << 30};

	(void)call;
	setrlimit(RLIMIT_AS, &limit);
	for (;;)
		memset(malloc(64 << 20), 1, 64 << 20);
}

static int dispatch(struct flwr_call *call)
{
	static const struct {
		const char *what;
		flwr_handler_fn *handle;
	} rows[] = {{"echo", echo}, {"copy", copy}, {"count", count},
		{"count-and-fail", count_and_fail}, {"describe", describe},
		{"wrong-type", wrong_type}, {"minus-one", minus_one}, {"spoil", spoil},
		{"signal", be_killed}, {"corrupt", corrupt}, {"exit", leave}, {"sit", sit},
		{"fork-child", fork_child}, {"fork-twice", fork_twice}, {"print", print},
		{"garbage", garbage}, {"allocate", allocate}, {"allocate-heap", allocate_heap}};
	const char *what = word(call, "what");

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (strcmp(rows[i].what, what) == 0)
			return rows[i].handle(call);
	return flwr_failf("the judge cannot do \"%s\"", what);
}

const struct flwr_clientapp *flwr_app(void)
{
	static const struct flwr_handler handlers[] = {{"query", dispatch, NULL},
		{"train", dispatch, NULL}, {"evaluate", dispatch, NULL}, {NULL, NULL, NULL}};
	static const struct flwr_clientapp app = {sizeof app, FLWR_VERSION, handlers, NULL};

	return &app;
}
