/*
 * The native host as a worker sees it: one process for each message, with apps that were built
 * against the public headers. The test is worker and agent.
 */
#include "clientapp/run/app_host.h"
#include "common/base/clock.h"
#include "common/records/maps_codec.h"
#include "kit/dir.h"
#include "kit/loop.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

extern char **environ;

#define LOAD "An exception was raised when attempting to load `ClientApp`: "

/* One host and what it said. */
struct fixture {
	struct loop *loop;
	struct app_host *host;
	pid_t pid;
	int status;
	int output; /* what it printed */
	char printed[65536];
	unsigned events[APP_HOST_HUNG_UP + 1];
	struct app_reply reply;
	double ttl;
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
	       fixture->events[APP_HOST_HUNG_UP];
}

/* Start the host with this file, a name among the tests' apps or a path, and symbol (NULL: none).
 */
static void open_app(struct fixture *fixture, const char *file, const char *symbol)
{
	char path[512];
	char *const argv[] = {(char *)(uintptr_t)HOST, (char *)(uintptr_t) "-l",
		(char *)(uintptr_t) "info", path, (char *)(uintptr_t)symbol, NULL};
	posix_spawn_file_actions_t actions;
	char *env[512];
	size_t n = 0;
	int fds[2];

	*fixture = (struct fixture){.ttl = 3600};
	snprintf(path, sizeof path, "%s%s", file[0] == '/' ? "" : APPS "/", file);
	assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), errno);
	assert_int_equal(loop_new(&fixture->loop), 0);
	fixture->host = app_host_new(fixture->loop, fds[0], on_event, fixture);
	assert_non_null(fixture->host);
	fixture->output = memfd_create("output", MFD_CLOEXEC);
	for (; environ[n] && n < ARRAY_LEN(env) - 2; n++)
		env[n] = environ[n];
	env[n++] = (char *)(uintptr_t) "FLWR_APP_FD=9";
	env[n] = NULL;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[1], 9);
	posix_spawn_file_actions_adddup2(&actions, fixture->output, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, fixture->output, STDERR_FILENO);
	assert_int_equal(posix_spawn(&fixture->pid, argv[0], &actions, NULL, argv, env), 0);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
}

static void add_value(struct value_map *map, const char *key, struct value value)
{
	assert_int_equal(value_map_set(map, key, &value), 0);
}

static void give_task(struct fixture *fixture, const char *type, const struct record_dict *content,
	const struct record_dict *state)
{
	auto_(value_map_done) struct value_map node_config = {0}, run_config = {0};
	const struct metadata metadata = {.run_id = UINT64_MAX,
		.message_id = (char *)(uintptr_t) "message",
		.src_node_id = 1,
		.dst_node_id = 2,
		.reply_to_message_id = (char *)(uintptr_t) "",
		.group_id = (char *)(uintptr_t) "3",
		.ttl = fixture->ttl,
		.message_type = (char *)(uintptr_t)type,
		.created_at = clock_wall_s(),
		.has_src_task = true,
		.src_task_id = 5};
	const struct record_dict nothing = {0};
	struct value name = {0};
	const struct app_task task = {.metadata = &metadata,
		.content = content ? content : &nothing,
		.run_id = UINT64_MAX,
		.node_id = 2,
		.series_id = UINT64_MAX - 1,
		.node_config = &node_config,
		.run_config = &run_config,
		.state = state ? state : &nothing,
		.app_dir = "/apps/x",
		.fab_id = "lab/app",
		.fab_version = "1.0.0",
		.fab_hash = "cafe"};

	add_value(&node_config, "partition-id", (struct value){.kind = VALUE_SINT, .i = 4});
	add_value(&node_config, "old", (struct value){.kind = VALUE_UINT, .u = 7});
	assert_int_equal(value_set_bytes(&name, VALUE_STRING, "n\u00fc", 3), 0);
	add_value(&run_config, "name", name);
	assert_int_equal(app_host_run(fixture->host, &task), 0);
}

/* Wait for what the host says and, if it is to end, for its end. */
static void wait_over(struct fixture *fixture, bool ends)
{
	ssize_t n;

	kit_loop_until(fixture->loop, is_over(fixture));
	if (ends)
		assert_int_equal(waitpid(fixture->pid, &fixture->status, 0), fixture->pid);
	n = pread(fixture->output, fixture->printed, sizeof fixture->printed - 1, 0);
	fixture->printed[n > 0 ? n : 0] = '\0';
}

static void run_app(struct fixture *fixture, const char *type, const struct record_dict *content,
	const struct record_dict *state)
{
	open_app(fixture, "sample.so", NULL);
	give_task(fixture, type, content, state);
	wait_over(fixture, true);
}

static void close_fixture(struct fixture *fixture)
{
	app_host_free(fixture->host);
	loop_free(fixture->loop);
	app_reply_done(&fixture->reply);
	close_fd(&fixture->output);
}

static void assert_replied(const struct fixture *fixture)
{
	if (fixture->events[APP_HOST_BROKEN])
		fail_msg("%s", app_host_reason(fixture->host));
	if (fixture->reply.has_error)
		fail_msg("error %d: %s", (int)fixture->reply.error_code,
			fixture->reply.error_reason);
	if (fixture->events[APP_HOST_REPLY] != 1)
		fail_msg("no reply, status %x: %s", fixture->status, fixture->printed);
	assert_int_equal(fixture->events[APP_HOST_HELLO], 1);
	assert_true(fixture->reply.has_content && fixture->reply.has_context);
	assert_true(WIFEXITED(fixture->status) && WEXITSTATUS(fixture->status) == 0);
}

static void assert_error(const struct fixture *fixture, int code, const char *reason)
{
	assert_int_equal(fixture->events[APP_HOST_REPLY], 1);
	assert_true(fixture->reply.has_error);
	if (!strstr(fixture->reply.error_reason, reason))
		fail_msg("%s", fixture->reply.error_reason);
	assert_int_equal(fixture->reply.error_code, code);
	assert_false(fixture->reply.has_context);
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

/* An array of floats: .npy of version 1.0 with a header of 128 bytes. */
static void add_floats(
	struct record_dict *dict, const char *name, const char *key, size_t n, float first)
{
	static const char begin[] = "\x93NUMPY\x01\x00v";
	char *file = malloc(128 + n * sizeof(float));
	struct record *record = NULL;
	struct array *array;
	struct slice slice;

	assert_non_null(file);
	memset(file, ' ', 128);
	memcpy(file, begin, sizeof begin);
	file[10 + sprintf(file + 10, "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu,), }",
			  n)] = ' ';
	file[127] = '\n';
	for (size_t i = 0; i < n; i++)
		memcpy(file + 128 + i * sizeof(float), &(float){first + (float)i}, sizeof(float));
	for (size_t i = 0; i < dict->n; i++)
		if (strcmp(dict->v[i].name, name) == 0)
			record = &dict->v[i];
	if (!record)
		record = record_dict_add(dict, name, RECORD_ARRAYS);
	array = record_add_array(record, key);
	assert_non_null(array);
	free(array->dtype);
	free(array->stype);
	array->dtype = strdup("float32");
	array->stype = strdup("numpy.ndarray");
	array->shape = malloc(sizeof *array->shape);
	assert_non_null(array->shape);
	array->shape[0] = (int32_t)n;
	array->n_shape = 1;
	assert_int_equal(slice_take(file, 128 + n * sizeof(float), &slice), 0);
	assert_int_equal(slices_append(&array->data, slice), 0);
}

static void assert_same(const struct record_dict *a, const struct record_dict *b)
{
	auto_(slices_done) struct slices x = {0}, y = {0};

	assert_int_equal(maps_encode(a, &x), 0);
	assert_int_equal(maps_encode(b, &y), 0);
	assert_true(slices_equal(&x, &y));
}

/* Element i of an array of 32 bits. */
static uint32_t element(const struct array *array, size_t i)
{
	uint32_t value;

	assert_int_equal(
		slices_read(&array->data, array->data.bytes - (array->shape[0] - i) * sizeof value,
			&value, sizeof value),
		0);
	return value;
}

/* ---- replies ---- */

static void content_and_state_go_back_as_they_came(void **state)
{
	auto_(record_dict_done) struct record_dict content = {0};
	struct fixture fixture;
	struct record *values;

	for (int i = 0; i < 30; i++) {
		char key[8];

		snprintf(key, sizeof key, "%d", i);
		add_floats(&content, "arrays", key, (size_t)i * 1000, 1);
	}
	values = record_dict_add(&content, "config", RECORD_CONFIGS);
	add_value(&values->values, "lr", (struct value){.kind = VALUE_DOUBLE, .d = 0.5});
	add_value(&values->values, "old", (struct value){.kind = VALUE_UINT, .u = 3});
	run_app(&fixture, "evaluate", &content, &content);
	assert_replied(&fixture);
	assert_same(&fixture.reply.content, &content);
	assert_same(&fixture.reply.state, &content);
	assert_string_equal(app_host_hello_text(fixture.host), "native sample.so, header 0.1");
	assert_int_equal(value_map_get(&fixture.reply.node_config, "old")->kind, VALUE_UINT);
	assert_int_equal(value_map_get(&fixture.reply.node_config, "partition-id")->i, 4);
	assert_string_equal(value_map_get(&fixture.reply.run_config, "name")->s.data, "n\u00fc");
	close_fixture(&fixture);
}

static void arrays_are_edited_and_what_came_stays_as_it_was(void **state)
{
	auto_(record_dict_done) struct record_dict content = {0};
	struct fixture fixture;
	const struct record *halves, *came;

	add_floats(&content, "arrays", "small", 3, 2);
	add_floats(&content, "arrays", "none", 0, 0);
	add_floats(&content, "arrays", "large", 1000000, 2);
	run_app(&fixture, "train", &content, NULL);
	assert_replied(&fixture);
	halves = find(&fixture.reply.content, "arrays");
	assert_int_equal(halves->n_arrays, 3);
	assert_int_equal(element(&halves->arrays[0], 2), 0x40000000); /* 4.0 / 2 */
	assert_int_equal(element(&halves->arrays[2], 0), 0x3f800000); /* 1.0 */
	came = find(&fixture.reply.content, "came");
	for (size_t i = 0; i < 3; i++)
		assert_true(slices_equal(&came->arrays[i].data, &content.v[0].arrays[i].data));
	close_fixture(&fixture);
}

static void arrays_of_all_sizes_are_made_and_thrown_away(void **state)
{
	struct fixture fixture;
	const struct record *made;

	run_app(&fixture, "train.make", NULL, NULL);
	assert_replied(&fixture);
	made = find(&fixture.reply.content, "made");
	assert_int_equal(made->n_arrays, 200 - 67);
	for (size_t i = 0; i < made->n_arrays; i++) {
		const struct array *array = &made->arrays[i];
		const uint32_t number = (uint32_t)strtoul(array->key, NULL, 10);

		assert_int_equal(array->shape[0], number % 20 == 19 ? 100000 + number : number);
		for (size_t k = 0; k < (size_t)array->shape[0]; k += 977)
			assert_int_equal(element(array, k), number * k);
	}
	close_fixture(&fixture);
}

static void message_and_context_are_known(void **state)
{
	struct fixture fixture;
	const struct record_dict *content = &fixture.reply.content;

	run_app(&fixture, "query.describe", NULL, NULL);
	assert_replied(&fixture);
	assert_string_equal(find_value(content, "known", "type")->s.data, "query.describe");
	assert_string_equal(find_value(content, "known", "id")->s.data, "message");
	assert_string_equal(find_value(content, "known", "group")->s.data, "3");
	assert_string_equal(find_value(content, "known", "name")->s.data, "n\u00fc");
	assert_true(find_value(content, "known", "ttl")->d == 3600);
	assert_int_equal(find_value(content, "known", "src")->i, 1);
	assert_int_equal(find_value(content, "known", "node")->i, 2);
	assert_int_equal(find_value(content, "known", "partition")->i, 4);
	assert_true(find_value(content, "known", "run")->b);
	assert_false(find_value(content, "known", "stopping")->b);
	close_fixture(&fixture);
}

static void state_is_kept_when_the_handler_succeeds(void **state)
{
	auto_(record_dict_done) struct record_dict kept = {0};

	for (int i = 1; i <= 3; i++) {
		struct fixture fixture;

		run_app(&fixture, "query.count", NULL, &kept);
		assert_replied(&fixture);
		assert_int_equal(find_value(&fixture.reply.content, "metrics", "n")->i, i);
		assert_true(find_value(&fixture.reply.content, "metrics", "sum")->d ==
			    (i - 1) * i / 2.0);
		record_dict_done(&kept);
		kept = fixture.reply.state;
		fixture.reply.state = (struct record_dict){0};
		close_fixture(&fixture);
		/* Without a Context in the reply the worker leaves it as it was. */
		run_app(&fixture, "query.count_and_fail", NULL, &kept);
		assert_error(&fixture, 2, "no data below /var/lib/sensor");
		close_fixture(&fixture);
	}
}

static void another_function_makes_another_app(void **state)
{
	struct fixture fixture;

	open_app(&fixture, "sample.so", "other_app");
	give_task(&fixture, "query", NULL, NULL);
	wait_over(&fixture, true);
	assert_replied(&fixture);
	assert_non_null(strstr(fixture.printed, "a line on stdout\nhalf a linea line on stderr\n"));
	close_fixture(&fixture);
}

static void an_app_that_names_no_library_has_the_one_of_the_host(void **state)
{
	struct fixture fixture;

	open_app(&fixture, "unlinked.so", NULL);
	give_task(&fixture, "train.make", NULL, NULL);
	wait_over(&fixture, true);
	assert_replied(&fixture);
	close_fixture(&fixture);
}

static void lines_have_levels_and_progress_is_told_now_and_then(void **state)
{
	struct fixture fixture;

	run_app(&fixture, "query.say", NULL, NULL);
	assert_replied(&fixture);
	assert_non_null(strstr(fixture.printed, "ERROR an error\nWARN  a warning\nINFO  a line\n"));
	assert_null(strstr(fixture.printed, "a detail"));
	assert_non_null(strstr(fixture.printed, "INFO  0 %: epoch\n"));
	assert_non_null(strstr(fixture.printed, "INFO  100 %: epoch\n"));
	assert_null(strstr(fixture.printed, "INFO  50 %: epoch\n"));
	close_fixture(&fixture);
}

static void the_end_of_an_app_is_its_own(void **state)
{
	struct fixture fixture;

	run_app(&fixture, "query.leave_thread", NULL, NULL);
	assert_replied(&fixture);
	assert_non_null(strstr(fixture.printed, "thread ended\nexit handler\n"));
	close_fixture(&fixture);
}

static void a_limit_for_files_is_not_for_the_reply(void **state)
{
	auto_(record_dict_done) struct record_dict content = {0};
	struct fixture fixture;

	add_floats(&content, "arrays", "w", 100000, 2);
	run_app(&fixture, "train.limit_files", &content, NULL);
	assert_replied(&fixture);
	assert_int_equal(element(&fixture.reply.content.v[0].arrays[0], 0), 0x3f800000); /* 1.0 */
	close_fixture(&fixture);
}

/* The shadow memory of a sanitizer does not fit into any limit. */
static void skip_with_sanitizers(void)
{
#ifdef FLWR_SANITIZED
	skip();
#endif
}

static void memory_of_an_array_that_was_replaced_serves_the_next(void **state)
{
	struct fixture fixture;

	skip_with_sanitizers();
	run_app(&fixture, "train.replace", NULL, NULL);
	assert_replied(&fixture);
	close_fixture(&fixture);
}

/* ---- errors of the app ---- */

static void what_a_handler_says_is_the_reason(void **state)
{
	static const struct {
		const char *type, *reason;
	} rows[] = {{"query.wrong_type", "config \"lr\" is "}, {"query.spoil", "\"name\""},
		{"query.minus_one", "returned -1"}, {"query.bad_text", "no ? text"},
		{"train.unknown", "unknown"}};
	auto_(record_dict_done) struct record_dict content = {0};
	struct value lr = {0};

	assert_int_equal(value_set_bytes(&lr, VALUE_STRING, "fast", 4), 0);
	add_value(&record_dict_add(&content, "config", RECORD_CONFIGS)->values, "lr", lr);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct fixture fixture;

		run_app(&fixture, rows[i].type, &content, NULL);
		assert_error(&fixture, 2, rows[i].reason);
		assert_true(WIFEXITED(fixture.status) && WEXITSTATUS(fixture.status) == 0);
		close_fixture(&fixture);
	}
}

static void memory_without_end_is_an_error(void **state)
{
	struct fixture fixture;

	skip_with_sanitizers();
	run_app(&fixture, "train.allocate", NULL, NULL);
	assert_error(&fixture, 2, "");
	close_fixture(&fixture);
}

static void an_app_that_ends_says_nothing(void **state)
{
	auto_(record_dict_done) struct record_dict content = {0};
	struct fixture fixture;

	add_floats(&content, "arrays", "w", 1000, 2);
	run_app(&fixture, "query.leave", NULL, NULL);
	assert_int_equal(fixture.events[APP_HOST_HUNG_UP], 1);
	assert_int_equal(WEXITSTATUS(fixture.status), 3);
	close_fixture(&fixture);
	run_app(&fixture, "query.crash", NULL, NULL);
	assert_int_equal(fixture.events[APP_HOST_HUNG_UP], 1);
	assert_false(WIFEXITED(fixture.status) && WEXITSTATUS(fixture.status) == 0);
	close_fixture(&fixture);
	run_app(&fixture, "train.scribble", &content, NULL);
	assert_int_equal(fixture.events[APP_HOST_HUNG_UP], 1);
	assert_false(WIFEXITED(fixture.status) && WEXITSTATUS(fixture.status) == 0);
	close_fixture(&fixture);
}

static void garbage_breaks_the_conversation(void **state)
{
	struct fixture fixture;

	run_app(&fixture, "query.garbage", NULL, NULL);
	assert_int_equal(fixture.events[APP_HOST_BROKEN], 1);
	assert_non_null(strstr(app_host_reason(fixture.host), "no datagram of the app form"));
	close_fixture(&fixture);
}

static void a_child_that_comes_back_gives_no_reply(void **state)
{
	struct fixture fixture;

	run_app(&fixture, "query.fork_twice", NULL, NULL);
	assert_replied(&fixture);
	assert_non_null(strstr(fixture.printed, "WARN  a forked child returned"));
	close_fixture(&fixture);
}

/* The child does not keep the reply from being sealed. */
static void a_child_that_stays_changes_nothing(void **state)
{
	struct fixture fixture;
	const struct array *array;
	uint8_t last;

	open_app(&fixture, "sample.so", NULL);
	/* A group of its own, to be killed with the child in it. */
	assert_return_code(
		setpgid(fixture.pid, fixture.pid) < 0 && errno != EACCES ? -1 : 0, errno);
	give_task(&fixture, "query.fork_child", NULL, NULL);
	wait_over(&fixture, true);
	assert_replied(&fixture);
	array = &find(&fixture.reply.content, "a")->arrays[0];
	assert_int_equal(slices_read(&array->data, array->data.bytes - 1, &last, 1), 0);
	assert_int_equal(last, 7);
	kill(-fixture.pid, SIGKILL);
	close_fixture(&fixture);
}

static void a_handler_knows_when_nobody_wants_its_reply(void **state)
{
	struct fixture fixture;

	/* Its time is over. */
	open_app(&fixture, "sample.so", NULL);
	fixture.ttl = 0.2;
	give_task(&fixture, "query.wait", NULL, NULL);
	wait_over(&fixture, true);
	assert_replied(&fixture);
	close_fixture(&fixture);
	/* The worker has gone: there is nobody to tell, either. */
	open_app(&fixture, "sample.so", NULL);
	give_task(&fixture, "query.wait", NULL, NULL);
	kit_loop_until(fixture.loop, fixture.events[APP_HOST_HELLO]);
	app_host_free(fixture.host);
	fixture.host = NULL;
	assert_int_equal(waitpid(fixture.pid, &fixture.status, 0), fixture.pid);
	assert_true(WIFEXITED(fixture.status) && WEXITSTATUS(fixture.status) == 1);
	close_fixture(&fixture);
}

static void a_worker_that_goes_before_the_task_ends_the_host(void **state)
{
	struct fixture fixture;

	open_app(&fixture, "sample.so", NULL);
	kit_loop_until(fixture.loop, fixture.events[APP_HOST_HELLO]);
	app_host_free(fixture.host);
	fixture.host = NULL;
	assert_int_equal(waitpid(fixture.pid, &fixture.status, 0), fixture.pid);
	assert_true(WIFEXITED(fixture.status) && WEXITSTATUS(fixture.status) == 0);
	close_fixture(&fixture);
}

/* ---- files that cannot be run ---- */

/* A copy of a good app in which one field of the ELF header is another. */
static char *spoilt_copy(const char *name, size_t offset, uint16_t value)
{
	auto_(close_at_exit) int from = open(APPS "/sample.so", O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *bytes, *path;

	assert_return_code(from, errno);
	assert_return_code(fstat(from, &st), errno);
	bytes = malloc((size_t)st.st_size);
	assert_non_null(bytes);
	assert_int_equal(read(from, bytes, (size_t)st.st_size), st.st_size);
	memcpy(bytes + offset, &value, offset < 16 ? 1 : sizeof value);
	path = kit_dir_write(name, bytes, (size_t)st.st_size);
	free(bytes);
	return path;
}

static void refused(const char *file, const char *symbol, const char *sentence)
{
	struct fixture fixture;

	open_app(&fixture, file, symbol);
	wait_over(&fixture, true);
	assert_error(&fixture, 1, LOAD);
	assert_true(app_host_refused(fixture.host));
	if (strcmp(fixture.reply.error_reason + strlen(LOAD), sentence) != 0)
		fail_msg("%s", fixture.reply.error_reason);
	/* The reply names no folder of this machine, the log does. */
	assert_null(strchr(fixture.reply.error_reason, '/'));
	assert_non_null(strstr(fixture.printed, "ERROR /"));
	assert_int_equal(WEXITSTATUS(fixture.status), 1);
	close_fixture(&fixture);
}

static void each_wrong_file_has_its_sentence(void **state)
{
	auto_(free_at_exit) char *text = kit_dir_write_text("text.so", "this is text\n");
	auto_(free_at_exit) char *empty = kit_dir_write_text("empty.so", "");
	auto_(free_at_exit) char *arm = spoilt_copy("arm.so", 18, 183);
	auto_(free_at_exit) char *small = spoilt_copy("small.so", 4, 1);
	auto_(free_at_exit) char *swapped = spoilt_copy("swapped.so", 5, 2);
	auto_(free_at_exit) char *program = spoilt_copy("program.so", 16, 2);
	auto_(free_at_exit) char *object = spoilt_copy("object.so", 16, 1);
	auto_(free_at_exit) char *folder = kit_dir_path("folder.so");
	auto_(free_at_exit) char *pipe = kit_dir_path("pipe.so");

	assert_return_code(mkdir(folder, 0700), errno);
	assert_return_code(mkfifo(pipe, 0600), errno);
	refused("/nonexistent/robot.so", NULL, "robot.so: No such file or directory");
	refused(folder, NULL, "folder.so is no file");
	refused(pipe, NULL, "pipe.so is no file");
	refused(text, NULL, "text.so is no shared object");
	refused(empty, NULL, "empty.so is no shared object");
#ifdef __x86_64__
	refused(arm, NULL,
		"arm.so is for another machine (ELF machine 183 with 64 bits, this one is 62 with 64)");
	refused(small, NULL,
		"small.so is for another machine (ELF machine 62 with 32 bits, this one is 62 with 64)");
#endif
	refused(swapped, NULL, "swapped.so is for a machine with another byte order");
	refused(program, NULL, "program.so is no shared object: link it with -shared (and -fPIC)");
	refused(object, NULL, "object.so is no shared object: link it with -shared (and -fPIC)");
}

static void each_wrong_app_has_its_sentence(void **state)
{
	refused("no_function.so", NULL,
		"no_function.so has no function flwr_app(), or hides it: declare it FLWR_API");
	refused("hidden_function.so", "make",
		"hidden_function.so has no function make(), or hides it: declare it FLWR_API");
	refused("sample.so", "nothing",
		"sample.so has no function nothing(), or hides it: declare it FLWR_API");
	refused("no_reason.so", NULL, "flwr_app() of no_reason.so returned NULL without a reason");
	refused("missing.so", NULL,
		"missing.so cannot be loaded: undefined symbol: flwr_of_the_future");
	refused("own_library.so", NULL,
		"own_library.so brings a libflwr-app of its own: link it with the shared one (-lflwr-app)");
	refused("own_visible_library.so", NULL,
		"own_visible_library.so brings a libflwr-app of its own: link it with the shared one (-lflwr-app)");
}

/* Sentences of libflwr-app, of which only the gist is known here. */
static void apps_of_other_headers_are_refused(void **state)
{
	static const struct {
		const char *file, *gist;
	} rows[] = {{"version.so", "99.0"}, {"short.so", "short.so"}, {"longer.so", "longer.so"},
		{"table.so", "training"}, {"returns_null.so", "no camera at "}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct fixture fixture;

		open_app(&fixture, rows[i].file, NULL);
		wait_over(&fixture, true);
		print_message("%s\n", fixture.reply.error_reason);
		assert_error(&fixture, 1, rows[i].gist);
		close_fixture(&fixture);
	}
}

static void an_app_that_ends_while_it_is_loaded_says_nothing(void **state)
{
	struct fixture fixture;

	open_app(&fixture, "ends.so", NULL);
	wait_over(&fixture, true);
	assert_int_equal(fixture.events[APP_HOST_HUNG_UP], 1);
	assert_int_equal(WEXITSTATUS(fixture.status), 5);
	close_fixture(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(content_and_state_go_back_as_they_came),
		cmocka_unit_test(arrays_are_edited_and_what_came_stays_as_it_was),
		cmocka_unit_test(arrays_of_all_sizes_are_made_and_thrown_away),
		cmocka_unit_test(message_and_context_are_known),
		cmocka_unit_test(state_is_kept_when_the_handler_succeeds),
		cmocka_unit_test(another_function_makes_another_app),
		cmocka_unit_test(an_app_that_names_no_library_has_the_one_of_the_host),
		cmocka_unit_test(lines_have_levels_and_progress_is_told_now_and_then),
		cmocka_unit_test(the_end_of_an_app_is_its_own),
		cmocka_unit_test(a_limit_for_files_is_not_for_the_reply),
		cmocka_unit_test(memory_of_an_array_that_was_replaced_serves_the_next),
		cmocka_unit_test(what_a_handler_says_is_the_reason),
		cmocka_unit_test(memory_without_end_is_an_error),
		cmocka_unit_test(an_app_that_ends_says_nothing),
		cmocka_unit_test(garbage_breaks_the_conversation),
		cmocka_unit_test(a_child_that_comes_back_gives_no_reply),
		cmocka_unit_test(a_child_that_stays_changes_nothing),
		cmocka_unit_test(a_handler_knows_when_nobody_wants_its_reply),
		cmocka_unit_test(a_worker_that_goes_before_the_task_ends_the_host),
		cmocka_unit_test(each_wrong_file_has_its_sentence),
		cmocka_unit_test(each_wrong_app_has_its_sentence),
		cmocka_unit_test(apps_of_other_headers_are_refused),
		cmocka_unit_test(an_app_that_ends_while_it_is_loaded_says_nothing),
	};

	return cmocka_run_group_tests(tests, kit_dir_make, kit_dir_remove);
}
