/*
 * The native host as a worker sees it: one process for each message, with an app that was built
 * against the public headers, which replies or fails. The test is worker and agent.
 */
#include "common/base/clock.h"
#include "kit/loop.h"
#include "kit/records.h"
#include "rig.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void add_value(struct value_map *map, const char *key, struct value value)
{
	assert_int_equal(value_map_set(map, key, &value), 0);
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
	struct kit_app app;
	struct record *values;

	for (int i = 0; i < 30; i++) {
		char key[8];

		snprintf(key, sizeof key, "%d", i);
		add_floats(&content, "arrays", key, (size_t)i * 1000, 1);
	}
	values = record_dict_add(&content, "config", RECORD_CONFIGS);
	add_value(&values->values, "lr", (struct value){.kind = VALUE_DOUBLE, .d = 0.5});
	add_value(&values->values, "old", (struct value){.kind = VALUE_UINT, .u = 3});
	run_app(&app, "evaluate", &content, &content);
	kit_app_assert_replied(&app);
	kit_assert_same_records(&app.reply.content, &content);
	kit_assert_same_records(&app.reply.state, &content);
	assert_string_equal(app_host_hello_text(app.host), "native sample.so, header 0.1");
	assert_int_equal(value_map_get(&app.reply.node_config, "old")->kind, VALUE_UINT);
	assert_int_equal(value_map_get(&app.reply.node_config, "partition-id")->i, 4);
	assert_string_equal(value_map_get(&app.reply.run_config, "name")->s.data, "n\u00fc");
	kit_app_close(&app);
}

static void arrays_are_edited_and_what_came_stays_as_it_was(void **state)
{
	auto_(record_dict_done) struct record_dict content = {0};
	struct kit_app app;
	const struct record *halves, *came;

	add_floats(&content, "arrays", "small", 3, 2);
	add_floats(&content, "arrays", "none", 0, 0);
	add_floats(&content, "arrays", "large", 1000000, 2);
	run_app(&app, "train", &content, NULL);
	kit_app_assert_replied(&app);
	halves = kit_record(&app.reply.content, "arrays");
	assert_int_equal(halves->n_arrays, 3);
	assert_int_equal(element(&halves->arrays[0], 2), 0x40000000); /* 4.0 / 2 */
	assert_int_equal(element(&halves->arrays[2], 0), 0x3f800000); /* 1.0 */
	came = kit_record(&app.reply.content, "came");
	for (size_t i = 0; i < 3; i++)
		assert_true(slices_equal(&came->arrays[i].data, &content.v[0].arrays[i].data));
	kit_app_close(&app);
}

static void arrays_of_all_sizes_are_made_and_thrown_away(void **state)
{
	struct kit_app app;
	const struct record *made;

	run_app(&app, "train.make", NULL, NULL);
	kit_app_assert_replied(&app);
	made = kit_record(&app.reply.content, "made");
	assert_int_equal(made->n_arrays, 200 - 67);
	for (size_t i = 0; i < made->n_arrays; i++) {
		const struct array *array = &made->arrays[i];
		const uint32_t number = (uint32_t)strtoul(array->key, NULL, 10);

		assert_int_equal(array->shape[0], number % 20 == 19 ? 100000 + number : number);
		for (size_t k = 0; k < (size_t)array->shape[0]; k += 977)
			assert_int_equal(element(array, k), number * k);
	}
	kit_app_close(&app);
}

static void message_and_context_are_known(void **state)
{
	struct kit_app app;
	const struct record_dict *content = &app.reply.content;

	run_app(&app, "query.describe", NULL, NULL);
	kit_app_assert_replied(&app);
	assert_string_equal(kit_record_value(content, "known", "type")->s.data, "query.describe");
	assert_string_equal(kit_record_value(content, "known", "id")->s.data, "message");
	assert_string_equal(kit_record_value(content, "known", "group")->s.data, "3");
	assert_string_equal(kit_record_value(content, "known", "name")->s.data, "n\u00fc");
	assert_true(kit_record_value(content, "known", "ttl")->d == 3600);
	assert_int_equal(kit_record_value(content, "known", "src")->i, 1);
	assert_int_equal(kit_record_value(content, "known", "node")->i, 2);
	assert_int_equal(kit_record_value(content, "known", "partition")->i, 4);
	assert_true(kit_record_value(content, "known", "run")->b);
	assert_false(kit_record_value(content, "known", "stopping")->b);
	kit_app_close(&app);
}

static void state_is_kept_when_the_handler_succeeds(void **state)
{
	auto_(record_dict_done) struct record_dict kept = {0};

	for (int i = 1; i <= 3; i++) {
		struct kit_app app;

		run_app(&app, "query.count", NULL, &kept);
		kit_app_assert_replied(&app);
		assert_int_equal(kit_record_value(&app.reply.content, "metrics", "n")->i, i);
		assert_true(kit_record_value(&app.reply.content, "metrics", "sum")->d ==
			    (i - 1) * i / 2.0);
		record_dict_done(&kept);
		kept = app.reply.state;
		app.reply.state = (struct record_dict){0};
		kit_app_close(&app);
		/* Without a Context in the reply the worker leaves it as it was. */
		run_app(&app, "query.count_and_fail", NULL, &kept);
		assert_error(&app, 2, "no data below /var/lib/sensor");
		kit_app_close(&app);
	}
}

static void another_function_makes_another_app(void **state)
{
	struct kit_app app;

	open_app(&app, "sample.so", "other_app");
	give_task(&app, "query", NULL, NULL);
	kit_app_wait(&app);
	kit_app_assert_replied(&app);
	assert_non_null(
		strstr(kit_app_printed(&app), "a line on stdout\nhalf a linea line on stderr\n"));
	kit_app_close(&app);
}

static void an_app_that_names_no_library_has_the_one_of_the_host(void **state)
{
	struct kit_app app;

	open_app(&app, "unlinked.so", NULL);
	give_task(&app, "train.make", NULL, NULL);
	kit_app_wait(&app);
	kit_app_assert_replied(&app);
	kit_app_close(&app);
}

static void lines_have_levels_and_progress_is_told_now_and_then(void **state)
{
	struct kit_app app;

	run_app(&app, "query.say", NULL, NULL);
	kit_app_assert_replied(&app);
	assert_non_null(
		strstr(kit_app_printed(&app), "ERROR an error\nWARN  a warning\nINFO  a line\n"));
	assert_null(strstr(kit_app_printed(&app), "a detail"));
	assert_non_null(strstr(kit_app_printed(&app), "INFO  0 %: epoch\n"));
	assert_non_null(strstr(kit_app_printed(&app), "INFO  100 %: epoch\n"));
	assert_null(strstr(kit_app_printed(&app), "INFO  50 %: epoch\n"));
	kit_app_close(&app);
}

static void the_end_of_an_app_is_its_own(void **state)
{
	struct kit_app app;

	run_app(&app, "query.leave_thread", NULL, NULL);
	kit_app_assert_replied(&app);
	assert_non_null(strstr(kit_app_printed(&app), "thread ended\nexit handler\n"));
	kit_app_close(&app);
}

static void a_limit_for_files_is_not_for_the_reply(void **state)
{
	auto_(record_dict_done) struct record_dict content = {0};
	struct kit_app app;

	add_floats(&content, "arrays", "w", 100000, 2);
	run_app(&app, "train.limit_files", &content, NULL);
	kit_app_assert_replied(&app);
	assert_int_equal(element(&app.reply.content.v[0].arrays[0], 0), 0x3f800000); /* 1.0 */
	kit_app_close(&app);
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
	struct kit_app app;

	skip_with_sanitizers();
	run_app(&app, "train.replace", NULL, NULL);
	kit_app_assert_replied(&app);
	kit_app_close(&app);
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
		struct kit_app app;

		run_app(&app, rows[i].type, &content, NULL);
		assert_error(&app, 2, rows[i].reason);
		assert_true(WIFEXITED(app.status) && WEXITSTATUS(app.status) == 0);
		kit_app_close(&app);
	}
}

static void memory_without_end_is_an_error(void **state)
{
	struct kit_app app;

	skip_with_sanitizers();
	run_app(&app, "train.allocate", NULL, NULL);
	assert_error(&app, 2, "");
	kit_app_close(&app);
}

/* An administrator sets the limit before the node starts, and so for its apps. */
static void a_limit_of_memory_from_outside_is_an_error(void **state)
{
	struct rlimit before, limit;
	struct kit_app app;

	skip_with_sanitizers();
	assert_return_code(getrlimit(RLIMIT_AS, &before), errno);
	limit = (struct rlimit){1UL << 30, before.rlim_max};
	assert_return_code(setrlimit(RLIMIT_AS, &limit), errno);
	open_app(&app, "sample.so", NULL);
	assert_return_code(setrlimit(RLIMIT_AS, &before), errno);
	give_task(&app, "train.fill_memory", NULL, NULL);
	kit_app_wait(&app);
	assert_error(&app, 2, "");
	kit_app_close(&app);
}

static void an_app_that_ends_says_nothing(void **state)
{
	auto_(record_dict_done) struct record_dict content = {0};
	struct kit_app app;

	add_floats(&content, "arrays", "w", 1000, 2);
	run_app(&app, "query.leave", NULL, NULL);
	assert_int_equal(app.events[APP_HOST_HUNG_UP], 1);
	assert_int_equal(WEXITSTATUS(app.status), 3);
	kit_app_close(&app);
	run_app(&app, "query.crash", NULL, NULL);
	assert_int_equal(app.events[APP_HOST_HUNG_UP], 1);
	assert_false(WIFEXITED(app.status) && WEXITSTATUS(app.status) == 0);
	kit_app_close(&app);
	run_app(&app, "train.scribble", &content, NULL);
	assert_int_equal(app.events[APP_HOST_HUNG_UP], 1);
	assert_false(WIFEXITED(app.status) && WEXITSTATUS(app.status) == 0);
	kit_app_close(&app);
}

static void garbage_breaks_the_conversation(void **state)
{
	struct kit_app app;

	run_app(&app, "query.garbage", NULL, NULL);
	assert_int_equal(app.events[APP_HOST_BROKEN], 1);
	assert_non_null(strstr(app_host_reason(app.host), "no datagram of the app form"));
	kit_app_close(&app);
}

static void a_child_that_comes_back_gives_no_reply(void **state)
{
	struct kit_app app;

	run_app(&app, "query.fork_twice", NULL, NULL);
	kit_app_assert_replied(&app);
	assert_non_null(strstr(kit_app_printed(&app), "WARN  a forked child returned"));
	kit_app_close(&app);
}

/* The child does not keep the reply from being sealed. */
static void a_child_that_stays_changes_nothing(void **state)
{
	struct kit_app app;
	const struct array *array;
	uint8_t last;
	pid_t group;

	open_app(&app, "sample.so", NULL);
	/* A group of its own, to be killed with the child in it. */
	assert_return_code(setpgid(app.pid, app.pid) < 0 && errno != EACCES ? -1 : 0, errno);
	give_task(&app, "query.fork_child", NULL, NULL);
	group = app.pid;
	kit_app_wait(&app);
	kit_app_assert_replied(&app);
	array = &kit_record(&app.reply.content, "a")->arrays[0];
	assert_int_equal(slices_read(&array->data, array->data.bytes - 1, &last, 1), 0);
	assert_int_equal(last, 7);
	kill(-group, SIGKILL);
	kit_app_close(&app);
}

static void a_handler_knows_when_nobody_wants_its_reply(void **state)
{
	struct kit_app app;

	/* The time of the message is over. */
	open_app(&app, "sample.so", NULL);
	kit_app_give(&app, &(struct kit_app_task){
				   .type = "query.wait", .ttl = 0.2, .created_at = clock_wall_s()});
	kit_app_wait(&app);
	kit_app_assert_replied(&app);
	kit_app_close(&app);
	/* The worker has gone: there is nobody to tell, either. */
	open_app(&app, "sample.so", NULL);
	give_task(&app, "query.wait", NULL, NULL);
	kit_loop_until(app.loop, app.events[APP_HOST_HELLO]);
	kit_app_leave(&app, 1);
	kit_app_close(&app);
}

static void a_worker_that_goes_before_the_task_ends_the_host(void **state)
{
	struct kit_app app;

	open_app(&app, "sample.so", NULL);
	kit_loop_until(app.loop, app.events[APP_HOST_HELLO]);
	kit_app_leave(&app, 0);
	kit_app_close(&app);
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
		cmocka_unit_test(a_limit_of_memory_from_outside_is_an_error),
		cmocka_unit_test(an_app_that_ends_says_nothing),
		cmocka_unit_test(garbage_breaks_the_conversation),
		cmocka_unit_test(a_child_that_comes_back_gives_no_reply),
		cmocka_unit_test(a_child_that_stays_changes_nothing),
		cmocka_unit_test(a_handler_knows_when_nobody_wants_its_reply),
		cmocka_unit_test(a_worker_that_goes_before_the_task_ends_the_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
