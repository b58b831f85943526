#include "common/keys/ssh.h"
#include "kit/test.h"

static void test_reading(void **state)
{
	static const unsigned char blob[] = {
		0, 0, 0, 2, 'a', 'b', 0, 0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 1};
	struct ssh_bytes rest = {.data = blob, .len = sizeof blob}, string;
	uint32_t number;

	assert_int_equal(ssh_string(&rest, &string), 0);
	assert_true(ssh_equals(&string, "ab"));
	assert_false(ssh_equals(&string, "a"));
	assert_int_equal(ssh_string(&rest, &string), 0);
	assert_true(ssh_equals(&string, ""));
	assert_int_equal(ssh_number(&rest, &number), 0);
	assert_int_equal(number, 0x01020304);
	/* One byte is announced, none is there; nothing was taken. */
	assert_int_equal(ssh_string(&rest, &string), -EBADMSG);
	assert_int_equal(rest.len, 4);
	rest.len = 3;
	assert_int_equal(ssh_number(&rest, &number), -EBADMSG);
	assert_int_equal(ssh_string(&rest, &string), -EBADMSG);
	rest.len = 0;
	assert_int_equal(ssh_string(&rest, &string), -EBADMSG);
}

static void test_public_line(void **state)
{
	static const struct {
		const char *line;
		int r;
	} rows[] = {
		{"ab AAAAAmFiYw== me@here", 0},
		{" ab\tAAAAAmFiYw", 0},
		{"ab AAAAAmFiYw==\nanother", 0},
		{"ac AAAAAmFiYw==", -EBADMSG},
		{"a AAAAAmFiYw==", -EBADMSG},
		{"ab AAAAA2FiYw== me", -EBADMSG}, /* the type is abc */
		{"ab AAAA", -EBADMSG},
		{"ab !", -EBADMSG},
		{"ab", -EBADMSG},
		{"", -EBADMSG},
		{"\n", -EBADMSG},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		auto_(free_at_exit) unsigned char *blob = NULL;
		struct ssh_bytes type = {0}, rest = {0};
		int r = ssh_public_line(rows[i].line, strlen(rows[i].line), &blob, &type, &rest);

		if (r != rows[i].r)
			fail_msg("row %zu: %d", i, r);
		if (r < 0)
			continue;
		assert_true(ssh_equals(&type, "ab"));
		assert_true(ssh_equals(&rest, "c"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reading),
		cmocka_unit_test(test_public_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
