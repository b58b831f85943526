/*
 * Each allocation of the library fails once: the call says so, nothing is lost (LeakSanitizer
 * looks), and what was there before is still there.
 */
#include "expect.h"
#include "kit/failing.h"
#include "libflwr/app/call_internal.h"
#include "libflwr/app/dict.h"

struct rig {
	struct flwr_dict *dict;
	struct flwr_record *config, *arrays, *other;
	int released;
};

static const int64_t shape[] = {2, 3};
static const float elements[] = {1, 2, 3, 4, 5, 6};

static void release(void *user)
{
	((struct rig *)user)->released++;
}

/* Calls to try: each returns whether it has succeeded, and begins anew in each round. */
typedef bool try_fn(struct rig *rig);

static bool add_record(struct rig *rig)
{
	return flwr_dict_add(rig->dict, "new", FLWR_CONFIGS);
}

static bool set_string(struct rig *rig)
{
	return flwr_set_string(rig->config, "s", "text") == 0;
}

static bool set_list(struct rig *rig)
{
	const struct flwr_bytes texts[] = {{"one", 3}, {"two", 3}};
	const struct flwr_value value = {.type = FLWR_VALUE_STRING_LIST, .n = 2, .as.texts = texts};

	return flwr_set_value(rig->config, "l", &value) == 0;
}

static bool new_array(struct rig *rig)
{
	return flwr_new_array(rig->arrays, "n", FLWR_FLOAT32, 2, shape);
}

static bool set_array(struct rig *rig)
{
	return flwr_set_array(rig->arrays, "a", FLWR_FLOAT32, 2, shape, elements) == 0;
}

static bool set_reference(struct rig *rig)
{
	const int before = rig->released;
	const bool done = flwr_set_array_ref(rig->arrays, "r", FLWR_FLOAT32, 2, shape, NULL,
				  elements, release, rig) == 0;

	assert_int_equal(rig->released - before, !done);
	return done;
}

static bool set_strided(struct rig *rig)
{
	const int64_t strides[] = {4, 4};
	const int before = rig->released;
	const bool done = flwr_set_array_ref(rig->arrays, "r", FLWR_FLOAT32, 2, shape, strides,
				  elements, release, rig) == 0;

	assert_int_equal(rig->released - before, 1);
	return done;
}

static bool set_tensor(struct rig *rig)
{
	const struct flwr_array *array = flwr_get_array(rig->arrays, "w");

	return flwr_set_tensor(rig->arrays, "t", array->stype, array->raw, array->raw_size) == 0;
}

static bool copy_record(struct rig *rig)
{
	return flwr_record_copy(rig->other, rig->arrays) == 0;
}

static bool edit_shared(struct rig *rig)
{
	return flwr_edit_data(rig->other, "w", FLWR_FLOAT32, NULL);
}

/* Those that spoil when they fail. */
static try_fn *const setters[] = {add_record, set_string, set_list, new_array, set_array,
	set_reference, set_strided, set_tensor, copy_record, edit_shared};

static void rig_init(struct rig *rig)
{
	*rig = (struct rig){.dict = flwr_dict_new()};
	rig->config = flwr_dict_add(rig->dict, "config", FLWR_CONFIGS);
	rig->arrays = flwr_dict_add(rig->dict, "arrays", FLWR_ARRAYS);
	rig->other = flwr_dict_add(rig->dict, "other", FLWR_ARRAYS);
	assert_int_equal(flwr_set_array(rig->arrays, "w", FLWR_FLOAT32, 2, shape, elements), 0);
	assert_int_equal(flwr_record_copy(rig->other, rig->arrays), 0);
	assert_int_equal(flwr_set_int(rig->config, "i", 1), 0);
}

static void rig_check(const struct rig *rig)
{
	const float *w = flwr_get_data(rig->arrays, "w", FLWR_FLOAT32, NULL);
	int64_t i = 0;

	assert_non_null(w);
	assert_memory_equal(w, elements, sizeof elements);
	assert_int_equal(flwr_get_int(rig->config, "i", &i), 0);
	assert_int_equal(i, 1);
}

static void setters_spoil_on_no_memory(void **state)
{
	for (size_t t = 0; t < ARRAY_LEN(setters); t++) {
		bool done = false;

		for (size_t n = 1; !done; n++) {
			struct rig rig;

			rig_init(&rig);
			forget_error();
			failing_at(n);
			done = setters[t](&rig);
			failing_stop();
			if (!done) {
				expect_sentence("memory", __LINE__);
				assert_non_null(dict_spoilt(rig.dict));
			}
			rig_check(&rig);
			flwr_dict_free(rig.dict);
			assert_true(n < 100);
		}
	}
}

static void getters_say_no_memory(void **state)
{
	static const int64_t fortran[] = {4, 8};
	bool done = false;

	for (size_t n = 1; !done; n++) {
		struct rig rig;

		rig_init(&rig);
		flwr_set_array_ref(
			rig.arrays, "f", FLWR_FLOAT32, 2, shape, fortran, elements, NULL, NULL);
		forget_error();
		failing_at(n);
		done = flwr_get_data(rig.arrays, "f", FLWR_FLOAT32, NULL);
		failing_stop();
		if (!done)
			expect_sentence("no memory to convert it to C order", __LINE__);
		assert_null(dict_spoilt(rig.dict));
		assert_non_null(flwr_get_data(rig.arrays, "f", FLWR_FLOAT32, NULL));
		flwr_dict_free(rig.dict);
	}
}

/* From a dict to records and back: on failure everything is empty and nothing lost. */
static void exchanges_say_no_memory(void **state)
{
	bool given = false, taken = false;

	for (size_t n = 1; !given || !taken; n++) {
		struct flwr_dict *back = flwr_dict_new();
		struct record_dict records = {0};
		struct rig rig;

		rig_init(&rig);
		forget_error();
		failing_at(n);
		given = dict_give_records(rig.dict, &records) == 0;
		failing_stop();
		if (!given) {
			expect_sentence("records of a reply: out of memory", __LINE__);
			assert_int_equal(records.n, 0);
			assert_int_equal(dict_give_records(rig.dict, &records), 0);
		}
		failing_at(n);
		taken = dict_take_records(back, &records) == 0;
		failing_stop();
		assert_int_equal(records.n, 0);
		assert_int_equal(flwr_dict_count(back), taken ? 3 : 0);
		if (!taken)
			expect_sentence("records of a message: out of memory", __LINE__);
		rig_check(&rig);
		flwr_dict_free(rig.dict);
		flwr_dict_free(back);
		assert_true(n < 200);
	}
}

/* A message's array, cut in pieces, whose view is made. */
static void reading_says_no_memory(void **state)
{
	bool done = false;

	for (size_t n = 1; !done; n++) {
		struct record_dict records = {0};
		struct rig rig;
		struct slices pieces = {0};
		struct array *array;

		rig_init(&rig);
		assert_int_equal(dict_give_records(rig.dict, &records), 0);
		array = records.v[1].arrays;
		for (size_t at = 0; at < array->data.bytes; at += 50)
			assert_int_equal(
				slices_append_range(&pieces, &array->data, at,
					array->data.bytes - at < 50 ? array->data.bytes - at : 50),
				0);
		slices_done(&array->data);
		array->data = pieces;
		flwr_dict_clear(rig.dict);
		assert_int_equal(dict_take_records(rig.dict, &records), 0);
		forget_error();
		failing_at(n);
		done = flwr_get_array(flwr_dict_get(rig.dict, "arrays"), "w");
		failing_stop();
		if (!done)
			expect_sentence("out of memory", __LINE__);
		assert_non_null(flwr_get_array(flwr_dict_get(rig.dict, "arrays"), "w"));
		flwr_dict_free(rig.dict);
	}
}

static int answers(struct flwr_call *call)
{
	flwr_record_copy(flwr_dict_add(call->reply, "arrays", FLWR_ARRAYS),
		flwr_dict_get(call->content, "arrays"));
	flwr_record_copy(flwr_dict_add(call->context->state, "config", FLWR_CONFIGS),
		call->context->node_config);
	return 0;
}

static void calls_say_no_memory(void **state)
{
	static const struct flwr_handler handlers[] = {{"train", answers, NULL}, {0}};
	static const struct flwr_clientapp app = {sizeof app, FLWR_VERSION, handlers, NULL};
	bool done = false;

	for (size_t n = 1; !done; n++) {
		struct flwr_dict *reply = flwr_dict_new(), *kept = flwr_dict_new();
		struct rig rig;

		rig_init(&rig);
		flwr_dict_add(kept, "before", FLWR_CONFIGS);
		forget_error();
		failing_at(n);
		done = flwr_clientapp_call(
			       &app, "train", rig.dict, "a=1 b='x' c=0.5", kept, reply) == 0;
		failing_stop();
		if (!done)
			expect_sentence("memory", __LINE__);
		assert_int_equal(flwr_dict_count(reply), done ? 1 : 0);
		assert_int_equal(flwr_dict_count(kept), done ? 2 : 1);
		rig_check(&rig);
		flwr_dict_free(rig.dict);
		flwr_dict_free(reply);
		flwr_dict_free(kept);
		assert_true(n < 200);
	}
	failing_at(1);
	assert_null(flwr_dict_new());
	failing_stop();
	assert_string_equal(flwr_error(), "out of memory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(setters_spoil_on_no_memory),
		cmocka_unit_test(getters_say_no_memory),
		cmocka_unit_test(exchanges_say_no_memory),
		cmocka_unit_test(reading_says_no_memory),
		cmocka_unit_test(calls_say_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
