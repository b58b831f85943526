#include "common/base/library.h"
#include "kit/test.h"

#include <errno.h>
#include <math.h>

static double (*cosine)(double);

static void functions_are_found(void **state)
{
	static const struct library_function functions[] = {{"cos", &cosine}};
	struct reason why = {0};

	cosine = NULL;
	for (int again = 0; again < 2; again++) {
		assert_int_equal(library_load("libm.so.6", functions, 1, &why), 0);
		assert_true(cosine(0.0) == 1.0);
	}
	assert_string_equal(why.text, "");
}

static void a_library_that_is_not_there_is_named(void **state)
{
	static const struct library_function functions[] = {{"cos", &cosine}};
	struct reason why = {0};

	assert_int_equal(library_load("libnobody-has.so.9", functions, 1, &why), -ELIBACC);
	assert_non_null(strstr(why.text, "libnobody-has.so.9"));
}

static void a_function_that_is_not_there_is_named(void **state)
{
	static const struct library_function functions[] = {{"cos_of_another_release", &cosine}};
	struct reason why = {0};

	assert_int_equal(library_load("libm.so.6", functions, 1, &why), -ELIBACC);
	assert_string_equal(
		why.text, "libm.so.6 has no function cos_of_another_release: is it too old?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(functions_are_found),
		cmocka_unit_test(a_library_that_is_not_there_is_named),
		cmocka_unit_test(a_function_that_is_not_there_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
