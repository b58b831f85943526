/*
 * The worker's end against the bridge with the real package: one Python for each message, as in
 * life.
 */

#include "clientapp/form/form_layout.h"
#include "clientapp/run/app_host.h"
#include "common/base/clock.h"
#include "common/records/maps_codec.h"
#include "kit/vectors.h"

#include <fcntl.h>
#include <math.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

extern char **environ;

#define LOAD "An exception was raised when attempting to load `ClientApp`: "

enum { SKIPPED = 77 }; /* ctest knows it */

#define BRIDGE FLWR_TEST_DIR "/../../../../clientapp/run/bridge/main.py"

static bool hasty; /* timers that are set now are over at once */
void __real_timer_set(struct timer *timer, int64_t at_ms);
void __wrap_timer_set(struct timer *timer, int64_t at_ms);

void __wrap_timer_set(struct timer *timer, int64_t at_ms)
{
	__real_timer_set(timer, hasty && at_ms != CLOCK_NEVER ? clock_now_ms() : at_ms);
}

/* One app process and what it said. */
struct fixture {
	struct loop *loop;
	struct app_host *host;
	pid_t pid;
	char app_dir[64];
	int peer; /* instead of a process: the other end */
	int status;
	unsigned events[APP_HOST_HUNG_UP + 1];
	struct app_reply reply;
};

static void on_event(void *arg, enum app_host_event event)
{
	struct fixture *fixture = arg;

	fixture->events[event]++;
	if (event == APP_HOST_REPLY)
		app_host_take_reply(fixture->host, &fixture->reply);
}

static bool is_over(const struct fixture *fixture)
{
	return fixture->events[APP_HOST_REPLY] || fixture->events[APP_HOST_BROKEN] ||
	       fixture->events[APP_HOST_SILENT] || fixture->events[APP_HOST_HUNG_UP];
}

/* A host whose other end is *peer_out. */
static void open_host(struct fixture *fixture, int *peer_out)
{
	int fds[2];

	*fixture = (struct fixture){.peer = -1};
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(loop_new(&fixture->loop), 0);
	fixture->host = app_host_new(fixture->loop, fds[0], on_event, fixture);
	assert_non_null(fixture->host);
	*peer_out = fds[1];
}

static void open_peer(struct fixture *fixture)
{
	int peer;

	open_host(fixture, &peer);
	fixture->peer = peer;
}

/* The Python of the release under test (FLWR_TEST_APP_PYTHON), else of the oldest release. */
static char *app_python(void)
{
	char *python = getenv("FLWR_TEST_APP_PYTHON");

	return python ? python : getenv("FLWR_TEST_PYTHON");
}

/* With extra in its environment (in the place of the tests' PYTHONPATH, if it is one); its output
 * goes to out_fd if that is not -1. */
static void open_python(struct fixture *fixture, const char *extra, int out_fd)
{
	char *const argv[] = {app_python(), (char *)"-u", (char *)BRIDGE, NULL};
	posix_spawn_file_actions_t actions;
	char *env[512];
	size_t n = 0;
	int peer;

	if (!argv[0])
		fail_msg("FLWR_TEST_PYTHON is not set: configure with FLWR_PYTHON_ENV");
	open_host(fixture, &peer);
	for (; environ[n] && n < ARRAY_LEN(env) - 5; n++)
		env[n] = environ[n];
	env[n++] = (char *)"FLWR_APP_FD=9";
	env[n++] = (char *)"PYTHONDONTWRITEBYTECODE=1";
	if (!extra || strncmp(extra, "PYTHONPATH", 10) != 0)
		env[n++] = (char *)"PYTHONPATH=" FLWR_TEST_DIR "/apps";
	if (extra)
		env[n++] = (char *)extra;
	env[n] = NULL;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, peer, 9);
	for (int fd = STDOUT_FILENO; out_fd >= 0 && fd <= STDERR_FILENO; fd++)
		posix_spawn_file_actions_adddup2(&actions, out_fd, fd);
	assert_int_equal(posix_spawn(&fixture->pid, argv[0], &actions, NULL, argv, env), 0);
	posix_spawn_file_actions_destroy(&actions);
	close(peer);
}

static void wait_over(struct fixture *fixture)
{
	int64_t end = clock_now_ms() + 50000;

	while (!is_over(fixture) && clock_now_ms() < end)
		loop_step(fixture->loop, 1000);
	assert_true(is_over(fixture));
	if (fixture->pid) {
		assert_int_equal(waitpid(fixture->pid, &fixture->status, 0), fixture->pid);
		fixture->pid = 0;
	}
}

/* An app's directory: its modules lie on PYTHONPATH. */
static void make_app(struct fixture *fixture, const char *clientapp)
{
	char path[80];
	FILE *file;

	strcpy(fixture->app_dir, "/tmp/flwr-test-app-XXXXXX");
	assert_non_null(mkdtemp(fixture->app_dir));
	snprintf(path, sizeof path, "%s/pyproject.toml", fixture->app_dir);
	file = fopen(path, "we");
	assert_non_null(file);
	fprintf(file,
		"[project]\nname = \"app\"\nversion = \"1.0.0\"\ndescription = \"\"\n"
		"license = \"Apache-2.0\"\n[tool.flwr.app]\npublisher = \"lab\"\n"
		"[tool.flwr.app.components]\nserverapp = \"s:app\"\nclientapp = \"%s\"\n",
		clientapp);
	assert_int_equal(fclose(file), 0);
}

static void remove_app(struct fixture *fixture)
{
	char path[80];

	if (!fixture->app_dir[0])
		return;
	snprintf(path, sizeof path, "%s/pyproject.toml", fixture->app_dir);
	unlink(path);
	rmdir(fixture->app_dir);
}

static void close_fixture(struct fixture *fixture)
{
	app_host_free(fixture->host);
	loop_free(fixture->loop);
	app_reply_done(&fixture->reply);
	remove_app(fixture);
	close_fd(&fixture->peer);
}

static void add_value(struct value_map *map, const char *key, struct value value)
{
	assert_int_equal(value_map_set(map, key, &value), 0);
}

static void give_task(struct fixture *fixture, const char *clientapp, const char *type,
	const struct record_dict *content, const struct record_dict *state)
{
	auto_(value_map_done) struct value_map node_config = {0}, run_config = {0};
	struct metadata metadata = {.run_id = UINT64_MAX,
		.message_id = (char *)"message",
		.src_node_id = 1,
		.dst_node_id = 2,
		.reply_to_message_id = (char *)"",
		.group_id = (char *)"3",
		.ttl = 3600,
		.message_type = (char *)type,
		.created_at = 1732000000.25,
		.has_src_task = true,
		.src_task_id = 5};
	struct record_dict nothing = {0};
	struct value name = {0};
	struct app_task task = {.metadata = &metadata,
		.content = content ? content : &nothing,
		.run_id = UINT64_MAX,
		.node_id = 2,
		.series_id = UINT64_MAX - 1,
		.node_config = &node_config,
		.run_config = &run_config,
		.state = state ? state : &nothing,
		.app_dir = fixture->app_dir,
		.fab_id = "lab/app",
		.fab_version = "1.0.0",
		.fab_hash = "cafe"};

	make_app(fixture, clientapp);
	add_value(&node_config, "partition-id", (struct value){.kind = VALUE_SINT, .i = 4});
	assert_int_equal(value_set_bytes(&name, VALUE_STRING, "n\u00fc", 3), 0);
	add_value(&node_config, "old", (struct value){.kind = VALUE_UINT, .u = 7});
	add_value(&run_config, "name", name);
	assert_int_equal(app_host_run(fixture->host, &task), 0);
}

/* Give the host a task and wait for the end of it. */
static void run_task(struct fixture *fixture, const char *clientapp, const char *type,
	const struct record_dict *content, const struct record_dict *state)
{
	give_task(fixture, clientapp, type, content, state);
	wait_over(fixture);
}

static void run_app(struct fixture *fixture, const char *clientapp, const char *type,
	const struct record_dict *content, const struct record_dict *state)
{
	open_python(fixture, NULL, -1);
	run_task(fixture, clientapp, type, content, state);
}

static const struct record *find(const struct record_dict *dict, const char *name)
{
	for (size_t i = 0; i < dict->n; i++) {
		if (strcmp(dict->v[i].name, name) == 0)
			return &dict->v[i];
	}
	fail_msg("no record %s", name);
	return NULL;
}

static const struct value *find_value(
	const struct record_dict *dict, const char *name, const char *key)
{
	const struct value *value = value_map_get(&find(dict, name)->values, key);

	if (!value)
		fail_msg("no value %s", key);
	return value;
}

static void assert_same(const struct record_dict *a, const struct record_dict *b)
{
	auto_(slices_done) struct slices x = {0}, y = {0};

	assert_int_equal(maps_encode(a, &x), 0);
	assert_int_equal(maps_encode(b, &y), 0);
	assert_true(slices_equal(&x, &y));
}

static void assert_replied(const struct fixture *fixture)
{
	if (fixture->reply.has_error)
		fail_msg("error %d: %s", (int)fixture->reply.error_code,
			fixture->reply.error_reason);
	assert_int_equal(fixture->events[APP_HOST_HELLO], 1);
	assert_int_equal(fixture->events[APP_HOST_REPLY], 1);
	assert_true(fixture->reply.has_content && fixture->reply.has_context);
	assert_true(WIFEXITED(fixture->status) && WEXITSTATUS(fixture->status) == 0);
}

/* All that the real package can put in records, in one dict: arrays, metrics, configs. */
static void everything(struct record_dict *out)
{
	struct record_dict parts[RECORD_KIND_N] = {0};
	struct vectors vectors;
	size_t n = 0;

	vectors_start(&vectors, KIT_OLDEST, FLWR_TEST_DIR "/../../common/records/gen_records.py");
	while (vectors_next(&vectors)) {
		struct record_dict dict;
		struct reason why;

		assert_int_equal(maps_decode(&vectors.bytes, &dict, &why), 0);
		for (size_t i = 0; i < dict.n; i++) {
			struct record *to, *from = &dict.v[i];
			char unique[32];

			snprintf(unique, sizeof unique, "%zu", n++);
			to = record_dict_add(&parts[from->kind], unique, from->kind);
			assert_non_null(to);
			free(from->name);
			from->name = to->name;
			*to = *from;
		}
		free(dict.v);
	}
	for (int kind = 0; kind < RECORD_KIND_N; kind++)
		assert_int_equal(record_dict_move(out, &parts[kind]), 0);
	assert_true(n > 100);
}

static void test_echo(void **state)
{
	auto_(record_dict_done) struct record_dict all = {0};
	struct fixture fixture;

	everything(&all);
	run_app(&fixture, "sample:echo_app", "train", &all, &all);
	assert_replied(&fixture);
	assert_same(&fixture.reply.content, &all);
	assert_same(&fixture.reply.state, &all);
	assert_true(fixture.reply.metadata.ttl > -1e9);
	assert_string_equal(fixture.reply.metadata.message_type, "train");
	assert_string_equal(fixture.reply.metadata.group_id, "3");
	assert_non_null(strstr(app_host_hello_text(fixture.host), "flwr 1."));
	close_fixture(&fixture);
}

static void test_huge(void **state)
{
	const size_t size = 200u << 20, piece = 51200;
	auto_(record_dict_done) struct record_dict content = {0};
	uint64_t *payload = malloc(size);
	struct fixture fixture;
	struct slice slice;
	struct array *array;

	assert_non_null(payload);
	for (size_t i = 0; i < size / 8; i++)
		payload[i] = i * 0x9e3779b97f4a7c15u;
	assert_int_equal(slice_take(payload, size, &slice), 0);
	array = record_add_array(record_dict_add(&content, "model", RECORD_ARRAYS), "w");
	for (size_t at = 0; at < size; at += piece)
		slices_append(
			&array->data, slice_sub(slice, at, size - at < piece ? size - at : piece));
	slice_unref(&slice);
	run_app(&fixture, "sample:echo_app", "train", &content, NULL);
	assert_replied(&fixture);
	assert_true(slices_equal(&fixture.reply.content.v[0].arrays[0].data, &array->data));
	assert_int_equal(
		(uintptr_t)fixture.reply.content.v[0].arrays[0].data.v[0].data % FORM_ALIGN, 0);
	close_fixture(&fixture);
}

/* fitins, evaluateins as a server sends them: arrays "0", "1" ... in .npy form. */
static void legacy(struct record_dict *dict, const char *prefix)
{
	static const char magic[] = "\x93NUMPY\x01\x00v"; /* and a NUL: 118 bytes of head follow */
	static const char head[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }";
	char name[64];
	uint8_t file[128 + 8] = {0};
	struct array *array;

	memset(file, ' ', 128);
	memcpy(file, magic, sizeof magic);
	memcpy(file + sizeof magic, head, sizeof head - 1);
	file[127] = '\n';
	memcpy(file + 128, "\x00\x00\x80\x3f\x00\x00\x00\x40", 8);
	snprintf(name, sizeof name, "%s.parameters", prefix);
	array = record_add_array(record_dict_add(dict, name, RECORD_ARRAYS), "0");
	free(array->stype);
	array->stype = strdup("numpy.ndarray");
	assert_int_equal(slices_append_copy(&array->data, file, sizeof file), 0);
	snprintf(name, sizeof name, "%s.config", prefix);
	add_value(&record_dict_add(dict, name, RECORD_CONFIGS)->values, "lr",
		(struct value){.kind = VALUE_DOUBLE, .d = 0.5});
}

static void test_numpy_client(void **state)
{
	auto_(record_dict_done) struct record_dict content = {0};
	struct fixture fixture;
	const struct record *arrays;
	float values[2];

	legacy(&content, "fitins");
	run_app(&fixture, "sample:numpy", "train", &content, NULL);
	assert_replied(&fixture);
	arrays = find(&fixture.reply.content, "fitres.parameters");
	assert_int_equal(arrays->n_arrays, 1);
	assert_int_equal(
		slices_read(&arrays->arrays[0].data, arrays->arrays[0].data.bytes - 8, values, 8),
		0);
	assert_true(values[0] == 2 && values[1] == 3);
	assert_int_equal(
		find_value(&fixture.reply.content, "fitres.num_examples", "num_examples")->i, 7);
	assert_true(find_value(&fixture.reply.content, "fitres.metrics", "lr")->d == 0.5);
	close_fixture(&fixture);
}

static void test_client(void **state)
{
	auto_(record_dict_done) struct record_dict content = {0}, ask = {0};
	struct fixture fixture;

	legacy(&content, "evaluateins");
	run_app(&fixture, "sample:plain", "evaluate", &content, NULL);
	assert_replied(&fixture);
	assert_true(find_value(&fixture.reply.content, "evaluateres.loss", "loss")->d == 1.25);
	close_fixture(&fixture);
	assert_non_null(record_dict_add(&ask, "getparametersins.config", RECORD_CONFIGS));
	run_app(&fixture, "sample:plain", "get_parameters", &ask, NULL);
	assert_replied(&fixture);
	assert_int_equal(find(&fixture.reply.content, "getparametersres.parameters")->n_arrays, 1);
	close_fixture(&fixture);
}

static void test_mods_and_state(void **state)
{
	struct record_dict last = {0};
	struct fixture fixture;
	const struct record_dict *seen;

	run_app(&fixture, "sample:mods_app", "train", NULL, NULL);
	assert_replied(&fixture);
	assert_true(find_value(&fixture.reply.content, "before", "mod")->b);
	assert_true(find_value(&fixture.reply.content, "after", "mod")->i == 1);
	close_fixture(&fixture);
	for (int64_t i = 1; i <= 2; i++) {
		run_app(&fixture, "sample:count_app", "train", NULL, &last);
		record_dict_done(&last);
		assert_replied(&fixture);
		assert_int_equal(find_value(&fixture.reply.state, "counter", "n")->i, i);
		seen = &fixture.reply.content;
		assert_string_equal(find_value(seen, "seen", "run")->s.data, "n\u00fc");
		assert_int_equal(find_value(seen, "seen", "node")->i, 4);
		assert_true(find_value(seen, "seen", "run_id")->u == UINT64_MAX);
		assert_true(find_value(seen, "seen", "created_at")->d == 1732000000.25);
		assert_false(find_value(seen, "seen", "cwd_on_path")->b);
		assert_false(find_value(seen, "seen", "left_over")->b);
		assert_string_equal(find_value(seen, "seen", "reply_to")->s.data, "message");
		/* Releases that do not know them say the same. */
		assert_int_equal(find_value(seen, "seen", "task")->i, 5);
		assert_true(find_value(seen, "seen", "no_task")->b);
		assert_true(find_value(seen, "seen", "series")->u == UINT64_MAX - 1);
		last = fixture.reply.state;
		fixture.reply.state = (struct record_dict){0};
		close_fixture(&fixture);
	}
	record_dict_done(&last);
}

static void test_kinds(void **state)
{
	static const struct {
		const char *record, *key;
		enum value_kind kind;
	} rows[] = {{"c", "bool", VALUE_BOOL}, {"c", "int", VALUE_SINT}, {"c", "big", VALUE_UINT},
		{"c", "float", VALUE_DOUBLE}, {"c", "str", VALUE_STRING},
		{"c", "bytes", VALUE_BYTES}, {"c", "empty", VALUE_BOOL_LIST},
		{"c", "bools", VALUE_BOOL_LIST}, {"c", "ints", VALUE_SINT_LIST},
		{"c", "bigs", VALUE_UINT_LIST}, {"c", "floats", VALUE_DOUBLE_LIST},
		{"c", "strs", VALUE_STRING_LIST}, {"c", "blobs", VALUE_BYTES_LIST},
		{"c", "np", VALUE_DOUBLE}, {"m", "i", VALUE_SINT}, {"m", "f", VALUE_DOUBLE},
		{"m", "e", VALUE_DOUBLE_LIST}};
	struct fixture fixture;

	run_app(&fixture, "sample:kinds_app", "train", NULL, NULL);
	assert_replied(&fixture);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(
			find_value(&fixture.reply.content, rows[i].record, rows[i].key)->kind,
			rows[i].kind);
	close_fixture(&fixture);
}

/* The exception that long_app of sample.py raises. */
static const char *long_reason(void)
{
	static char text[4000100];
	char *at = stpcpy(text, "<class 'ValueError'>:<'");

	for (size_t i = 0; i < 1000000; i++)
		at = stpcpy(at, "\u00fcx ");
	memcpy(at, "'>", sizeof("'>"));
	return text;
}

static void test_errors(void **state)
{
	const struct {
		const char *clientapp;
		int64_t code;
		const char *reason;
	} rows[] = {{"sample:boom_app", 2, "<class 'ZeroDivisionError'>:<'division by zero'>"},
		{"sample:odd_app", 2, "<class 'ValueError'>:<'a \\x00 and a \\ud800 and \u00fc'>"},
		{"sample:huge_app", 2,
			"<class 'OverflowError'>:<''k' of record 'r' is beyond 64 bits'>"},
		{"sample:bad_list_app", 2,
			"<class 'TypeError'>:<'a value of type list cannot be in a record'>"},
		{"sample:none_app", 2,
			"<class 'TypeError'>:<'ClientApp returned a NoneType, not a Message'>"},
		{"broken:app", 2, "<class 'OSError'>:<'no GPU'>"},
		{"syntax:app", 2, "<class 'SyntaxError'>:<'invalid syntax (syntax.py, line 1)'>"},
		{"sample:long_app", 2, long_reason()},
		{"sample:nothing", 1, LOAD "module 'sample' has no attribute 'nothing'"},
		{"sample:os", 1, LOAD "Attribute sample:os is not of type <class '"},
		{"sample", 1, LOAD "Missing attribute in sample\n"}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct fixture fixture;

		run_app(&fixture, rows[i].clientapp, "train", NULL, NULL);
		assert_int_equal(fixture.events[APP_HOST_REPLY], 1);
		assert_true(fixture.reply.has_error && !fixture.reply.has_content);
		/* The Context as the app left it, as Flower keeps it. */
		assert_true(fixture.reply.has_context);
		assert_int_equal(fixture.reply.error_code, rows[i].code);
		if (rows[i].code == 1)
			assert_memory_equal(
				fixture.reply.error_reason, rows[i].reason, strlen(rows[i].reason));
		else
			assert_string_equal(fixture.reply.error_reason, rows[i].reason);
		assert_true(fixture.reply.traceback[0] != '\0');
		assert_true(WIFEXITED(fixture.status) && WEXITSTATUS(fixture.status) == 0);
		close_fixture(&fixture);
	}
}

/* A module that is not there is an error of code 1 to some release, of code 2 from then on. */
static void test_missing_module(void **state)
{
	static const char *const reasons[] = {NULL, LOAD "No module named 'not_a_module_of_anyone'",
		"<class 'ModuleNotFoundError'>:<'No module named 'not_a_module_of_anyone''>"};
	auto_(free_at_exit) char *command = NULL;
	struct fixture fixture;
	FILE *pipe;
	int code = 0;

	assert_true(
		asprintf(&command, "%s " FLWR_TEST_DIR "/code_of_missing.py", app_python()) > 0);
	pipe = popen(command, "re");
	assert_non_null(pipe);
	assert_int_equal(fscanf(pipe, "%d", &code), 1);
	pclose(pipe);
	assert_in_range(code, 1, 2);
	run_app(&fixture, "missing:app", "train", NULL, NULL);
	assert_int_equal(fixture.reply.error_code, code);
	assert_string_equal(fixture.reply.error_reason, reasons[code]);
	close_fixture(&fixture);
}

static void test_own_error(void **state)
{
	struct fixture fixture;

	run_app(&fixture, "sample:error_app", "train", NULL, NULL);
	assert_true(
		fixture.reply.has_error && !fixture.reply.has_content && fixture.reply.has_context);
	assert_int_equal(fixture.reply.error_code, 77);
	assert_string_equal(fixture.reply.error_reason, "mine");
	close_fixture(&fixture);
}

static void test_ends_without_reply(void **state)
{
	static const struct {
		const char *clientapp;
		int status;
	} rows[] = {{"sample:exit_app", 7}, {"sample:die_app", 9}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct fixture fixture;

		run_app(&fixture, rows[i].clientapp, "train", NULL, NULL);
		assert_int_equal(fixture.events[APP_HOST_REPLY], 0);
		assert_int_equal(fixture.events[APP_HOST_HUNG_UP], 1);
		assert_true(WIFEXITED(fixture.status));
		assert_int_equal(WEXITSTATUS(fixture.status), rows[i].status);
		assert_true(app_host_ended(fixture.host));
		close_fixture(&fixture);
	}
}

/* Threads are waited for and exit handlers run, as at the end of any Python program. Nothing else
 * is said: no release warns of what the bridge does. */
static void test_end_of_python(void **state)
{
	auto_(close_at_exit) int out = memfd_create("stdout", MFD_CLOEXEC);
	struct fixture fixture;
	const char *own;
	char text[16384] = {0};

	open_python(&fixture, NULL, out);
	run_task(&fixture, "sample:late_app", "train", NULL, NULL);
	assert_replied(&fixture);
	assert_true(pread(out, text, sizeof text - 1, 0) > 0);
	own = strstr(text, "thread done");
	assert_non_null(own);
	assert_string_equal(own, "thread done\nexit handler\nglobal deleted\n");
	/* The decorator @app.train() says this up to Flower 1.16. */
	if (own != text)
		assert_non_null(strstr(text, "PREVIEW FEATURE: ClientApp-register-train"));
	assert_null(strstr(text, "DEPRECATED"));
	close_fixture(&fixture);
}

/* The reply is there before the app ends; what it has not flushed is in its file then. */
static void test_end_after_reply(void **state)
{
	char text[64] = {0};
	struct fixture fixture;
	char pipe[40], file[32];
	int status;

	strcpy(file, "/tmp/flwr-test-end-XXXXXX");
	close(mkostemp(file, O_CLOEXEC));
	snprintf(pipe, sizeof pipe, "%s.pipe", file);
	assert_int_equal(mkfifo(pipe, 0600), 0);
	assert_int_equal(setenv("SAMPLE_FILE", file, 1), 0);
	open_python(&fixture, NULL, -1);
	unsetenv("SAMPLE_FILE");
	give_task(&fixture, "sample:unflushed_app", "train", NULL, NULL);
	while (!is_over(&fixture))
		loop_step(fixture.loop, 1000);
	assert_int_equal(fixture.events[APP_HOST_REPLY], 1);
	assert_int_equal(waitpid(fixture.pid, &status, WNOHANG), 0);
	/* Its thread waits for this. */
	close(open(pipe, O_WRONLY | O_CLOEXEC));
	assert_int_equal(waitpid(fixture.pid, &status, 0), fixture.pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	auto_(close_at_exit) int fd = open(file, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, text, sizeof text - 1), 12);
	assert_string_equal(text, "row\nthe last");
	unlink(file);
	unlink(pipe);
	close_fixture(&fixture);
}

static const struct value *config_value(const struct value_map *map, const char *key)
{
	const struct value *value = value_map_get(map, key);

	if (!value)
		fail_msg("no value %s", key);
	return value;
}

/* Changes that an app makes to its Context come back, and values keep their kinds. A Context
 * that the release's node would refuse becomes an error with the release's words, and the
 * Context stays as it was. */
static void test_context(void **state)
{
	static const struct {
		const char *clientapp, *reason;
	} refused[] = {{"sample:config_list_app",
			       "<class 'ValueError'>:<''x' of the Context's node_config is of type "
			       "list'>"},
		{"sample:config_huge_app", "<class 'OverflowError'>:<''x' of the Context's "
					   "node_config is beyond 64 bits'>"}};
	struct fixture fixture;

	run_app(&fixture, "sample:node_config_app", "train", NULL, NULL);
	assert_replied(&fixture);
	assert_int_equal(fixture.reply.node_config.n, 5);
	assert_int_equal(config_value(&fixture.reply.node_config, "partition-id")->i, 4);
	assert_int_equal(config_value(&fixture.reply.node_config, "seen")->i, 1);
	assert_int_equal(config_value(&fixture.reply.node_config, "seen")->kind, VALUE_SINT);
	assert_int_equal(config_value(&fixture.reply.node_config, "on")->kind, VALUE_BOOL);
	assert_int_equal(config_value(&fixture.reply.node_config, "half")->kind, VALUE_DOUBLE);
	assert_int_equal(config_value(&fixture.reply.node_config, "old")->kind, VALUE_UINT);
	assert_string_equal(config_value(&fixture.reply.run_config, "name")->s.data, "n\u00fc");
	close_fixture(&fixture);
	run_app(&fixture, "sample:run_config_app", "train", NULL, NULL);
	if (fixture.reply.has_error) { /* to 1.18 */
		assert_int_equal(fixture.reply.error_code, 2);
		assert_string_equal(fixture.reply.error_reason,
			"<class 'ValueError'>:<'The `run_config` field of the `Context` object "
			"cannot be modified (run_id: 18446744073709551615).'>");
		assert_false(fixture.reply.has_context);
	} else {
		assert_string_equal(config_value(&fixture.reply.run_config, "name")->s.data, "new");
	}
	close_fixture(&fixture);
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		run_app(&fixture, refused[i].clientapp, "train", NULL, NULL);
		assert_int_equal(fixture.reply.error_code, 2);
		assert_string_equal(fixture.reply.error_reason, refused[i].reason);
		assert_false(fixture.reply.has_context);
		close_fixture(&fixture);
	}
}

/* An app's limit for its own files does not hold for the reply, unless it cannot be lifted. */
static void test_file_limit(void **state)
{
	struct fixture fixture;

	run_app(&fixture, "sample:soft_limit_app", "train", NULL, NULL);
	assert_replied(&fixture);
	assert_int_equal(fixture.reply.content.v[0].arrays[0].data.bytes,
		100128); /* with the head of .npy */
	close_fixture(&fixture);
	run_app(&fixture, "sample:hard_limit_app", "train", NULL, NULL);
	assert_int_equal(fixture.events[APP_HOST_REPLY], 1);
	assert_int_equal(fixture.reply.error_code, 8);
	assert_non_null(strstr(fixture.reply.error_reason,
		"bytes could not be written: [Errno 27] File too large; files of its process are "
		"limited to 4096 bytes (RLIMIT_FSIZE)"));
	assert_true(WIFEXITED(fixture.status) && WEXITSTATUS(fixture.status) == 0);
	close_fixture(&fixture);
}

/* Hooks of an operator: what is imported, and which app is loaded; ours is no top-level name. */
static void test_guard(void **state)
{
	/* Releases that share another's packages have many foreign ones. */
	static char text[1 << 20];
	auto_(close_at_exit) int out = memfd_create("stdout", MFD_CLOEXEC);
	struct fixture fixture;

	open_python(&fixture, "PYTHONPATH=" FLWR_TEST_DIR "/guard:" FLWR_TEST_DIR "/apps", out);
	run_task(&fixture, "sample:echo_app", "train", NULL, NULL);
	assert_replied(&fixture);
	assert_true(pread(out, text, sizeof text - 1, 0) > 0);
	assert_non_null(strstr(text, "guard: load lab/app 1.0.0 cafe\n"));
	assert_non_null(strstr(text, "guard: load_app sample:echo_app\n"));
	assert_non_null(strstr(text, "guard: foreign sample\n"));
	assert_non_null(strstr(text, "guard: foreign flavour\n"));
	assert_null(strstr(text, "foreign flwr_native_bridge"));
	assert_null(strstr(text, "foreign form"));
	assert_null(strstr(text, "foreign flower"));
	close_fixture(&fixture);
}

static void test_apps_that_share_our_names(void **state)
{
	struct fixture fixture;

	run_app(&fixture, "form:app", "train", NULL, NULL);
	assert_replied(&fixture);
	close_fixture(&fixture);
	run_app(&fixture, "sample:spawn_app", "train", NULL, NULL);
	assert_replied(&fixture);
	assert_int_equal(find_value(&fixture.reply.content, "m", "n")->i, 3);
	close_fixture(&fixture);
}

static void test_no_flwr(void **state)
{
	struct fixture fixture;

	/* A package of that name which cannot be imported. */
	open_python(&fixture, "PYTHONPATH=" FLWR_TEST_DIR "/no_flwr", -1);
	run_task(&fixture, "sample:echo_app", "train", NULL, NULL);
	assert_int_equal(fixture.events[APP_HOST_REPLY], 1);
	assert_int_equal(fixture.reply.error_code, 1);
	assert_string_equal(fixture.reply.error_reason,
		"An exception was raised when attempting to load `ClientApp`: flwr: ImportError: "
		"not this one");
	assert_int_equal(WEXITSTATUS(fixture.status), 1);
	close_fixture(&fixture);
}

/* ---- what is not the bridge ---- */

static void say(
	const struct fixture *fixture, struct form_datagram datagram, const char *text, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov[2] = {
		{&datagram, sizeof datagram}, {(void *)(uintptr_t)text, strlen(text)}};
	struct msghdr message = {.msg_iov = iov, .msg_iovlen = 2};

	datagram.text_len = (uint32_t)strlen(text);
	if (fd >= 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof control.bytes;
		CMSG_FIRSTHDR(&message)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&message)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&message)->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), &fd, sizeof(int));
	}
	assert_true(sendmsg(fixture->peer, &message, MSG_NOSIGNAL) > 0);
}

static void test_not_the_form(void **state)
{
	static const struct {
		uint32_t type, version, code;
		const char *text;
		bool fd;
	} rows[] = {{FORM_GIVE_REPLY, APP_FORM_VERSION, 0, "", false},
		{FORM_HELLO, APP_FORM_VERSION + 1, 0, "x", false},
		{FORM_HELLO, APP_FORM_VERSION, 0, "x", true},
		{FORM_HELLO, APP_FORM_VERSION, 0, "\xff", false},
		{9, APP_FORM_VERSION, 0, "", false},
		{FORM_GIVE_TASK, APP_FORM_VERSION, 0, "", false},
		{FORM_FAILURE, APP_FORM_VERSION, 8, "x", false}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct fixture fixture;

		open_peer(&fixture);
		say(&fixture,
			(struct form_datagram){.type = rows[i].type,
				.version = rows[i].version,
				.code = rows[i].code},
			rows[i].text, rows[i].fd ? STDOUT_FILENO : -1);
		wait_over(&fixture);
		assert_int_equal(fixture.events[APP_HOST_BROKEN], 1);
		assert_true(app_host_reason(fixture.host)[0] != '\0');
		close_fixture(&fixture);
	}
}

static void test_hang_up(void **state)
{
	struct fixture fixture;

	open_peer(&fixture);
	close_fd(&fixture.peer);
	wait_over(&fixture);
	assert_int_equal(fixture.events[APP_HOST_HUNG_UP], 1);
	assert_true(app_host_ended(fixture.host));
	close_fixture(&fixture);
}

static void test_silence(void **state)
{
	struct fixture fixture;

	hasty = true;
	open_peer(&fixture);
	hasty = false;
	wait_over(&fixture);
	assert_int_equal(fixture.events[APP_HOST_SILENT], 1);
	close_fixture(&fixture);
}

/* A bridge that waits for its task ends when the worker does. */
static void test_worker_gone(void **state)
{
	struct fixture fixture;
	int status;

	open_python(&fixture, NULL, -1);
	while (!fixture.events[APP_HOST_HELLO])
		loop_step(fixture.loop, 1000);
	app_host_free(fixture.host);
	fixture.host = NULL;
	assert_int_equal(waitpid(fixture.pid, &status, 0), fixture.pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	close_fixture(&fixture);
}

/* The dead process had said hello only: that is read, and then known to be all. */
static void test_ended_after_hello(void **state)
{
	struct fixture fixture;

	open_peer(&fixture);
	say(&fixture, (struct form_datagram){.type = FORM_HELLO, .version = APP_FORM_VERSION}, "x",
		-1);
	close_fd(&fixture.peer);
	assert_true(app_host_ended(fixture.host));
	assert_int_equal(fixture.events[APP_HOST_HELLO], 1);
	assert_int_equal(fixture.events[APP_HOST_HUNG_UP], 0);
	close_fixture(&fixture);
}

/* The form's reader alone: a real reply, cut and spoilt at random. */
static int read_spoilt(const struct slices *bytes)
{
	auto_(app_reply_done) struct app_reply reply = {0};
	auto_(close_at_exit) int fd = memfd_create("reply", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct reason why = {0};
	int r;

	for (size_t i = 0; i < bytes->n; i++)
		assert_int_equal(write(fd, bytes->v[i].data, bytes->v[i].len), bytes->v[i].len);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_WRITE), 0);
	r = app_form_read_reply(fd, &reply, &why);
	assert_true(r == 0 || why.text[0] != '\0');
	return r;
}

static void test_spoilt_replies(void **state)
{
	struct vectors vectors;
	size_t n = 0;

	vectors_start(&vectors, KIT_OLDEST, FLWR_TEST_DIR "/gen_replies.py");
	for (; vectors_next(&vectors); n++) {
		assert_int_equal(read_spoilt(&vectors.bytes), 0);
		vector_abuse(read_spoilt, vectors.data, vectors.len);
	}
	assert_true(n > 0);
}

static void test_unsealed(void **state)
{
	auto_(close_at_exit) int fd = memfd_create("reply", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct app_reply reply;
	struct reason why;

	assert_int_equal(app_form_read_reply(fd, &reply, &why), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_not_the_form),
		cmocka_unit_test(test_hang_up), cmocka_unit_test(test_silence),
		cmocka_unit_test(test_worker_gone), cmocka_unit_test(test_ended_after_hello),
		cmocka_unit_test(test_unsealed), cmocka_unit_test(test_spoilt_replies),
		cmocka_unit_test(test_echo), cmocka_unit_test(test_huge),
		cmocka_unit_test(test_numpy_client), cmocka_unit_test(test_client),
		cmocka_unit_test(test_mods_and_state), cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_errors), cmocka_unit_test(test_missing_module),
		cmocka_unit_test(test_end_after_reply), cmocka_unit_test(test_context),
		cmocka_unit_test(test_file_limit), cmocka_unit_test(test_guard),
		cmocka_unit_test(test_own_error), cmocka_unit_test(test_ends_without_reply),
		cmocka_unit_test(test_end_of_python),
		cmocka_unit_test(test_apps_that_share_our_names), cmocka_unit_test(test_no_flwr)};

	if (app_python() && access(app_python(), X_OK)) {
		printf("%s is not installed (scripts/setup --all-releases)\n", app_python());
		return SKIPPED;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
