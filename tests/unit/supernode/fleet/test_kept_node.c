#include "rig.h"

#include "common/base/files.h"
#include "kit/dir.h"
#include "supernode/fleet/kept_node.h"

/* Read the number that is kept in dir; 0: none. */
static uint64_t kept_in(const char *dir)
{
	auto_(free_at_exit) char *path = path_join(dir, KEPT_NODE_FILE);
	char *text = NULL;
	uint64_t number;
	size_t len;

	if (access(path, F_OK))
		return 0;
	assert_int_equal(file_read(path, 128, &text, &len), 0);
	assert_int_equal(len > 66 && text[64] == ' ', 1);
	number = strtoull(text + 65, NULL, 10);
	free(text);
	return number;
}

static void keep_77(char *dir, const struct auth *key)
{
	kept_node_set(&(struct kept_node){.dir = dir}, key, 77);
}

static void test_a_number_is_kept(void **state)
{
	for (int b = 0; b < 2; b++) {
		struct rig *rig;

		assert_int_equal(kit_dir_make(state), 0);
		rig = rig_begin(b ? rig_lacks_b : rig_lacks_a, rig_key(), kit_dir);
		rig_answer_node(rig, RIG_NODE_ID);
		/* From the very first moment. */
		assert_int_equal(kept_in(kit_dir), RIG_NODE_ID);
		if (b) {
			rig_fail(rig, "SendNodeHeartbeat", OUTCOME_UNAVAILABLE);
			rig_pass(rig, 500);
			assert_null(rig_sent(rig, "CreateNode"));
			rig_answer_ping(rig, true);
		}
		assert_int_equal(rig->node_id, RIG_NODE_ID);
		rig_pass(rig, 0);
		rig_answer_ping(rig, true);
		fleet_stop(rig->fleet, rig_stopped, rig);
		rig_pass(rig, 0);
		/* A node whose goodbye was not heard keeps its number. */
		rig_fail(rig, "DeleteNode", b ? OUTCOME_OK : OUTCOME_UNAVAILABLE);
		assert_int_equal(kept_in(kit_dir), b ? 0 : RIG_NODE_ID);
		rig_free(rig);
		assert_int_equal(kit_dir_remove(state), 0);
	}
}

static void test_a_kept_number_is_used(void **state)
{
	for (int b = 0; b < 2; b++) {
		struct auth *key = rig_key();
		struct rig *rig;

		assert_int_equal(kit_dir_make(state), 0);
		keep_77(kit_dir, key);
		assert_int_equal(kept_node_get(&(struct kept_node){.dir = kit_dir}, key), 77);
		rig = rig_begin(b ? rig_lacks_b : rig_lacks_a, key, kit_dir);
		rig_answer_ping(rig, true);
		assert_int_equal(rig->registered, 1);
		assert_int_equal(rig->node_id, 77);
		rig_pass(rig, 0);
		rig_answer_ping(rig, true);
		assert_int_equal(rig->sent, 2);
		rig_free(rig);
		assert_int_equal(kit_dir_remove(state), 0);
	}
}

/* The SuperLink has been restarted, or the last node was deleted there. */
static void test_a_kept_number_that_is_not_known(void **state)
{
	for (int how = 0; how < 4; how++) {
		struct auth *key = rig_key();
		bool b = how < 2;
		struct rig *rig;

		assert_int_equal(kit_dir_make(state), 0);
		keep_77(kit_dir, key);
		rig = rig_begin(b ? rig_lacks_b : rig_lacks_a, key, kit_dir);
		if (how % 2)
			rig_answer_ping(rig, false);
		else
			rig_fail(rig, b ? "SendNodeHeartbeat" : "Ping", OUTCOME_UNAUTHENTICATED);
		assert_int_equal(rig->registered, 0);
		rig_pass(rig, 500);
		rig_answer_node(rig, RIG_NODE_ID);
		if (b)
			rig_answer_ping(rig, true);
		assert_int_equal(rig->node_id, RIG_NODE_ID);
		assert_int_equal(kept_in(kit_dir), RIG_NODE_ID);
		assert_int_equal(rig->over, 0);
		rig_free(rig);
		assert_int_equal(kit_dir_remove(state), 0);
	}
}

/* Also without a place to keep it, as long as this life lasts. */
static void test_a_number_is_known_in_one_life(void **state)
{
	struct rig *rig = rig_begin(rig_lacks_b, rig_key(), NULL);

	rig_answer_node(rig, RIG_NODE_ID);
	rig_answer_ping(rig, true);
	rig_pass(rig, 0);
	/* Replaced by one of another release, which was the same after all. */
	rig_fail(rig, "SendNodeHeartbeat", OUTCOME_UNIMPLEMENTED);
	rig_pass(rig, 500);
	assert_null(rig_sent(rig, "CreateNode"));
	rig_answer_ping(rig, true);
	assert_int_equal(rig->registered, 2);
	assert_int_equal(rig->node_id, RIG_NODE_ID);
	rig_free(rig);
}

static void test_a_key_that_has_a_node(void **state)
{
	struct rig *rig = rig_begin(rig_lacks_a, rig_key(), NULL);

	rig_fail(rig, "CreateNode", OUTCOME_UNAUTHENTICATED);
	assert_int_equal(rig->over_what, FLEET_OVER_KEY);
	assert_non_null(strstr(rig->over_sentence, "--state-dir"));
	rig_free(rig);
}

/* So a number that is not known any more is not used at all. */
static void test_keys_before_methods_and_a_kept_number(void **state)
{
	for (int known = 0; known < 2; known++) {
		struct auth *key = rig_key();
		struct rig *rig;
		size_t len;

		assert_int_equal(kit_dir_make(state), 0);
		keep_77(kit_dir, key);
		rig = rig_new_with(NULL, key, kit_dir);
		rig->keys_first = true;
		if (known)
			rig->node_pem = strdup(auth_public_key(key, &len));
		fleet_start(rig->fleet);
		rig_pass(rig, 0);
		assert_int_equal(rig_sent(rig, "CreateNode") != NULL, !known);
		if (!known)
			rig_answer_node(rig, RIG_NODE_ID);
		rig_answer_ping(rig, true);
		assert_int_equal(rig->registered, 1);
		assert_int_equal(rig->node_id, known ? 77 : RIG_NODE_ID);
		rig_free(rig);
		assert_int_equal(kit_dir_remove(state), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_number_is_kept),
		cmocka_unit_test(test_a_kept_number_is_used),
		cmocka_unit_test(test_a_kept_number_that_is_not_known),
		cmocka_unit_test(test_a_number_is_known_in_one_life),
		cmocka_unit_test(test_a_key_that_has_a_node),
		cmocka_unit_test(test_keys_before_methods_and_a_kept_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
