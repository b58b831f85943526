/*
 * The worker's end against the bridge with the real package: one Python for each message, as in
 * life, with apps that reply.
 */
#include "clientapp/form/form_layout.h"
#include "common/records/maps_codec.h"
#include "kit/dir.h"
#include "kit/loop.h"
#include "kit/records.h"
#include "kit/vectors.h"
#include "rig.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void add_value(struct value_map *map, const char *key, struct value value)
{
	assert_int_equal(value_map_set(map, key, &value), 0);
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

static void all_kinds_of_records_come_back_as_they_went(void **state)
{
	auto_(record_dict_done) struct record_dict all = {0};
	struct kit_app app;

	everything(&all);
	run_app(&app, "sample:echo_app", "train", &all, &all);
	kit_app_assert_replied(&app);
	kit_assert_same_records(&app.reply.content, &all);
	kit_assert_same_records(&app.reply.state, &all);
	assert_true(app.reply.metadata.ttl > -1e9);
	assert_string_equal(app.reply.metadata.message_type, "train");
	assert_string_equal(app.reply.metadata.group_id, "3");
	assert_non_null(strstr(app_host_hello_text(app.host), "flwr 1."));
	kit_app_close(&app);
}

static void a_large_array_in_many_pieces_comes_back(void **state)
{
	const size_t size = 200u << 20, piece = 51200;
	auto_(record_dict_done) struct record_dict content = {0};
	uint64_t *payload = malloc(size);
	struct kit_app app;
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
	run_app(&app, "sample:echo_app", "train", &content, NULL);
	kit_app_assert_replied(&app);
	assert_true(slices_equal(&app.reply.content.v[0].arrays[0].data, &array->data));
	assert_int_equal(
		(uintptr_t)app.reply.content.v[0].arrays[0].data.v[0].data % FORM_ALIGN, 0);
	kit_app_close(&app);
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

static void a_numpy_client_fits(void **state)
{
	auto_(record_dict_done) struct record_dict content = {0};
	struct kit_app app;
	const struct record *arrays;
	float values[2];

	legacy(&content, "fitins");
	run_app(&app, "sample:numpy", "train", &content, NULL);
	kit_app_assert_replied(&app);
	arrays = kit_record(&app.reply.content, "fitres.parameters");
	assert_int_equal(arrays->n_arrays, 1);
	assert_int_equal(
		slices_read(&arrays->arrays[0].data, arrays->arrays[0].data.bytes - 8, values, 8),
		0);
	assert_true(values[0] == 2 && values[1] == 3);
	assert_int_equal(
		kit_record_value(&app.reply.content, "fitres.num_examples", "num_examples")->i, 7);
	assert_true(kit_record_value(&app.reply.content, "fitres.metrics", "lr")->d == 0.5);
	kit_app_close(&app);
}

static void a_client_evaluates_and_gives_parameters(void **state)
{
	auto_(record_dict_done) struct record_dict content = {0}, ask = {0};
	struct kit_app app;

	legacy(&content, "evaluateins");
	run_app(&app, "sample:plain", "evaluate", &content, NULL);
	kit_app_assert_replied(&app);
	assert_true(kit_record_value(&app.reply.content, "evaluateres.loss", "loss")->d == 1.25);
	kit_app_close(&app);
	assert_non_null(record_dict_add(&ask, "getparametersins.config", RECORD_CONFIGS));
	run_app(&app, "sample:plain", "get_parameters", &ask, NULL);
	kit_app_assert_replied(&app);
	assert_int_equal(
		kit_record(&app.reply.content, "getparametersres.parameters")->n_arrays, 1);
	kit_app_close(&app);
}

static void mods_run_and_state_is_kept(void **state)
{
	struct record_dict last = {0};
	struct kit_app app;
	const struct record_dict *seen;

	run_app(&app, "sample:mods_app", "train", NULL, NULL);
	kit_app_assert_replied(&app);
	assert_true(kit_record_value(&app.reply.content, "before", "mod")->b);
	assert_true(kit_record_value(&app.reply.content, "after", "mod")->i == 1);
	kit_app_close(&app);
	for (int64_t i = 1; i <= 2; i++) {
		run_app(&app, "sample:count_app", "train", NULL, &last);
		record_dict_done(&last);
		kit_app_assert_replied(&app);
		assert_int_equal(kit_record_value(&app.reply.state, "counter", "n")->i, i);
		seen = &app.reply.content;
		assert_string_equal(kit_record_value(seen, "seen", "run")->s.data, "n\u00fc");
		assert_int_equal(kit_record_value(seen, "seen", "node")->i, 4);
		assert_true(kit_record_value(seen, "seen", "run_id")->u == UINT64_MAX);
		assert_true(kit_record_value(seen, "seen", "created_at")->d == 1732000000.25);
		assert_false(kit_record_value(seen, "seen", "cwd_on_path")->b);
		assert_false(kit_record_value(seen, "seen", "left_over")->b);
		assert_string_equal(kit_record_value(seen, "seen", "reply_to")->s.data, "message");
		/* Releases that do not know them say the same. */
		assert_int_equal(kit_record_value(seen, "seen", "task")->i, 5);
		assert_true(kit_record_value(seen, "seen", "no_task")->b);
		assert_true(kit_record_value(seen, "seen", "series")->u == UINT64_MAX - 1);
		last = app.reply.state;
		app.reply.state = (struct record_dict){0};
		kit_app_close(&app);
	}
	record_dict_done(&last);
}

static void values_get_the_kinds_of_the_real_package(void **state)
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
	struct kit_app app;

	run_app(&app, "sample:kinds_app", "train", NULL, NULL);
	kit_app_assert_replied(&app);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(
			kit_record_value(&app.reply.content, rows[i].record, rows[i].key)->kind,
			rows[i].kind);
	kit_app_close(&app);
}

/* Threads are waited for and exit handlers run, as at the end of any Python program. Nothing else
 * is said: no release warns of what the bridge does. */
static void threads_and_exit_handlers_end_as_in_any_python(void **state)
{
	struct kit_app app;
	const char *own, *text;

	open_python(&app, NULL, true);
	run_task(&app, "sample:late_app", "train", NULL, NULL);
	kit_app_assert_replied(&app);
	text = kit_app_printed(&app);
	own = strstr(text, "thread done");
	assert_non_null(own);
	assert_string_equal(own, "thread done\nexit handler\nglobal deleted\n");
	/* The decorator @app.train() says this up to Flower 1.16. */
	if (own != text)
		assert_non_null(strstr(text, "PREVIEW FEATURE: ClientApp-register-train"));
	assert_null(strstr(text, "DEPRECATED"));
	kit_app_close(&app);
}

/* The reply is there before the app ends; what it has not flushed is in its file then. */
static void an_app_may_end_after_its_reply(void **state)
{
	auto_(free_at_exit) char *file = kit_dir_write_text("end", "");
	auto_(free_at_exit) char *pipe = kit_dir_path("end.pipe");
	char text[64] = {0};
	struct kit_app app;
	int status;

	assert_int_equal(mkfifo(pipe, 0600), 0);
	assert_int_equal(setenv("SAMPLE_FILE", file, 1), 0);
	open_python(&app, NULL, false);
	unsetenv("SAMPLE_FILE");
	give_task(&app, "sample:unflushed_app", "train", NULL, NULL);
	kit_loop_until(app.loop, kit_app_is_over(&app));
	assert_int_equal(app.events[APP_HOST_REPLY], 1);
	assert_int_equal(waitpid(app.pid, &status, WNOHANG), 0);
	/* The thread of the app waits for this. */
	close(open(pipe, O_WRONLY | O_CLOEXEC));
	kit_app_leave(&app, 0);
	auto_(close_at_exit) int fd = open(file, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, text, sizeof text - 1), 12);
	assert_string_equal(text, "row\nthe last");
	kit_app_close(&app);
}

/* Changes that an app makes to its Context come back, and values keep their kinds. A Context
 * that the release's node would refuse becomes an error with the release's words, and the
 * Context stays as it was. */
static void changes_of_the_context_come_back(void **state)
{
	static const struct {
		const char *clientapp, *reason;
	} refused[] = {{"sample:config_list_app",
			       "<class 'ValueError'>:<''x' of the Context's node_config is of type "
			       "list'>"},
		{"sample:config_huge_app", "<class 'OverflowError'>:<''x' of the Context's "
					   "node_config is beyond 64 bits'>"}};
	struct kit_app app;

	run_app(&app, "sample:node_config_app", "train", NULL, NULL);
	kit_app_assert_replied(&app);
	assert_int_equal(app.reply.node_config.n, 5);
	assert_int_equal(kit_value(&app.reply.node_config, "partition-id")->i, 4);
	assert_int_equal(kit_value(&app.reply.node_config, "seen")->i, 1);
	assert_int_equal(kit_value(&app.reply.node_config, "seen")->kind, VALUE_SINT);
	assert_int_equal(kit_value(&app.reply.node_config, "on")->kind, VALUE_BOOL);
	assert_int_equal(kit_value(&app.reply.node_config, "half")->kind, VALUE_DOUBLE);
	assert_int_equal(kit_value(&app.reply.node_config, "old")->kind, VALUE_UINT);
	assert_string_equal(kit_value(&app.reply.run_config, "name")->s.data, "n\u00fc");
	kit_app_close(&app);
	run_app(&app, "sample:run_config_app", "train", NULL, NULL);
	if (app.reply.has_error) { /* to 1.18 */
		assert_int_equal(app.reply.error_code, 2);
		assert_string_equal(app.reply.error_reason,
			"<class 'ValueError'>:<'The `run_config` field of the `Context` object "
			"cannot be modified (run_id: 18446744073709551615).'>");
		assert_false(app.reply.has_context);
	} else {
		assert_string_equal(kit_value(&app.reply.run_config, "name")->s.data, "new");
	}
	kit_app_close(&app);
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		run_app(&app, refused[i].clientapp, "train", NULL, NULL);
		assert_int_equal(app.reply.error_code, 2);
		assert_string_equal(app.reply.error_reason, refused[i].reason);
		assert_false(app.reply.has_context);
		kit_app_close(&app);
	}
}

/* An app's limit for its own files does not hold for the reply, unless it cannot be lifted. */
static void a_limit_for_files_is_not_for_the_reply(void **state)
{
	struct kit_app app;

	run_app(&app, "sample:soft_limit_app", "train", NULL, NULL);
	kit_app_assert_replied(&app);
	assert_int_equal(
		app.reply.content.v[0].arrays[0].data.bytes, 100128); /* with the head of .npy */
	kit_app_close(&app);
	run_app(&app, "sample:hard_limit_app", "train", NULL, NULL);
	assert_int_equal(app.events[APP_HOST_REPLY], 1);
	assert_int_equal(app.reply.error_code, 8);
	assert_non_null(strstr(app.reply.error_reason,
		"bytes could not be written: [Errno 27] File too large; files of its process are "
		"limited to 4096 bytes (RLIMIT_FSIZE)"));
	assert_true(WIFEXITED(app.status) && WEXITSTATUS(app.status) == 0);
	kit_app_close(&app);
}

/* Hooks of an operator: what is imported, and which app is loaded; ours is no top-level name. */
static void import_hooks_see_the_app_but_not_the_bridge(void **state)
{
	struct kit_app app;
	const char *text;

	open_python(&app, "PYTHONPATH=" FLWR_TEST_DIR "/guard:" FLWR_TEST_DIR "/apps", true);
	run_task(&app, "sample:echo_app", "train", NULL, NULL);
	kit_app_assert_replied(&app);
	text = kit_app_printed(&app);
	assert_non_null(strstr(text, "guard: load lab/app 1.0.0 cafe\n"));
	assert_non_null(strstr(text, "guard: load_app sample:echo_app\n"));
	assert_non_null(strstr(text, "guard: foreign sample\n"));
	assert_non_null(strstr(text, "guard: foreign flavour\n"));
	assert_null(strstr(text, "foreign flwr_native_bridge"));
	assert_null(strstr(text, "foreign form"));
	assert_null(strstr(text, "foreign flower"));
	kit_app_close(&app);
}

static void apps_may_share_names_with_the_bridge(void **state)
{
	struct kit_app app;

	run_app(&app, "form:app", "train", NULL, NULL);
	kit_app_assert_replied(&app);
	kit_app_close(&app);
	run_app(&app, "sample:spawn_app", "train", NULL, NULL);
	kit_app_assert_replied(&app);
	assert_int_equal(kit_record_value(&app.reply.content, "m", "n")->i, 3);
	kit_app_close(&app);
}

/* A bridge that waits for its task ends when the worker does. */
static void the_bridge_ends_when_its_worker_does(void **state)
{
	struct kit_app app;

	open_python(&app, NULL, false);
	kit_loop_until(app.loop, app.events[APP_HOST_HELLO]);
	kit_app_leave(&app, 0);
	kit_app_close(&app);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_bridge_ends_when_its_worker_does),
		cmocka_unit_test(all_kinds_of_records_come_back_as_they_went),
		cmocka_unit_test(a_large_array_in_many_pieces_comes_back),
		cmocka_unit_test(a_numpy_client_fits),
		cmocka_unit_test(a_client_evaluates_and_gives_parameters),
		cmocka_unit_test(mods_run_and_state_is_kept),
		cmocka_unit_test(values_get_the_kinds_of_the_real_package),
		cmocka_unit_test(an_app_may_end_after_its_reply),
		cmocka_unit_test(changes_of_the_context_come_back),
		cmocka_unit_test(a_limit_for_files_is_not_for_the_reply),
		cmocka_unit_test(import_hooks_see_the_app_but_not_the_bridge),
		cmocka_unit_test(threads_and_exit_handlers_end_as_in_any_python),
		cmocka_unit_test(apps_may_share_names_with_the_bridge),
	};

	if (!app_python_installed())
		return SKIPPED;
	return cmocka_run_group_tests(tests, kit_dir_make, kit_dir_remove);
}
