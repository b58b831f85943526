#include "kit/child.h"
#include "supernode/link/auth.h"

#define NOW_MS 1000000
#define WALL_S 1790000000.25

static void the_real_package_accepts_proofs(void **state)
{
	struct kit_child judge;

	kit_child_start(&judge, KIT_OLDEST, FLWR_TEST_DIR "/verify_auth.py");
	for (int i = 0; i < 5; i++) {
		struct auth *auth = NULL;
		const struct auth_proof *proof;
		const char *pem;
		size_t len;

		assert_int_equal(auth_new(&auth), 0);
		pem = auth_public_key(auth, &len);
		assert_int_equal(strlen(pem), len);
		proof = auth_proof(auth, clock_now_ms(), clock_wall_s(), AUTH_REUSE_MS);
		assert_non_null(proof);
		kit_child_put_hex(&judge, pem, len);
		fprintf(judge.to, " %s ", proof->timestamp);
		kit_child_put_hex(&judge, proof->signature, proof->signature_len);
		fputc('\n', judge.to);
		auth_free(auth);
	}
	kit_child_close(&judge);
	for (int i = 0; i < 5; i++)
		kit_child_expect(&judge, "ok");
	kit_child_end(&judge);
}

static void keys_differ(void **state)
{
	struct auth *a = NULL, *b = NULL;
	size_t len;

	assert_int_equal(auth_new(&a), 0);
	assert_int_equal(auth_new(&b), 0);
	assert_string_not_equal(auth_public_key(a, &len), auth_public_key(b, &len));
	auth_free(a);
	auth_free(b);
	auth_free(NULL);
}

static void a_proof_is_used_again_for_a_while(void **state)
{
	/* Both since the proof before. */
	static const struct {
		int64_t passed_ms;
		double wall_passed_s;
		bool again;
	} table[] = {
		{0, 0.0, true},
		{1, 0.0, true},
		{5000, 5.0, true},
		{5001, 5.001, false},
		{60000, 60.0, false},
		{100, 0.9, true},  /* wall time is adjusted in small steps */
		{100, 1.2, false}, /* set forward */
		{100, -0.8, true},
		{100, -1.0, false}, /* set back */
		{100, 86400.0, false},
		{-1, 0.0, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		const struct auth_proof *proof;
		struct auth_proof first;
		struct auth *auth = NULL;
		bool same;

		assert_int_equal(auth_new(&auth), 0);
		proof = auth_proof(auth, NOW_MS, WALL_S, AUTH_REUSE_ERA_A_MS);
		assert_non_null(proof);
		first = *proof;
		proof = auth_proof(auth, NOW_MS + table[i].passed_ms,
			WALL_S + table[i].wall_passed_s, AUTH_REUSE_ERA_A_MS);
		assert_non_null(proof);
		same = first.signature_len == proof->signature_len &&
		       memcmp(first.signature, proof->signature, first.signature_len) == 0;
		assert_int_equal(same, table[i].again);
		auth_free(auth);
	}
}

static void the_timestamp_is_the_wall_clock(void **state)
{
	struct auth *auth = NULL;
	const struct auth_proof *proof;
	char expected[CLOCK_ISO8601_BYTES];

	assert_int_equal(auth_new(&auth), 0);
	proof = auth_proof(auth, NOW_MS, WALL_S, AUTH_REUSE_ERA_A_MS);
	assert_non_null(proof);
	clock_iso8601(WALL_S, expected);
	assert_string_equal(proof->timestamp, expected);
	assert_string_equal(expected + strlen(expected) - 6, "+00:00");
	auth_free(auth);
}

/* A clock that differs is pretended; how long a proof is used again does not depend on it. */
static void a_clock_that_differs_is_pretended(void **state)
{
	static const double offsets_s[] = {-20.0, -0.5, 0.0, 400.0};
	struct auth *auth = NULL;
	char expected[CLOCK_ISO8601_BYTES];

	assert_int_equal(auth_new(&auth), 0);
	for (size_t i = 0; i < ARRAY_LEN(offsets_s); i++) {
		const struct auth_proof *proof;

		auth_set_clock_offset(auth, offsets_s[i]);
		proof = auth_proof(auth, NOW_MS, WALL_S, AUTH_REUSE_MS);
		assert_non_null(proof);
		clock_iso8601(WALL_S + offsets_s[i], expected);
		assert_string_equal(proof->timestamp, expected);
		proof = auth_proof(auth, NOW_MS + 60000, WALL_S + 60.0, AUTH_REUSE_MS);
		assert_string_equal(proof->timestamp, expected);
		proof = auth_proof(auth, NOW_MS + 60001, WALL_S + 60.001, AUTH_REUSE_MS);
		assert_string_not_equal(proof->timestamp, expected);
		proof = auth_proof(auth, NOW_MS + 60002, WALL_S + 60.002, 0);
		clock_iso8601(WALL_S + offsets_s[i] + 60.002, expected);
		assert_string_equal(proof->timestamp, expected);
	}
	auth_free(auth);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_real_package_accepts_proofs),
		cmocka_unit_test(keys_differ),
		cmocka_unit_test(a_proof_is_used_again_for_a_while),
		cmocka_unit_test(the_timestamp_is_the_wall_clock),
		cmocka_unit_test(a_clock_that_differs_is_pretended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
