#include "common/base/sha256.h"
#include "kit/test.h"

#define OF_ABC   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define OF_EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void known_hashes(void **state)
{
	struct sha256 *hash = sha256_new();
	struct slices list = {0};
	char hex[SHA256_HEX_BYTES];

	assert_non_null(hash);
	sha256_add(hash, "a", 1);
	sha256_add(hash, "", 0);
	sha256_add(hash, "bc", 2);
	sha256_hex(hash, hex);
	sha256_free(hash);
	assert_string_equal(hex, OF_ABC);
	assert_int_equal(sha256_slices(&list, hex), 0);
	assert_string_equal(hex, OF_EMPTY);
	assert_int_equal(slices_append_copy(&list, "ab", 2), 0);
	assert_int_equal(slices_append(&list, slice_static("c", 1)), 0);
	assert_int_equal(sha256_slices(&list, hex), 0);
	assert_string_equal(hex, OF_ABC);
	slices_done(&list);
	sha256_free(NULL);
}

static void what_is_a_hash(void **state)
{
	char text[] = OF_ABC "0";

	assert_true(sha256_is_hex(OF_ABC));
	assert_false(sha256_is_hex(text));
	text[63] = '\0';
	assert_false(sha256_is_hex(text));
	text[63] = 'D';
	text[64] = '\0';
	assert_false(sha256_is_hex(text));
	assert_false(sha256_is_hex(""));
}

static void from_hex(void **state)
{
	static const char hex[] =
		"00ff10a00123456789abcdef00ff10a00123456789abcdef00ff10a001234567";
	unsigned char bytes[SHA256_BYTES];

	assert_int_equal(sha256_from_hex(hex, bytes), 0);
	assert_memory_equal(bytes, "\x00\xff\x10\xa0\x01\x23\x45\x67\x89\xab\xcd\xef", 12);
	assert_int_equal(bytes[SHA256_BYTES - 1], 0x67);
	assert_int_equal(sha256_from_hex("", bytes), -EBADMSG);
	assert_int_equal(sha256_from_hex(hex + 1, bytes), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_hashes),
		cmocka_unit_test(what_is_a_hash),
		cmocka_unit_test(from_hex),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
