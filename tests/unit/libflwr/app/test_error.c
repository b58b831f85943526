#include "expect.h"
#include "libflwr/app/error_internal.h"

#include <pthread.h>

static void *of_another_thread(void *arg)
{
	(void)arg;
	assert_string_equal(flwr_error(), "");
	flwr_fail("theirs");
	return NULL;
}

static void sentences_are_of_a_thread(void **state)
{
	pthread_t thread;

	assert_int_equal(flwr_fail("ours"), FLWR_E_APP);
	assert_int_equal(pthread_create(&thread, NULL, of_another_thread, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_string_equal(flwr_error(), "ours");
}

static void sentences_are_formatted_and_cut(void **state)
{
	char text[2 * REASON_BYTES];

	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	assert_int_equal(flwr_fail(text), FLWR_E_APP);
	assert_int_equal(strlen(flwr_error()), REASON_BYTES - 1);
	assert_int_equal(flwr_failf("%d of %s", 3, "ten"), FLWR_E_APP);
	assert_string_equal(flwr_error(), "3 of ten");
	assert_int_equal(flwr_failf("again: %s", flwr_error()), FLWR_E_APP);
	assert_string_equal(flwr_error(), "again: 3 of ten");
	assert_int_equal(flwr_fail(NULL), FLWR_E_APP);
	assert_string_equal(flwr_error(), "flwr_fail() was given no sentence");
	assert_int_equal(error_set(FLWR_E_DATA, "\"%s\"", "a\nb\x1b"), FLWR_E_DATA);
	assert_string_equal(flwr_error(), "\"a?b?\"");
	assert_int_equal(flwr_failf("\"%s\"", "a\nb\x1b"), FLWR_E_APP);
	assert_string_equal(flwr_error(), "\"a?b?\"");
	assert_int_equal(flwr_fail("a\x1b[2J"), FLWR_E_APP);
	assert_string_equal(flwr_error(), "a?[2J");
}

static void errors_of_other_kinds_become_sentences(void **state)
{
	struct reason why = {0};

	reason_set(&why, "no such %s", "thing");
	assert_int_equal(error_from(FLWR_E_FILE, &why), FLWR_E_FILE);
	assert_string_equal(flwr_error(), "no such thing");
	assert_int_equal(error_system(-ENOMEM, "a thread"), FLWR_E_MEMORY);
	assert_string_equal(flwr_error(), "a thread: out of memory");
	assert_int_equal(error_system(-EMFILE, "a socket"), FLWR_E_SYSTEM);
	assert_string_equal(flwr_error(), "a socket: Too many open files");
}

static void each_result_has_its_name(void **state)
{
	static const struct {
		int result;
		const char *name;
	} names[] = {
		{FLWR_OK, "FLWR_OK"},
		{FLWR_ABSENT, "FLWR_ABSENT"},
		{FLWR_ENDED, "FLWR_ENDED"},
		{FLWR_FAILED, "FLWR_FAILED"},
		{FLWR_E_ARGUMENT, "FLWR_E_ARGUMENT"},
		{FLWR_E_TYPE, "FLWR_E_TYPE"},
		{FLWR_E_RANGE, "FLWR_E_RANGE"},
		{FLWR_E_DATA, "FLWR_E_DATA"},
		{FLWR_E_MEMORY, "FLWR_E_MEMORY"},
		{FLWR_E_APP, "FLWR_E_APP"},
		{FLWR_E_FILE, "FLWR_E_FILE"},
		{FLWR_E_CONNECT, "FLWR_E_CONNECT"},
		{FLWR_E_REFUSED, "FLWR_E_REFUSED"},
		{FLWR_E_STATE, "FLWR_E_STATE"},
		{FLWR_E_VERSION, "FLWR_E_VERSION"},
		{FLWR_E_SYSTEM, "FLWR_E_SYSTEM"},
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_string_equal(flwr_result_name(names[i].result), names[i].name);
	assert_string_equal(flwr_result_name(3), "no result of libflwr");
	assert_string_equal(flwr_result_name(-1), "no result of libflwr");
	assert_string_equal(flwr_result_name(FLWR_E_SYSTEM - 1), "no result of libflwr");
	assert_string_equal(flwr_result_name(INT32_MIN), "no result of libflwr");
}

struct table {
	uint32_t size, a, b;
};

static void tables_of_other_sizes_are_read(void **state)
{
	struct {
		struct table known;
		uint32_t more;
	} given = {.known = {.a = 1, .b = 2}};
	struct table out = {.a = 9, .b = 9};

	given.known.size = sizeof given;
	assert_succeeds(table_read(&given, &out, sizeof out, 8, "struct table"));
	assert_int_equal(out.b, 2);
	given.known.size = 8; /* an older one ends behind a */
	assert_succeeds(table_read(&given, &out, sizeof out, 8, "struct table"));
	assert_int_equal(out.a, 1);
	assert_int_equal(out.b, 0);
	given.known.size = 4;
	assert_fails(table_read(&given, &out, sizeof out, 8, "struct table"), FLWR_E_VERSION,
		"size of struct table is 4");
	given.known.size = sizeof given;
	given.more = 1;
	assert_fails(table_read(&given, &out, sizeof out, 8, "struct table"), FLWR_E_VERSION,
		"struct table has 16 bytes");
	assert_fails(table_read(NULL, &out, sizeof out, 8, "struct table"), FLWR_E_ARGUMENT,
		"struct table is NULL");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sentences_are_of_a_thread),
		cmocka_unit_test(sentences_are_formatted_and_cut),
		cmocka_unit_test(errors_of_other_kinds_become_sentences),
		cmocka_unit_test(each_result_has_its_name),
		cmocka_unit_test(tables_of_other_sizes_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
