#include "common/base/random.h"
#include "kit/test.h"

#include <sodium.h>

static void numbers_differ(void **state)
{
	assert_true(random_u64(NULL) != random_u64(NULL) || random_u64(NULL) != random_u64(NULL));
}

static void fractions_are_below_one(void **state)
{
	double least = 1, most = 0;

	for (int i = 0; i < 1000; i++) {
		double number = random_01(NULL);

		assert_true(number >= 0 && number < 1);
		least = number < least ? number : least;
		most = number > most ? number : most;
	}
	assert_true(least < 0.5 && most > 0.5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_differ),
		cmocka_unit_test(fractions_are_below_one),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
