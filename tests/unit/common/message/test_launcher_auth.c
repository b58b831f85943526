/*
 * The secret of launchers: signatures as Flower 1.34 makes them, and what is not one.
 */
#include "common/message/launcher_auth.h"
#include "kit/dir.h"
#include "kit/vectors.h"

#include <fcntl.h>

#define METHOD "/flwr.proto.Runtime/ClaimTask"
#define NOW    1700000000

/* compute_superexec_signature() of 1.34.0, for SECRET and the body 08 07. */
static const char secret[] = "a shared secret\n";
static const char *const flower[PROOF_N] = {
	"1700000000",
	"000102030405060708090a0b0c0d0e0f",
	"c3aefc14ee1131201d705d4da641e4729e40fcd15a0d80015a9deba1164959f9",
	"e70d31dc17a86ae03a5e8357981b2118f91bcf3baf1d7aa010b7cd4aa87e8b73",
};

static struct launcher_auth *load(const void *bytes, size_t len)
{
	auto_(free_at_exit) char *path = kit_dir_write("secret", bytes, len);
	struct launcher_auth *auth = NULL;
	struct reason why = {0};
	int r = launcher_auth_load(path, &auth, &why);

	assert_int_equal(r == 0, auth != NULL);
	assert_int_equal(r == 0, !why.text[0]);
	return auth;
}

static bool verify(struct launcher_auth *auth, double now_s, const char *const texts[PROOF_N])
{
	auto_(slices_done) struct slices body = vector_whole((const uint8_t *)"\x08\x07", 2);

	return launcher_auth_verify(auth, METHOD, &body, now_s, texts);
}

static void flowers_signatures_are_taken_once(void **state)
{
	/* With its NUL. */
	struct launcher_auth *auth = load(secret, sizeof secret);

	assert_non_null(auth);
	assert_false(verify(auth, NOW - 5, flower));
	assert_false(verify(auth, NOW + 305, flower));
	assert_true(verify(auth, NOW + 304, flower));
	/* Once only, as long as it would be good. */
	assert_false(verify(auth, NOW + 304.5, flower));
	launcher_auth_free(auth);
}

static void a_changed_proof_is_refused(void **state)
{
	static const struct {
		enum launcher_proof which;
		const char *text;
	} rows[] = {
		{PROOF_TIME, NULL},
		{PROOF_TIME, ""},
		{PROOF_TIME, "1700000001"},
		{PROOF_TIME, "1.7e9"},
		{PROOF_TIME, "-1"},
		{PROOF_NONCE, NULL},
		{PROOF_NONCE, ""},
		{PROOF_NONCE, "000102030405060708090a0b0c0d0e0g"},
		{PROOF_NONCE, "000102030405060708090a0b0c0d0e0f00"},
		{PROOF_NONCE, "100102030405060708090a0b0c0d0e0f"},
		{PROOF_BODY, NULL},
		{PROOF_BODY, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{PROOF_SIGNATURE, NULL},
		{PROOF_SIGNATURE, ""},
		{PROOF_SIGNATURE,
			"e70d31dc17a86ae03a5e8357981b2118f91bcf3baf1d7aa010b7cd4aa87e8b74"},
	};
	struct launcher_auth *auth = load(secret, sizeof secret);
	struct launcher_auth *other = load(secret, sizeof secret - 2);
	auto_(slices_done) struct slices body = vector_whole((const uint8_t *)"\x08\x07", 2);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *texts[PROOF_N];

		memcpy(texts, flower, sizeof texts);
		texts[rows[i].which] = rows[i].text;
		if (verify(auth, NOW, texts))
			fail_msg("row %zu", i);
	}
	assert_false(verify(other, NOW, flower));
	assert_false(launcher_auth_verify(auth, "/flwr.proto.Runtime/GetRun", &body, NOW, flower));
	/* None of these has used it up. */
	assert_true(verify(auth, NOW, flower));
	launcher_auth_free(auth);
	launcher_auth_free(other);
}

static void our_signatures_are_taken(void **state)
{
	struct launcher_auth *auth = load(secret, sizeof secret);
	auto_(slices_done) struct slices body = vector_whole((const uint8_t *)"\x08\x07", 2);

	/* Many, and each once. */
	for (unsigned i = 0; i < 200; i++) {
		char proof[PROOF_N][PROOF_TEXT_BYTES];
		const char *texts[PROOF_N];

		assert_int_equal(launcher_auth_sign(auth, METHOD, &body, NOW + 0.5, proof), 0);
		for (size_t j = 0; j < PROOF_N; j++)
			texts[j] = proof[j];
		assert_string_equal(texts[PROOF_TIME], flower[PROOF_TIME]);
		assert_string_equal(texts[PROOF_BODY], flower[PROOF_BODY]);
		assert_true(verify(auth, NOW, texts));
		assert_false(verify(auth, NOW, texts));
	}
	launcher_auth_free(auth);
}

static void secrets_come_from_files(void **state)
{
	static const char large[5000];
	struct launcher_auth *auth = NULL;
	struct reason why = {0};

	assert_null(load("", 0));
	assert_null(load(large, sizeof large));
	assert_int_equal(launcher_auth_load("/nonexistent/secret", &auth, &why), -ENOENT);
	assert_non_null(strstr(why.text, "/nonexistent/secret"));
	assert_int_equal(launcher_auth_load("/tmp", &auth, NULL), -EISDIR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(flowers_signatures_are_taken_once),
		cmocka_unit_test(a_changed_proof_is_refused),
		cmocka_unit_test(our_signatures_are_taken),
		cmocka_unit_test(secrets_come_from_files)};

	return cmocka_run_group_tests(tests, kit_dir_make, kit_dir_remove);
}
