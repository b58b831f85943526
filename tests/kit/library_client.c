/*
 * A program with a node of libflwr in it, driven by tests/system/test_library.py:
 * library-client ADDRESS [KEY=VALUE ...]. mode: client, fn (client_fn), numpy, app. The clients add
 * their partition's number plus one to all parameters; the app does what a message of the judge
 * asks for. capem and keypem are certificates and a key as text, ca and key are files of them. The
 * program has nothing of this project but its public headers.
 */
#include <flwr/client.h>

#include <locale.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NODES_MAX 200
#define EXAMPLES  10

static struct {
	const char *mode, *loop;
	int nodes;
	int work_ms;      /* that each method takes, at least */
	int patience_ms;  /* ... but it looks whether it is to stop */
	const char *fail; /* the method that fails */
} told = {.mode = "client", .loop = "", .nodes = 0, .fail = ""};

static struct flwr_node *nodes[NODES_MAX];
static atomic_int n_nodes;
static atomic_int released;

/* ---- log lines ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local int number; /* of this thread's node */

static void write_log(int level, double time_s, const char *line, void *user)
{
	static const char *const names[] = {"", "ERROR", "WARN ", "INFO ", "DEBUG"};

	(void)user;
	pthread_mutex_lock(&lock);
	fprintf(stderr, "%.3f %s client %d: %s\n", time_s, names[level], number, line);
	pthread_mutex_unlock(&lock);
}

/* ---- clients ---- */

static void sleep_ms(int ms)
{
	struct timespec gap = {ms / 1000, ms % 1000 * 1000000L};

	nanosleep(&gap, NULL);
}

/* Count the messages of the run, take the time that was asked for. */
static int begin(struct flwr_context *context, const char *method)
{
	struct flwr_record *seen = flwr_dict_add(context->state, "seen", FLWR_CONFIGS);
	int64_t n = 0;

	if (flwr_get_int(seen, "messages", &n) < 0 || flwr_set_int(seen, "messages", n + 1) != 0)
		return FLWR_FAILED;
	flwr_progress(context, 0.5, method);
	if (told.work_ms)
		flwr_logf(context, FLWR_LOG_INFO, "%s begins", method);
	for (int ms = 0; ms < told.work_ms && !(told.patience_ms && flwr_stopping(context));
		ms += 10)
		sleep_ms(10);
	if (told.work_ms)
		flwr_log(context, FLWR_LOG_INFO, "ends");
	return strcmp(told.fail, method) == 0 ? flwr_fail("no data on this device") : 0;
}

static int64_t step_of(const struct flwr_context *context)
{
	int64_t partition = 0;

	flwr_get_int(context->node_config, "partition-id", &partition);
	return partition + 1;
}

static int get_properties(const struct flwr_ins *ins, struct flwr_res *res)
{
	int r = begin(ins->context, "get_properties");

	return r ? r : flwr_set_double(res->properties, "adds", (double)step_of(ins->context));
}

static void release(void *user)
{
	free(user);
	released++;
}

static int get_parameters(const struct flwr_ins *ins, struct flwr_res *res)
{
	const int64_t shape[] = {2, 3}, four[] = {4};
	double *zeros = calloc(4, sizeof *zeros);
	int r = begin(ins->context, "get_parameters");

	if (r) {
		free(zeros);
		return r;
	}
	flwr_new_array(res->parameters, "first", FLWR_FLOAT32, 2, shape);
	return flwr_set_array_ref(
		res->parameters, "second", FLWR_FLOAT64, 1, four, NULL, zeros, release, zeros);
}

static int add(struct flwr_record *record, const char *key, int64_t step)
{
	const struct flwr_array *array = flwr_get_array(record, key);
	/* The view ends when the array is edited. */
	enum flwr_dtype dtype = array ? (enum flwr_dtype)array->dtype : FLWR_OTHER;
	size_t n = 0;
	void *data = array ? flwr_edit_data(record, key, dtype, &n) : NULL;

	if (!data)
		return FLWR_FAILED;
	for (size_t i = 0; i < n; i++) {
		if (dtype == FLWR_FLOAT32)
			((float *)data)[i] += (float)step;
		else if (dtype == FLWR_FLOAT64)
			((double *)data)[i] += (double)step;
	}
	return 0;
}

static int fit(const struct flwr_ins *ins, struct flwr_res *res)
{
	int64_t step = step_of(ins->context), round = 0;
	int r = begin(ins->context, "fit");

	if (r == 0)
		r = flwr_record_copy(res->parameters, ins->parameters);
	for (size_t i = 0; i < flwr_record_count(res->parameters) && r == 0; i++)
		r = add(res->parameters, flwr_record_key(res->parameters, i), step);
	if (r == 0 && flwr_get_int(ins->config, "round", &round) < 0)
		r = FLWR_FAILED;
	res->num_examples = EXAMPLES;
	flwr_set_int(res->metrics, "round", round);
	return r ? r : flwr_set_int(res->metrics, "step", step);
}

static int evaluate(const struct flwr_ins *ins, struct flwr_res *res)
{
	int r = begin(ins->context, "evaluate");
	int64_t messages = 0;
	const double *second = flwr_get_data(ins->parameters, "1", FLWR_FLOAT64, NULL);

	if (r)
		return r;
	if (!second || flwr_get_int(flwr_dict_get(ins->context->state, "seen"), "messages",
			       &messages) != 0)
		return FLWR_FAILED;
	res->loss = second[0];
	res->num_examples = EXAMPLES;
	return flwr_set_int(res->metrics, "messages", messages);
}

static const struct flwr_client whole = {.size = sizeof whole,
	.get_properties = get_properties,
	.get_parameters = get_parameters,
	.fit = fit,
	.evaluate = evaluate};

static void release_client(struct flwr_client *client)
{
	release(client);
}

static struct flwr_client *client_fn(struct flwr_context *context, void *user)
{
	struct flwr_client *client = malloc(sizeof *client);

	(void)user;
	if (!client)
		return NULL;
	flwr_log(context, FLWR_LOG_DEBUG, "client_fn");
	*client = whole;
	client->release = release_client;
	return client;
}

/* ---- the judge's app ---- */

static int count(struct flwr_call *call)
{
	struct flwr_record *counter = flwr_dict_add(call->context->state, "counter", FLWR_METRICS);
	int64_t n = 0;

	if (flwr_get_int(counter, "n", &n) < 0 || flwr_set_int(counter, "n", n + 1) != 0)
		return FLWR_FAILED;
	return flwr_set_int(flwr_dict_add(call->reply, "counter", FLWR_METRICS), "n", n + 1);
}

static int echo(struct flwr_call *call)
{
	int r = 0;

	for (size_t i = 0; i < flwr_dict_count(call->content) && r == 0; i++) {
		const struct flwr_record *record = flwr_dict_at(call->content, i);

		r = flwr_record_copy(flwr_dict_add(call->reply, flwr_record_name(record),
					     flwr_record_kind(record)),
			record);
	}
	return r;
}

static int tell(struct flwr_call *call)
{
	struct flwr_record *known = flwr_dict_add(call->reply, "known", FLWR_CONFIGS);
	char id[32];

	snprintf(id, sizeof id, "%llu", (unsigned long long)call->context->node_id);
	flwr_set_string(known, "node_id", id);
	flwr_set_string(known, "type", call->message->type);
	flwr_set_string(known, "group", call->message->group_id);
	flwr_record_copy(flwr_dict_add(call->reply, "node_config", FLWR_CONFIGS),
		call->context->node_config);
	return flwr_record_copy(
		flwr_dict_add(call->reply, "run_config", FLWR_CONFIGS), call->context->run_config);
}

static int wait_for_stop(struct flwr_call *call)
{
	flwr_log(call->context, FLWR_LOG_INFO, "waits to be stopped");
	while (!flwr_stopping(call->context))
		sleep_ms(5);
	return 0;
}

static int obey(struct flwr_call *call)
{
	const char *what = "";

	if (flwr_get_string(flwr_dict_get(call->content, "do"), "what", &what) != 0)
		return FLWR_FAILED;
	if (strcmp(what, "count") == 0)
		return count(call);
	if (strcmp(what, "echo") == 0)
		return echo(call);
	if (strcmp(what, "context") == 0)
		return tell(call);
	if (strcmp(what, "sit") == 0)
		return wait_for_stop(call);
	if (strcmp(what, "count-and-raise") == 0)
		count(call);
	return flwr_failf("cannot %s", what);
}

static const struct flwr_handler handlers[] = {{"query", obey, NULL}, {"train", obey, NULL},
	{"evaluate", obey, NULL}, {"query.custom", tell, NULL}, {NULL, NULL, NULL}};
static const struct flwr_clientapp app = {sizeof app, FLWR_VERSION, handlers, NULL};

/* ---- nodes ---- */

static void on_signal(int signal)
{
	(void)signal;
	for (int i = 0; i < atomic_load(&n_nodes); i++)
		flwr_node_stop(nodes[i]);
}

static int step_all(int n)
{
	struct pollfd fds[NODES_MAX];
	int left = n, bad = 0;

	for (int i = 0; i < n; i++)
		fds[i] = (struct pollfd){flwr_node_fd(nodes[i]), POLLIN, 0};
	while (left > 0) {
		if (poll(fds, (nfds_t)n, -1) < 0)
			continue;
		for (int i = 0; i < n; i++) {
			int r;

			number = i;
			r = fds[i].revents ? flwr_node_step(nodes[i]) : 0;
			if (r == 0)
				continue;
			if (r != FLWR_ENDED) {
				fprintf(stderr, "error %s: %s\n", flwr_result_name(r),
					flwr_error());
				bad = 1;
			}
			fds[i].fd = -1;
			left--;
		}
	}
	return bad;
}

static void *run_one(void *arg)
{
	intptr_t i = (intptr_t)arg;
	int r;

	number = (int)i;
	r = flwr_node_run(nodes[i]);
	if (r)
		fprintf(stderr, "error %s: %s\n", flwr_result_name(r), flwr_error());
	return r ? nodes[i] : NULL;
}

static int run_all(int n)
{
	pthread_t threads[NODES_MAX];
	void *result;
	int bad = 0;

	for (int i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, run_one, (void *)(intptr_t)i) != 0)
			abort();
	for (int i = 0; i < n; i++) {
		pthread_join(threads[i], &result);
		bad |= result != NULL;
	}
	return bad;
}

static int failed(int r)
{
	fprintf(stderr, "error %s: %s\n", flwr_result_name(r), flwr_error());
	return 1;
}

static int run_nodes(const struct flwr_options *options, const char *config)
{
	struct sigaction action = {.sa_handler = on_signal};
	int n = told.nodes, bad;

	for (int i = 0; i < n; i++) {
		struct flwr_options own = *options;
		char text[128];
		int r;

		snprintf(text, sizeof text, "partition-id=%d", i);
		own.node_config = config ? config : text;
		r = flwr_node_new(&own, &nodes[i]);
		if (r)
			return failed(r);
		n_nodes++;
	}
	sigaction(SIGTERM, &action, NULL);
	bad = strcmp(told.loop, "poll") == 0 ? step_all(n) : run_all(n);
	atomic_store(&n_nodes, 0); /* for on_signal() */
	for (int i = 0; i < n; i++)
		flwr_node_free(nodes[i]);
	return bad;
}

/* ---- the program ---- */

/* The value of a word KEY=VALUE. */
static const char *value_of(int argc, char **argv, const char *key)
{
	size_t len = strlen(key);

	for (int i = 2; i < argc; i++) {
		if (strncmp(argv[i], key, len) == 0 && argv[i][len] == '=')
			return argv[i] + len + 1;
	}
	return NULL;
}

static int number_of(int argc, char **argv, const char *key)
{
	const char *value = value_of(argc, argv, key);

	return value ? (int)strtol(value, NULL, 10) : 0;
}

static void choose(struct flwr_options *options)
{
	if (strcmp(told.mode, "app") == 0)
		options->app = &app;
	else if (strcmp(told.mode, "fn") == 0)
		options->client_fn = client_fn;
	else if (strcmp(told.mode, "none") != 0)
		options->client = &whole;
	options->numpy = strcmp(told.mode, "numpy") == 0;
}

int main(int argc, char **argv)
{
	const char *mode = value_of(argc, argv, "mode"), *loop = value_of(argc, argv, "loop"),
		   *wait = value_of(argc, argv, "wait"), *fail = value_of(argc, argv, "fail");
	struct flwr_options options = {.size = sizeof options,
		.server_address = argc > 1 ? argv[1] : NULL,
		.transport = value_of(argc, argv, "transport"),
		.root_certificates_path = value_of(argc, argv, "ca"),
		.root_certificates_pem = value_of(argc, argv, "capem"),
		.authentication_key_path = value_of(argc, argv, "key"),
		.authentication_key_pem = value_of(argc, argv, "keypem"),
		.node_config = value_of(argc, argv, "config"),
		.max_retries = number_of(argc, argv, "retries"),
		.max_wait_time = wait ? atof(wait) : 0,
		.log = value_of(argc, argv, "quiet") ? NULL : write_log,
		.log_level = FLWR_LOG_DEBUG};
	int r;

	options.grpc_max_message_length = (uint64_t)number_of(argc, argv, "max");
	setlocale(LC_ALL, "");
	told.mode = mode ? mode : told.mode;
	told.loop = loop ? loop : told.loop;
	told.fail = fail ? fail : told.fail;
	told.nodes = number_of(argc, argv, "nodes");
	told.work_ms = number_of(argc, argv, "work");
	told.patience_ms = number_of(argc, argv, "patience");
	choose(&options);
	if (told.nodes > NODES_MAX)
		return 2;
	if (told.nodes > 0) {
		r = run_nodes(&options, options.node_config);
	} else {
		r = options.numpy ? flwr_start_numpy_client(&options) : flwr_start_client(&options);
		if (r)
			r = failed(r);
	}
	fprintf(stderr, "released %d\n", atomic_load(&released));
	return r;
}
