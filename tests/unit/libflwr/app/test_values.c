#include "expect.h"
#include "libflwr/app/dict.h"

#include <flwr/records.h>

struct rig {
	struct flwr_dict *dict;
	struct flwr_record *configs, *metrics, *arrays;
};

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof *rig);

	assert_non_null(rig);
	rig->dict = flwr_dict_new();
	rig->configs = flwr_dict_add(rig->dict, "config", FLWR_CONFIGS);
	rig->metrics = flwr_dict_add(rig->dict, "metrics", FLWR_METRICS);
	rig->arrays = flwr_dict_add(rig->dict, "arrays", FLWR_ARRAYS);
	*state = rig;
	return rig->arrays ? 0 : -1;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	flwr_dict_free(rig->dict);
	free(rig);
	return 0;
}

static void set_value(
	struct flwr_record *record, const char *key, enum flwr_value_type type, uint64_t bits)
{
	struct flwr_value value = {.type = (int32_t)type, .as.u = bits};

	assert_int_equal(flwr_set_value(record, key, &value), 0);
}

static void scalars_come_back(void **state)
{
	struct rig *rig = *state;
	const char *text = NULL;
	const void *bytes = NULL;
	int64_t i = 0;
	double d = 0;
	bool b = false;
	size_t n = 0;

	assert_succeeds(flwr_set_bool(rig->configs, "b", true));
	assert_succeeds(flwr_set_int(rig->configs, "i", INT64_MIN));
	assert_succeeds(flwr_set_double(rig->configs, "d", -0.5));
	assert_succeeds(flwr_set_string(rig->configs, "s", "gr\xc3\xbc\xc3\x9f"));
	assert_succeeds(flwr_set_bytes(rig->configs, "y", "a\0b", 3));
	assert_succeeds(flwr_set_string(rig->configs, "empty", ""));
	assert_succeeds(flwr_set_bytes(rig->configs, "none", NULL, 0));
	assert_succeeds(flwr_get_bool(rig->configs, "b", &b));
	assert_succeeds(flwr_get_int(rig->configs, "i", &i));
	assert_succeeds(flwr_get_double(rig->configs, "d", &d));
	assert_succeeds(flwr_get_string(rig->configs, "s", &text));
	assert_succeeds(flwr_get_bytes(rig->configs, "y", &bytes, &n));
	assert_true(b && i == INT64_MIN && d == -0.5);
	assert_string_equal(text, "gr\xc3\xbc\xc3\x9f");
	assert_int_equal(n, 3);
	assert_memory_equal(bytes, "a\0b", 3);
	assert_succeeds(flwr_get_string(rig->configs, "empty", &text));
	assert_string_equal(text, "");
	assert_succeeds(flwr_get_bytes(rig->configs, "none", &bytes, &n));
	assert_int_equal(n, 0);
	/* A value that is set anew keeps its place. */
	assert_succeeds(flwr_set_string(rig->configs, "b", "now a text"));
	assert_string_equal(flwr_record_key(rig->configs, 0), "b");
	assert_int_equal(flwr_record_count(rig->configs), 7);
}

static void lists_come_back(void **state)
{
	struct rig *rig = *state;
	const int64_t ints[] = {1, INT64_MAX, -1};
	const double doubles[] = {0.5, -2};
	const int64_t *is = NULL;
	const double *ds = NULL;
	size_t n = 0;

	assert_succeeds(flwr_set_ints(rig->metrics, "is", ints, 3));
	assert_succeeds(flwr_set_doubles(rig->metrics, "ds", doubles, 2));
	assert_succeeds(flwr_set_ints(rig->metrics, "none", NULL, 0));
	assert_succeeds(flwr_get_ints(rig->metrics, "is", &is, &n));
	assert_int_equal(n, 3);
	assert_memory_equal(is, ints, sizeof ints);
	assert_succeeds(flwr_get_doubles(rig->metrics, "ds", &ds, &n));
	assert_int_equal(n, 2);
	assert_memory_equal(ds, doubles, sizeof doubles);
	/* An empty list has no type in Python. */
	assert_succeeds(flwr_get_doubles(rig->metrics, "none", &ds, &n));
	assert_int_equal(n, 0);
	assert_succeeds(flwr_get_ints(rig->metrics, "none", &is, &n));
	assert_fails(flwr_get_ints(rig->metrics, "ds", &is, &n), FLWR_E_TYPE,
		"metrics \"ds\" is a list of floats, not a list of ints");
	assert_fails(flwr_get_doubles(rig->metrics, "is", &ds, &n), FLWR_E_TYPE,
		"is a list of ints, not a list of floats");
}

static void absent_values_leave_the_output(void **state)
{
	struct rig *rig = *state;
	const void *bytes = "as before";
	const int64_t *is = NULL;
	const double *ds = NULL;
	const char *s = "as before";
	struct flwr_value value = {.type = 77};
	int64_t i = 7;
	double d = 7;
	bool b = true;
	size_t n = 7;

	for (int null = 0; null < 2; null++) {
		const struct flwr_record *record = null ? NULL : rig->configs;
		const char *why = null ? "why it is NULL" : "config has no \"x\"; there is none";

		flwr_fail("why it is NULL");
		assert_int_equal(flwr_get_bool(record, "x", &b), FLWR_ABSENT);
		assert_string_equal(flwr_error(), why);
		assert_int_equal(flwr_get_int(record, "x", &i), FLWR_ABSENT);
		assert_int_equal(flwr_get_double(record, "x", &d), FLWR_ABSENT);
		assert_int_equal(flwr_get_string(record, "x", &s), FLWR_ABSENT);
		assert_int_equal(flwr_get_bytes(record, "x", &bytes, &n), FLWR_ABSENT);
		assert_int_equal(flwr_get_ints(record, "x", &is, &n), FLWR_ABSENT);
		assert_int_equal(flwr_get_doubles(record, "x", &ds, &n), FLWR_ABSENT);
		assert_int_equal(flwr_get_value(record, "x", &value), FLWR_ABSENT);
		assert_string_equal(flwr_error(), why);
	}
	assert_true(b && i == 7 && d == 7 && n == 7 && value.type == 77 && !is && !ds);
	assert_string_equal(s, "as before");
	assert_string_equal(bytes, "as before");
	forget_error();
	assert_int_equal(flwr_get_int(NULL, "x", &i), FLWR_ABSENT);
	assert_string_equal(flwr_error(), "the flwr_record is NULL");
	assert_null(dict_spoilt(rig->dict));
}

static void other_types_are_named(void **state)
{
	struct rig *rig = *state;
	const char *s;
	const void *y;
	int64_t i;
	double d;
	bool b;
	size_t n;

	flwr_set_string(rig->configs, "s", "0.1");
	flwr_set_bool(rig->configs, "b", true);
	flwr_set_double(rig->configs, "d", 2.5);
	flwr_set_int(rig->configs, "i", -3);
	flwr_set_bytes(rig->configs, "y", "x", 1);
	set_value(rig->configs, "u", FLWR_VALUE_UINT, UINT64_MAX);
	assert_fails(flwr_get_double(rig->configs, "s", &d), FLWR_E_TYPE,
		"config \"s\" is a string (\"0.1\"), not a number");
	assert_fails(flwr_get_double(rig->configs, "b", &d), FLWR_E_TYPE,
		"is a bool (True), not a number");
	assert_fails(
		flwr_get_int(rig->configs, "d", &i), FLWR_E_TYPE, "is a float (2.5), not an int");
	assert_fails(
		flwr_get_int(rig->configs, "b", &i), FLWR_E_TYPE, "is a bool (True), not an int");
	assert_fails(
		flwr_get_bool(rig->configs, "i", &b), FLWR_E_TYPE, "is an int (-3), not a bool");
	assert_fails(flwr_get_bool(rig->configs, "u", &b), FLWR_E_TYPE,
		"is an int (18446744073709551615), not a bool");
	assert_fails(flwr_get_string(rig->configs, "y", &s), FLWR_E_TYPE, "is bytes, not a string");
	assert_fails(flwr_get_bytes(rig->configs, "s", &y, &n), FLWR_E_TYPE,
		"is a string (\"0.1\"), not bytes");
	assert_fails(
		flwr_get_int(rig->arrays, "s", &i), FLWR_E_TYPE, "arrays holds arrays, not values");
	assert_null(dict_spoilt(rig->dict));
}

static void long_texts_are_cut_in_sentences(void **state)
{
	struct rig *rig = *state;
	char text[1000];
	double d;

	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	flwr_set_string(rig->configs, "s", text);
	assert_fails(flwr_get_double(rig->configs, "s", &d), FLWR_E_TYPE, "...");
	assert_non_null(strstr(flwr_error(), "), not a number"));
	assert_true(strlen(flwr_error()) < 120);
}

static void numbers_are_converted_only_exactly(void **state)
{
	struct rig *rig = *state;
	const int64_t exact[] = {0, 1, -1, 1LL << 53, INT64_MIN, INT64_MAX - 1023};
	const int64_t inexact[] = {(1LL << 53) + 1, INT64_MAX, INT64_MIN + 1};
	int64_t i = 0;
	double d = 7;

	for (size_t k = 0; k < ARRAY_LEN(exact); k++) {
		flwr_set_int(rig->configs, "i", exact[k]);
		assert_succeeds(flwr_get_double(rig->configs, "i", &d));
		assert_true(d == (double)exact[k]);
	}
	d = 7;
	for (size_t k = 0; k < ARRAY_LEN(inexact); k++) {
		flwr_set_int(rig->configs, "i", inexact[k]);
		assert_fails(flwr_get_double(rig->configs, "i", &d), FLWR_E_RANGE,
			"config \"i\" is an int that no double is exactly");
	}
	set_value(rig->configs, "u", FLWR_VALUE_UINT, UINT64_MAX);
	assert_fails(flwr_get_double(rig->configs, "u", &d), FLWR_E_RANGE, "no double is exactly");
	assert_fails(flwr_get_int(rig->configs, "u", &i), FLWR_E_RANGE,
		"config \"u\" is 18446744073709551615, above 2^63 - 1");
	assert_true(d == 7 && i == 0);
	set_value(rig->configs, "u", FLWR_VALUE_UINT, 1ULL << 63);
	assert_succeeds(flwr_get_double(rig->configs, "u", &d));
	assert_true(d == 0x1p63);
	set_value(rig->configs, "u", FLWR_VALUE_UINT, INT64_MAX);
	assert_succeeds(flwr_get_int(rig->configs, "u", &i));
	assert_true(i == INT64_MAX);
}

static void nul_is_only_in_values(void **state)
{
	struct rig *rig = *state;
	struct flwr_value value = {.type = FLWR_VALUE_STRING, .as.s = {"a\0b", 3}};
	const char *s = "as before";

	assert_succeeds(flwr_set_value(rig->configs, "s", &value));
	assert_fails(
		flwr_get_string(rig->configs, "s", &s), FLWR_E_TYPE, "a string with a NUL inside");
	assert_string_equal(s, "as before");
	assert_succeeds(flwr_get_value(rig->configs, "s", &value));
	assert_int_equal(value.as.s.n, 3);
	assert_memory_equal(value.as.s.data, "a\0b", 4);
}

/* Set value in a record and get it back. */
static struct flwr_value there_and_back(struct flwr_record *record, struct flwr_value value)
{
	struct flwr_value out;

	assert_succeeds(flwr_set_value(record, "v", &value));
	assert_succeeds(flwr_get_value(record, "v", &out));
	assert_int_equal(out.type, value.type);
	assert_int_equal(out.n, value.n);
	return out;
}

static void every_type_comes_back_as_it_is(void **state)
{
	struct rig *rig = *state;
	const double ds[] = {1.5, 2};
	const int64_t is[] = {-1, 1};
	const uint64_t us[] = {UINT64_MAX, 0};
	const bool bs[] = {true, false};
	const struct flwr_bytes texts[] = {{"one", 3}, {"", 0}, {"t\0o", 3}};
	struct flwr_value out;

	out = there_and_back(
		rig->configs, (struct flwr_value){.type = FLWR_VALUE_DOUBLE, .as.d = 1.5});
	assert_true(out.as.d == 1.5);
	out = there_and_back(rig->configs, (struct flwr_value){.type = FLWR_VALUE_INT, .as.i = -5});
	assert_int_equal(out.as.i, -5);
	out = there_and_back(rig->configs, (struct flwr_value){.type = FLWR_VALUE_UINT, .as.u = 5});
	assert_int_equal(out.as.u, 5);
	out = there_and_back(
		rig->configs, (struct flwr_value){.type = FLWR_VALUE_BOOL, .as.b = true});
	assert_true(out.as.b);
	out = there_and_back(
		rig->configs, (struct flwr_value){.type = FLWR_VALUE_BYTES, .as.s = {"\xff", 1}});
	assert_memory_equal(out.as.s.data, "\xff", 2);
	out = there_and_back(rig->configs,
		(struct flwr_value){.type = FLWR_VALUE_DOUBLE_LIST, .n = 2, .as.doubles = ds});
	assert_memory_equal(out.as.doubles, ds, sizeof ds);
	out = there_and_back(rig->configs,
		(struct flwr_value){.type = FLWR_VALUE_INT_LIST, .n = 2, .as.ints = is});
	assert_memory_equal(out.as.ints, is, sizeof is);
	out = there_and_back(rig->configs,
		(struct flwr_value){.type = FLWR_VALUE_UINT_LIST, .n = 2, .as.uints = us});
	assert_memory_equal(out.as.uints, us, sizeof us);
	out = there_and_back(rig->configs,
		(struct flwr_value){.type = FLWR_VALUE_BOOL_LIST, .n = 2, .as.bools = bs});
	assert_memory_equal(out.as.bools, bs, sizeof bs);
	for (int type = FLWR_VALUE_STRING_LIST; type <= FLWR_VALUE_BYTES_LIST; type++) {
		out = there_and_back(
			rig->configs, (struct flwr_value){.type = type, .n = 3, .as.texts = texts});
		for (size_t i = 0; i < 3; i++) {
			assert_int_equal(out.as.texts[i].n, texts[i].n);
			assert_memory_equal(out.as.texts[i].data, texts[i].data, texts[i].n);
		}
	}
	/* A value may be one that the record itself holds. */
	assert_succeeds(flwr_set_value(rig->configs, "w", &out));
	assert_succeeds(flwr_set_value(rig->configs, "v", &out));
	assert_succeeds(flwr_get_value(rig->configs, "v", &out));
	assert_memory_equal(out.as.texts[2].data, "t\0o", 4);
}

/* Setters that fail spoil the dict, whose sentence is theirs. */
#define assert_spoils(rig, call, result, part)                                                     \
	do {                                                                                       \
		assert_fails(call, result, part);                                                  \
		assert_non_null(dict_spoilt((rig)->dict));                                         \
		assert_string_equal(dict_spoilt((rig)->dict), flwr_error());                       \
		(rig)->dict->spoilt[0] = '\0';                                                     \
	} while (0)

static void wrong_values_spoil(void **state)
{
	struct rig *rig = *state;
	const struct flwr_bytes bad_texts[] = {{"one", 3}, {"\xff", 1}}, no_texts[] = {{NULL, 1}};
	const struct flwr_value no_type = {.type = 13}, zero_type = {.type = 0};
	const struct flwr_value no_list = {.type = FLWR_VALUE_BOOL_LIST, .n = 1};
	const struct flwr_value bools = {.type = FLWR_VALUE_BOOL_LIST};
	const struct flwr_value bad_list = {
		.type = FLWR_VALUE_STRING_LIST, .n = 2, .as.texts = bad_texts};
	const struct flwr_value null_list = {
		.type = FLWR_VALUE_BYTES_LIST, .n = 1, .as.texts = no_texts};

	assert_spoils(rig, flwr_set_bool(rig->metrics, "b", true), FLWR_E_TYPE,
		"it cannot hold a bool (\"b\")");
	assert_spoils(rig, flwr_set_string(rig->metrics, "s", "x"), FLWR_E_TYPE,
		"it cannot hold a string");
	assert_spoils(rig, flwr_set_bytes(rig->metrics, "y", "x", 1), FLWR_E_TYPE,
		"it cannot hold bytes");
	assert_spoils(rig, flwr_set_value(rig->metrics, "l", &bools), FLWR_E_TYPE,
		"it cannot hold a list of bools");
	assert_spoils(rig, flwr_set_int(rig->arrays, "i", 1), FLWR_E_TYPE,
		"arrays holds arrays, not values (\"i\")");
	assert_spoils(
		rig, flwr_set_double(rig->arrays, "d", 1), FLWR_E_TYPE, "arrays holds arrays");
	assert_spoils(rig, flwr_set_string(rig->configs, "s", "\xff"), FLWR_E_DATA,
		"the string \"s\" is not UTF-8");
	assert_spoils(rig, flwr_set_value(rig->configs, "s", &bad_list), FLWR_E_DATA, "not UTF-8");
	assert_spoils(rig, flwr_set_string(rig->configs, "s", NULL), FLWR_E_ARGUMENT,
		"the value of \"s\" is NULL");
	assert_spoils(rig, flwr_set_bytes(rig->configs, "y", NULL, 1), FLWR_E_ARGUMENT, "is NULL");
	assert_spoils(rig, flwr_set_ints(rig->configs, "l", NULL, 1), FLWR_E_ARGUMENT,
		"the list \"l\" is NULL");
	assert_spoils(rig, flwr_set_doubles(rig->configs, "l", NULL, 1), FLWR_E_ARGUMENT,
		"the list \"l\" is NULL");
	assert_spoils(rig, flwr_set_value(rig->configs, "l", &no_list), FLWR_E_ARGUMENT,
		"the list \"l\" is NULL");
	assert_spoils(
		rig, flwr_set_value(rig->configs, "l", &null_list), FLWR_E_ARGUMENT, "is NULL");
	assert_spoils(rig, flwr_set_value(rig->configs, "v", &no_type), FLWR_E_ARGUMENT,
		"of type 13, which is none");
	assert_spoils(rig, flwr_set_value(rig->configs, "v", &zero_type), FLWR_E_ARGUMENT,
		"of type 0, which is none");
	assert_spoils(rig, flwr_set_value(rig->configs, "v", NULL), FLWR_E_ARGUMENT,
		"the value of \"v\" is NULL");
	assert_spoils(rig, flwr_set_int(rig->configs, NULL, 1), FLWR_E_ARGUMENT,
		"a key of config is NULL");
	assert_spoils(rig, flwr_set_int(rig->configs, "\xff", 1), FLWR_E_DATA,
		"a key of config is not UTF-8");
	assert_int_equal(flwr_record_count(rig->configs), 0);
	assert_int_equal(flwr_record_count(rig->metrics), 0);
}

static void null_records_are_those_that_have_spoilt(void **state)
{
	struct rig *rig = *state;
	struct flwr_record *record = flwr_dict_add(rig->dict, "config", FLWR_ARRAYS);

	assert_null(record);
	assert_int_equal(flwr_set_int(record, "i", 1), FLWR_E_ARGUMENT);
	assert_string_equal(flwr_error(), "record \"config\" holds configs, not arrays");
	assert_string_equal(dict_spoilt(rig->dict), flwr_error());
	forget_error();
	assert_fails(flwr_set_string(NULL, "s", "x"), FLWR_E_ARGUMENT, "the flwr_record is NULL");
}

static void outputs_must_be_there(void **state)
{
	struct rig *rig = *state;
	const void *y;
	const int64_t *is;
	const double *ds;
	bool b;
	size_t n;

	assert_fails(flwr_get_bool(rig->configs, "x", NULL), FLWR_E_ARGUMENT,
		"output of a getter is NULL");
	assert_fails(flwr_get_int(rig->configs, "x", NULL), FLWR_E_ARGUMENT, "output");
	assert_fails(flwr_get_double(rig->configs, "x", NULL), FLWR_E_ARGUMENT, "output");
	assert_fails(flwr_get_string(rig->configs, "x", NULL), FLWR_E_ARGUMENT, "output");
	assert_fails(flwr_get_value(rig->configs, "x", NULL), FLWR_E_ARGUMENT, "output");
	assert_fails(flwr_get_bytes(rig->configs, "x", NULL, &n), FLWR_E_ARGUMENT, "output");
	assert_fails(flwr_get_bytes(rig->configs, "x", &y, NULL), FLWR_E_ARGUMENT, "output");
	assert_fails(flwr_get_ints(rig->configs, "x", NULL, &n), FLWR_E_ARGUMENT, "output");
	assert_fails(flwr_get_ints(rig->configs, "x", &is, NULL), FLWR_E_ARGUMENT, "output");
	assert_fails(flwr_get_doubles(rig->configs, "x", NULL, &n), FLWR_E_ARGUMENT, "output");
	assert_fails(flwr_get_doubles(rig->configs, "x", &ds, NULL), FLWR_E_ARGUMENT, "output");
	assert_fails(flwr_get_bool(rig->configs, NULL, &b), FLWR_E_ARGUMENT, "the key is NULL");
}

/* 50,000 values are set and read by key in well under the time of a test's limit. */
static void many_values_are_found(void **state)
{
	struct rig *rig = *state;
	char key[16];

	for (int i = 0; i < 50000; i++) {
		snprintf(key, sizeof key, "key %d", i);
		assert_int_equal(flwr_set_int(rig->metrics, key, i), 0);
	}
	for (int i = 0; i < 50000; i++) {
		int64_t value = -1;

		snprintf(key, sizeof key, "key %d", i);
		assert_int_equal(flwr_get_int(rig->metrics, key, &value), 0);
		assert_int_equal(value, i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(scalars_come_back, setup, teardown),
		cmocka_unit_test_setup_teardown(lists_come_back, setup, teardown),
		cmocka_unit_test_setup_teardown(absent_values_leave_the_output, setup, teardown),
		cmocka_unit_test_setup_teardown(other_types_are_named, setup, teardown),
		cmocka_unit_test_setup_teardown(long_texts_are_cut_in_sentences, setup, teardown),
		cmocka_unit_test_setup_teardown(
			numbers_are_converted_only_exactly, setup, teardown),
		cmocka_unit_test_setup_teardown(nul_is_only_in_values, setup, teardown),
		cmocka_unit_test_setup_teardown(every_type_comes_back_as_it_is, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_values_spoil, setup, teardown),
		cmocka_unit_test_setup_teardown(
			null_records_are_those_that_have_spoilt, setup, teardown),
		cmocka_unit_test_setup_teardown(outputs_must_be_there, setup, teardown),
		cmocka_unit_test_setup_teardown(many_values_are_found, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
