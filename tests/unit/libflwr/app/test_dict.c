#include "expect.h"
#include "libflwr/app/dict.h"

#include <flwr/records.h>

static int setup(void **state)
{
	*state = flwr_dict_new();
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	flwr_dict_free(*state);
	return 0;
}

static void records_are_in_order_and_stay(void **state)
{
	struct flwr_dict *dict = *state;
	struct flwr_record *first = flwr_dict_add(dict, "first", FLWR_CONFIGS);
	char name[16];

	assert_int_equal(flwr_dict_count(dict), 1);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "r%d", i);
		assert_non_null(flwr_dict_add(dict, name, FLWR_METRICS));
	}
	assert_ptr_equal(flwr_dict_get(dict, "first"), first);
	assert_ptr_equal(flwr_dict_at(dict, 0), first);
	assert_ptr_equal(flwr_dict_add(dict, "first", FLWR_CONFIGS), first);
	assert_string_equal(flwr_record_name(flwr_dict_at(dict, 100)), "r99");
	assert_int_equal(flwr_record_kind(first), FLWR_CONFIGS);
	assert_succeeds(flwr_dict_remove(dict, "r50"));
	assert_string_equal(flwr_record_name(flwr_dict_at(dict, 51)), "r51");
	assert_ptr_equal(flwr_dict_get(dict, "first"), first);
	assert_null(flwr_dict_get(dict, "r50"));
	assert_int_equal(flwr_dict_count(dict), 100);
	assert_null(dict_spoilt(dict));
	flwr_dict_clear(dict);
	assert_int_equal(flwr_dict_count(dict), 0);
	assert_non_null(flwr_dict_add(dict, "again", FLWR_ARRAYS));
}

static void missing_records_are_named(void **state)
{
	struct flwr_dict *dict = *state;

	assert_null_because(flwr_dict_get(dict, "x"), "there is no record \"x\"; there is none");
	flwr_dict_add(dict, "a", FLWR_CONFIGS);
	flwr_dict_add(dict, "b", FLWR_CONFIGS);
	assert_null_because(flwr_dict_get(dict, "x"), "there is \"a\", \"b\"");
	assert_fails(flwr_dict_remove(dict, "x"), FLWR_ABSENT, "there is no record \"x\"");
	assert_fails(flwr_dict_remove(dict, NULL), FLWR_E_ARGUMENT, "name of a record is NULL");
	assert_null_because(flwr_dict_get(dict, NULL), "name of a record is NULL");
	assert_null_because(flwr_dict_at(dict, 2), "there is no record 2; there are 2");
	assert_null(dict_spoilt(dict));
}

static void long_lists_of_names_are_cut(void **state)
{
	struct flwr_dict *dict = *state;
	char name[300];

	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	flwr_dict_add(dict, name, FLWR_CONFIGS);
	assert_null_because(flwr_dict_get(dict, "x"), "there is ...");
	flwr_dict_remove(dict, name);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "r%d", i);
		flwr_dict_add(dict, name, FLWR_CONFIGS);
	}
	assert_null_because(flwr_dict_get(dict, "x"), "\"r10\", \"r11\"");
	assert_string_equal(flwr_error() + strlen(flwr_error()) - 5, ", ...");
}

static void wrong_records_spoil(void **state)
{
	struct flwr_dict *dict = *state;

	flwr_dict_add(dict, "a", FLWR_CONFIGS);
	assert_null_because(
		flwr_dict_add(dict, "a", FLWR_ARRAYS), "\"a\" holds configs, not arrays");
	assert_string_equal(dict_spoilt(dict), "record \"a\" holds configs, not arrays");
	assert_null_because(flwr_dict_add(dict, "a", FLWR_METRICS), "holds configs, not metrics");
	/* The first one stays. */
	assert_string_equal(dict_spoilt(dict), "record \"a\" holds configs, not arrays");
	flwr_dict_clear(dict);
	assert_null(dict_spoilt(dict));
	assert_null_because(flwr_dict_add(dict, NULL, FLWR_ARRAYS), "is NULL");
	assert_non_null(dict_spoilt(dict));
	flwr_dict_clear(dict);
	assert_null_because(flwr_dict_add(dict, "\xff", FLWR_ARRAYS), "not UTF-8");
	assert_non_null(dict_spoilt(dict));
	flwr_dict_clear(dict);
	assert_null_because(flwr_dict_add(dict, "a", (enum flwr_kind)4), "4 is no kind of records");
	assert_non_null(dict_spoilt(dict));
}

static void null_and_foreign_objects_are_refused(void **state)
{
	struct flwr_dict *dict = *state;
	struct flwr_record *record = flwr_dict_add(dict, "a", FLWR_CONFIGS);
	const void *mark = dict->mark;

	assert_int_equal(flwr_dict_count(NULL), 0);
	assert_null_because(flwr_dict_at(NULL, 0), "the flwr_dict is NULL");
	assert_null_because(flwr_dict_get(NULL, "a"), "the flwr_dict is NULL");
	assert_null_because(flwr_dict_add(NULL, "a", FLWR_CONFIGS), "the flwr_dict is NULL");
	assert_fails(flwr_dict_remove(NULL, "a"), FLWR_E_ARGUMENT, "the flwr_dict is NULL");
	flwr_dict_clear(NULL);
	flwr_dict_free(NULL);
	assert_string_equal(flwr_record_name(NULL), "");
	assert_int_equal(flwr_record_kind(NULL), 0);
	assert_int_equal(flwr_record_count(NULL), 0);

	dict->mark = record->mark = &state;
	assert_null_because(flwr_dict_get(dict, "a"), "another copy of libflwr-app");
	assert_null_because(flwr_dict_add(dict, "b", FLWR_CONFIGS), "another copy of libflwr-app");
	assert_fails(flwr_dict_remove(dict, "a"), FLWR_E_VERSION, "another copy of libflwr-app");
	assert_fails(flwr_set_int(record, "k", 1), FLWR_E_VERSION, "another copy of libflwr-app");
	assert_fails(flwr_record_remove(record, "k"), FLWR_E_VERSION, "another copy");
	assert_fails(flwr_record_copy(record, record), FLWR_E_VERSION, "another copy");
	assert_null_because(flwr_record_key(record, 0), "another copy");
	assert_string_equal(flwr_record_name(record), "");
	flwr_dict_clear(dict);
	flwr_dict_free(dict);
	dict->mark = record->mark = mark;
	assert_int_equal(flwr_dict_count(dict), 1);
}

static void entries_are_removed(void **state)
{
	struct flwr_dict *dict = *state;
	struct flwr_record *values = flwr_dict_add(dict, "values", FLWR_CONFIGS);
	struct flwr_record *arrays = flwr_dict_add(dict, "arrays", FLWR_ARRAYS);
	const int64_t one = 1;

	for (int i = 0; i < 40; i++) {
		char key[8];

		snprintf(key, sizeof key, "k%d", i);
		assert_int_equal(flwr_set_int(values, key, i), 0);
		assert_non_null(flwr_new_array(arrays, key, FLWR_INT8, 1, &one));
	}
	assert_succeeds(flwr_record_remove(values, "k20"));
	assert_succeeds(flwr_record_remove(arrays, "k20"));
	assert_fails(flwr_record_remove(values, "k20"), FLWR_ABSENT, "values has no \"k20\"");
	assert_fails(flwr_record_remove(arrays, "k20"), FLWR_ABSENT, "arrays has no \"k20\"");
	assert_int_equal(flwr_record_count(values), 39);
	assert_int_equal(flwr_record_count(arrays), 39);
	assert_string_equal(flwr_record_key(values, 20), "k21");
	assert_string_equal(flwr_record_key(arrays, 20), "k21");
	assert_null_because(flwr_record_key(arrays, 39), "arrays has no entry 39; it has 39");
	assert_fails(flwr_record_remove(values, NULL), FLWR_E_ARGUMENT, "the key is NULL");
	flwr_fail("why it is NULL");
	assert_int_equal(flwr_record_remove(NULL, "k"), FLWR_ABSENT);
	assert_string_equal(flwr_error(), "why it is NULL");
	assert_null(flwr_record_key(NULL, 0));
	assert_null(dict_spoilt(dict));
}

static void records_are_copied(void **state)
{
	struct flwr_dict *dict = *state;
	struct flwr_record *from = flwr_dict_add(dict, "from", FLWR_CONFIGS);
	struct flwr_record *to = flwr_dict_add(dict, "to", FLWR_CONFIGS);
	const char *text;

	flwr_set_string(from, "s", "text");
	flwr_set_int(from, "i", 1);
	flwr_set_int(to, "old", 1);
	assert_succeeds(flwr_record_copy(to, from));
	assert_int_equal(flwr_record_count(to), 2);
	assert_string_equal(flwr_record_key(to, 0), "s");
	flwr_dict_remove(dict, "from");
	assert_int_equal(flwr_get_string(to, "s", &text), 0);
	assert_string_equal(text, "text");
	assert_succeeds(flwr_record_copy(to, to));
	assert_int_equal(flwr_record_count(to), 2);
	assert_null(dict_spoilt(dict));
}

static void wrong_copies_spoil(void **state)
{
	struct flwr_dict *dict = *state;
	struct flwr_record *to = flwr_dict_add(dict, "to", FLWR_CONFIGS);
	struct flwr_record *other = flwr_dict_add(dict, "other", FLWR_ARRAYS);

	flwr_set_int(to, "kept", 1);
	assert_fails(
		flwr_record_copy(to, other), FLWR_E_TYPE, "to holds configs, other holds arrays");
	assert_string_equal(dict_spoilt(dict), "to holds configs, other holds arrays");
	assert_int_equal(flwr_record_count(to), 1);
	flwr_dict_clear(dict);
	to = flwr_dict_add(dict, "to", FLWR_CONFIGS);
	assert_int_equal(flwr_record_copy(to, flwr_dict_get(dict, "none")), FLWR_E_ARGUMENT);
	assert_string_equal(dict_spoilt(dict), "there is no record \"none\"; there is \"to\"");
	flwr_fail("what made it NULL");
	assert_int_equal(flwr_record_copy(NULL, to), FLWR_E_ARGUMENT);
	assert_string_equal(flwr_error(), "what made it NULL");
	forget_error();
	assert_fails(flwr_record_copy(NULL, to), FLWR_E_ARGUMENT, "the flwr_record is NULL");
	assert_fails(flwr_record_copy(to, NULL), FLWR_E_ARGUMENT, "the record to copy is NULL");
}

static void dicts_are_copied_and_swapped(void **state)
{
	struct flwr_dict *a = *state, *b = flwr_dict_new();
	struct flwr_record *record = flwr_dict_add(a, "r", FLWR_METRICS);
	int64_t number = 0;

	flwr_set_int(record, "n", 7);
	flwr_dict_add(b, "old", FLWR_ARRAYS);
	assert_succeeds(dict_copy(b, a));
	assert_int_equal(flwr_dict_count(b), 1);
	flwr_set_int(record, "n", 8);
	assert_int_equal(flwr_get_int(flwr_dict_get(b, "r"), "n", &number), 0);
	assert_int_equal(number, 7);

	flwr_set_bool(record, "n", true); /* spoils a */
	assert_non_null(dict_spoilt(a));
	dict_swap(a, b);
	assert_null(dict_spoilt(a));
	assert_non_null(dict_spoilt(b));
	assert_ptr_equal(flwr_dict_get(b, "r"), record);
	flwr_dict_clear(b);
	record = flwr_dict_add(a, "r", FLWR_METRICS);
	flwr_set_bool(record, "n", true);
	assert_non_null(dict_spoilt(a)); /* its records know where they are now */
	assert_fails(dict_copy(b, a), -EINVAL, "it cannot hold a bool");
	assert_int_equal(flwr_dict_count(b), 0);
	flwr_dict_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(records_are_in_order_and_stay, setup, teardown),
		cmocka_unit_test_setup_teardown(missing_records_are_named, setup, teardown),
		cmocka_unit_test_setup_teardown(long_lists_of_names_are_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_records_spoil, setup, teardown),
		cmocka_unit_test_setup_teardown(
			null_and_foreign_objects_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(entries_are_removed, setup, teardown),
		cmocka_unit_test_setup_teardown(records_are_copied, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_copies_spoil, setup, teardown),
		cmocka_unit_test_setup_teardown(dicts_are_copied_and_swapped, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
