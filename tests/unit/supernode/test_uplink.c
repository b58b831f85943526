/*
 * What the SuperLink says about runs, FABs and replies becomes events of the node.
 */
#include "rig.h"

static void run_answered(enum outcome outcome, const char *hash)
{
	struct run run = {.run_id = 1,
		.fab_id = strdup("me/app"),
		.fab_version = strdup("1"),
		.fab_hash = strdup(hash)};

	assert_non_null(world.run_done);
	world.run_done(&rig.node.uplink, 1, outcome, &run, "said \"so\"");
	run_done(&run);
}

/* Its content and who has signed it are taken over, whatever the outcome. */
static void fab_answered(enum outcome outcome)
{
	struct fleet_fab fab = {.outcome = outcome, .details = "said so"};
	struct value value = {.kind = VALUE_SINT, .i = 1};

	if (outcome == OUTCOME_OK) {
		assert_int_equal(slices_append_copy(&fab.content, "bundle", 6), 0);
		assert_int_equal(value_map_set(&fab.verifications, "me", &value), 0);
	}
	assert_non_null(world.fab_arg);
	world.fab_done(take_pointer(&world.fab_arg), 1, &fab);
	if (outcome == OUTCOME_OK && !world.check_result)
		assert_int_equal(fab.content.n, 0);
	slices_done(&fab.content);
	value_map_done(&fab.verifications);
}

static void fab_checked(const char *refused)
{
	struct checked_fab fab = {.hash = world.checked_hash};

	if (!refused) {
		fab.manifest = (struct manifest){.publisher = strdup("me"),
			.name = strdup("app"),
			.version = strdup("1.0.0"),
			.clientapp = strdup("app.client:app"),
			.fab_id = strdup("me/app")};
		assert_int_equal(slices_append_copy(&fab.content, "bundle", 6), 0);
	}
	assert_non_null(world.check_done);
	world.check_done(&rig.node, 1, &fab, refused);
	/* What was given is the node's, or was freed. */
	assert_null(fab.manifest.name);
	assert_int_equal(fab.content.n, 0);
}

static void a_message_has_its_worker_when_the_superlink_has_said_all(void **state)
{
	message_comes();
	assert_null(world.fab_arg);
	run_answered(OUTCOME_OK, HASH);
	assert_int_equal(world.starts, 0);
	fab_answered(OUTCOME_OK);
	assert_string_equal(world.checked_hash, HASH);
	assert_int_equal(world.starts, 0);
	fab_checked(NULL);
	assert_int_equal(world.starts, 1);
	assert_int_equal(world.pushes, 0);
}

/* What becomes of a message when a question about its run has an outcome. */
enum fate { FATE_WAITS, FATE_DROPPED, FATE_FAILED };

struct answer {
	enum outcome outcome;
	enum fate fate;
};

static void assert_fate(const struct answer *answer, int64_t code, const char *sentence)
{
	unsigned dropped = kit_log_count(&rig.log, "message dropped: ");

	assert_int_equal(world.starts, 0);
	assert_int_equal(dropped, answer->fate == FATE_DROPPED);
	assert_int_equal(world.pushes, answer->fate == FATE_FAILED);
	if (answer->fate == FATE_FAILED) {
		assert_int_equal(world.pushed_code, code);
		pushed(OUTCOME_OK);
		assert_int_equal(kit_log_count(&rig.log, sentence), 1);
	}
	assert_int_equal(node_count(rig.f.node).messages, answer->fate == FATE_WAITS);
}

static void a_run_that_cannot_be_asked_about_ends_its_message(void **state)
{
	static const struct answer answers[] = {
		{OUTCOME_CANCELLED, FATE_WAITS},
		{OUTCOME_NOT_FOUND, FATE_DROPPED},
		{OUTCOME_PERMISSION_DENIED, FATE_DROPPED},
		{OUTCOME_UNAVAILABLE, FATE_FAILED},
		{OUTCOME_RESOURCE_EXHAUSTED, FATE_FAILED},
	};

	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		rig_teardown(state);
		rig_setup(state);
		message_comes();
		run_answered(answers[i].outcome, HASH);
		assert_fate(&answers[i], ERROR_CODE_CLIENT_APP_CRASHED,
			"the SuperLink did not give the run's information: ");
	}
}

static void a_fab_that_is_not_given_ends_its_message(void **state)
{
	/* A SuperLink may have the run, but not its FAB. */
	static const struct answer answers[] = {
		{OUTCOME_CANCELLED, FATE_WAITS},
		{OUTCOME_NOT_FOUND, FATE_FAILED},
		{OUTCOME_PERMISSION_DENIED, FATE_DROPPED},
		{OUTCOME_UNAVAILABLE, FATE_FAILED},
	};

	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		rig_teardown(state);
		rig_setup(state);
		message_comes();
		run_answered(OUTCOME_OK, HASH);
		fab_answered(answers[i].outcome);
		assert_fate(&answers[i], ERROR_CODE_INVALID_FAB,
			"the SuperLink did not give the FAB: ");
	}
}

static void a_fab_that_is_refused_ends_its_message(void **state)
{
	message_comes();
	run_answered(OUTCOME_OK, HASH);
	fab_answered(OUTCOME_OK);
	fab_checked("it is no zip archive");
	assert_int_equal(kit_log_count(&rig.log, "FAB refused: run_id=1: it is no zip archive"), 1);
	assert_fate(&(struct answer){OUTCOME_OK, FATE_FAILED}, ERROR_CODE_INVALID_FAB,
		"code=7: it is no zip archive");
}

static void a_fab_that_cannot_be_checked_ends_its_message(void **state)
{
	world.check_result = -ENOMEM;
	message_comes();
	run_answered(OUTCOME_OK, HASH);
	fab_answered(OUTCOME_OK);
	assert_fate(&(struct answer){OUTCOME_OK, FATE_FAILED}, ERROR_CODE_INVALID_FAB,
		"the SuperLink did not give the FAB: ");
	assert_int_equal(kit_log_count(&rig.log, "no memory to check it"), 1);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_message_has_its_worker_when_the_superlink_has_said_all),
		TEST(a_run_that_cannot_be_asked_about_ends_its_message),
		TEST(a_fab_that_is_not_given_ends_its_message),
		TEST(a_fab_that_is_refused_ends_its_message),
		TEST(a_fab_that_cannot_be_checked_ends_its_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
