#include "common/base/exit_code.h"
#include "kit/test.h"

static void every_number_has_its_own_meaning(void **state)
{
	static const int codes[] = {EXIT_CODE_KEYS_MISSING, EXIT_CODE_KEY_INVALID,
		EXIT_CODE_KEY_WITHOUT_TLS, EXIT_CODE_TRUSTED_ENTITIES_INVALID,
		EXIT_CODE_ADDRESS_INVALID, EXIT_CODE_CERTIFICATES_WITH_INSECURE,
		EXIT_CODE_PATH_INVALID, EXIT_CODE_SERVER_CERTIFICATES_INVALID};

	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		assert_non_null(exit_code_meaning(codes[i]));
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(
				exit_code_meaning(codes[i]), exit_code_meaning(codes[j]));
	}
	assert_null(exit_code_meaning(EXIT_CODE_NONE));
	assert_null(exit_code_meaning(1));
	assert_null(exit_code_meaning(-1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_number_has_its_own_meaning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
