/*
 * The tokens of one connection: each is there once, a claim ends when it is shown, and those that
 * live no more go with the next one.
 */
#include "kit/test.h"
#include "supernode/workers/held_tokens.h"

/* Tokens from *least on live. */
static bool lives_from(void *least, uint64_t token)
{
	return token >= *(const uint64_t *)least;
}

static void show(struct held_tokens *held, uint64_t token, uint64_t least)
{
	assert_int_equal(held_tokens_show(held, token, lives_from, &least), 0);
}

static void a_token_is_held_once(void **state)
{
	auto_(held_tokens_done) struct held_tokens held = {0};

	assert_null(held_tokens_find(&held, 7));
	for (int again = 0; again < 2; again++) {
		show(&held, 7, 0);
		assert_int_equal(held.n, 1);
		assert_int_equal(held_tokens_find(&held, 7)->token, 7);
	}
}

static void dead_tokens_go_with_the_next_one(void **state)
{
	auto_(held_tokens_done) struct held_tokens held = {0};
	uint64_t least = 9;

	for (uint64_t token = 7; token < 10; token++)
		show(&held, token, 0);
	assert_int_equal(held.n, 3);
	assert_true(held_tokens_live(&held, lives_from, &least));
	show(&held, 20, least);
	assert_int_equal(held.n, 2);
	assert_non_null(held_tokens_find(&held, 9));
	least = 21;
	assert_false(held_tokens_live(&held, lives_from, &least));
}

static void only_claims_are_released(void **state)
{
	auto_(held_tokens_done) struct held_tokens held = {0};

	show(&held, 7, 0);
	show(&held, 8, 0);
	held_tokens_release_claim(&held, 7);
	assert_non_null(held_tokens_find(&held, 7));
	held_tokens_find(&held, 7)->claimed = true;
	held_tokens_find(&held, 8)->claimed = true;
	show(&held, 8, 0);
	held_tokens_release_claim(&held, 7);
	held_tokens_release_claim(&held, 8);
	held_tokens_release_claim(&held, 9);
	assert_null(held_tokens_find(&held, 7));
	assert_non_null(held_tokens_find(&held, 8));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_is_held_once),
		cmocka_unit_test(dead_tokens_go_with_the_next_one),
		cmocka_unit_test(only_claims_are_released),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
