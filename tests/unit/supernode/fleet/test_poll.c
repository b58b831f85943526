#include "rig.h"

static void polls_follow_the_pace_of_messages(void **state)
{
	struct rig *rig = rig_new(NULL);
	int64_t begin_ms = rig_now(), last_ms = begin_ms;
	unsigned polls = 0;

	rig_register(rig);
	while (rig_now() - begin_ms < 60000) {
		if (rig_sent(rig, "Ping"))
			rig_answer_ping(rig, true);
		if (rig_sent(rig, "PullMessages")) {
			int64_t gap_ms = rig_now() - last_ms;
			/* A node begins with half a second. */
			int64_t due_ms = (last_ms - begin_ms + 5000) / 10;

			if (polls > 0)
				assert_in_range(gap_ms, due_ms > 3000 ? 3000 : due_ms,
					(due_ms > 3000 ? 3000 : due_ms) + 20);
			last_ms = rig_now();
			polls++;
			rig_answer_pull_empty(rig);
		}
		rig_pass(rig, 10);
	}
	assert_in_range(polls, 28, 36);
	/* A message: at once again. */
	rig_pass(rig, 3000);
	rig_answer_pull(rig, "train", &(struct slices){0});
	assert_int_equal(rig->messages, 1);
	rig_pass(rig, 100);
	assert_non_null(rig_sent(rig, "PullMessages"));
	rig_free(rig);
}

static void a_node_polls_only_when_wanted(void **state)
{
	struct rig *rig = rig_new(NULL);

	rig->wants = false;
	rig_register(rig);
	rig_pass(rig, 15000);
	assert_null(rig_sent(rig, "PullMessages"));
	fleet_poke(rig->fleet);
	rig_pass(rig, 0);
	assert_null(rig_sent(rig, "PullMessages"));
	rig->wants = true;
	fleet_poke(rig->fleet);
	assert_null(rig_sent(rig, "PullMessages"));
	rig_pass(rig, 0);
	assert_non_null(rig_sent(rig, "PullMessages"));
	/* The node asks for one message at a time. */
	fleet_poke(rig->fleet);
	rig_pass(rig, 1000);
	assert_int_equal(rig->sent, 3);
	rig_answer_pull_empty(rig);
	/* A poke does not shorten the pace. */
	fleet_poke(rig->fleet);
	rig_pass(rig, 0);
	assert_null(rig_sent(rig, "PullMessages"));
	rig_free(rig);
}

static void a_pull_is_never_cancelled_by_time(void **state)
{
	struct rig *rig = rig_new(NULL);

	rig_register(rig);
	assert_int_equal(rig_sent(rig, "PullMessages")->timeout_ms, 0);
	for (int i = 0; i < 200; i++) {
		rig_pass(rig, 30000);
		rig_answer_ping(rig, true);
	}
	rig_answer_pull(rig, "train", &(struct slices){0});
	assert_int_equal(rig->messages, 1);
	assert_string_equal(rig->message.message_id, "message-1");
	rig_free(rig);
}

static void every_outcome_of_a_pull_is_retried_or_final(void **state)
{
	for (int outcome = OUTCOME_OK + 1; outcome < OUTCOME_N; outcome++) {
		bool lost = outcome == OUTCOME_UNAUTHENTICATED || outcome == OUTCOME_UNIMPLEMENTED;
		struct rig *rig = rig_new(NULL);

		rig_register(rig);
		rig_pass(rig, JOIN_STABLE_MS);
		rig_fail(rig, "PullMessages", (enum outcome)outcome);
		rig_pass(rig, 499);
		assert_null(rig_sent(rig, "PullMessages"));
		rig_pass(rig, 1);
		assert_int_equal(rig_sent(rig, "PullMessages") != NULL, !lost);
		assert_int_equal(rig->lost, lost);
		assert_int_equal(rig->over, 0);
		rig_free(rig);
	}
}

static void a_broken_message_is_lost_and_polls_go_on(void **state)
{
	struct rig *rig = rig_new(NULL);
	struct slices junk = {0};

	rig_register(rig);
	/* A message whose metadata are cut off. */
	assert_int_equal(slices_append_copy(&junk, "\x12\x03\x0a\xff\xff", 5), 0);
	rig_answer(rig, rig_sent(rig, "PullMessages"), OUTCOME_OK, "", &junk);
	assert_int_equal(rig_lines(rig, "could not be read and is lost"), 1);
	assert_int_equal(rig->messages, 0);
	rig_pass(rig, 500);
	assert_non_null(rig_sent(rig, "PullMessages"));
	rig_free(rig);
}

/* The sender of such a message can be told. */
static void a_broken_message_with_metadata_is_refused(void **state)
{
	/* Metadata {run_id = 7, message_id = "m"}, then an error that is cut. */
	static const char bytes[] = "\x12\x0a\x0a\x05\x08\x07\x12\x01m\x1a\x01\x12";
	struct rig *rig = rig_new(NULL);
	struct slices junk = {0};

	rig_register(rig);
	assert_int_equal(slices_append_copy(&junk, bytes, sizeof bytes - 1), 0);
	rig_answer(rig, rig_sent(rig, "PullMessages"), OUTCOME_OK, "", &junk);
	assert_int_equal(rig_lines(rig, "is lost"), 0);
	assert_int_equal(rig->messages, 1);
	assert_non_null(strstr(rig->refused, "could not be read"));
	rig_free(rig);
}

static void a_node_gives_up_polling(void **state)
{
	struct retry_policy retries = {.max_retries = 1, .max_wait_ms = -1};
	struct rig *rig = rig_new(&retries);

	rig_register(rig);
	/* Success starts the count anew. */
	for (int i = 0; i < 3; i++) {
		rig_fail(rig, "PullMessages", OUTCOME_UNAVAILABLE);
		rig_pass(rig, 500);
		rig_answer_pull_empty(rig);
		rig_pass(rig, 3000);
	}
	rig_fail(rig, "PullMessages", OUTCOME_UNAVAILABLE);
	rig_pass(rig, 500);
	assert_int_equal(rig->over, 0);
	rig_fail(rig, "PullMessages", OUTCOME_UNAVAILABLE);
	assert_int_equal(rig->over, 1);
	rig_free(rig);
}

/* A poll that failed, and then was not wanted: the next node's polls have all their tries. */
static void a_new_node_polls_anew(void **state)
{
	struct retry_policy retries = {.max_retries = 1, .max_wait_ms = -1};
	struct rig *rig = rig_new(&retries);

	rig_register(rig);
	rig_fail(rig, "PullMessages", OUTCOME_UNAVAILABLE);
	rig->wants = false;
	rig_pass(rig, 20000);
	rig_answer_ping(rig, false);
	assert_int_equal(rig->lost, 1);
	rig->wants = true;
	rig_pass(rig, 0);
	rig_answer_node(rig, RIG_NODE_ID + 1);
	rig_pass(rig, 0);
	rig_fail(rig, "PullMessages", OUTCOME_UNAVAILABLE);
	assert_int_equal(rig->over, 0);
	rig_pass(rig, 500);
	assert_non_null(rig_sent(rig, "PullMessages"));
	rig_free(rig);
}

static void a_node_stops_with_a_pull_out(void **state)
{
	struct rig *rig = rig_new(NULL);

	rig_register(rig);
	fleet_stop(rig->fleet, rig_stopped, rig);
	rig_pass(rig, 999);
	assert_non_null(rig_sent(rig, "PullMessages"));
	assert_null(rig_sent(rig, "DeleteNode"));
	rig_pass(rig, 1);
	assert_null(rig_sent(rig, "PullMessages"));
	rig_answer_cancelled(rig);
	rig_pass(rig, 0);
	rig_fail(rig, "DeleteNode", OUTCOME_OK);
	assert_int_equal(rig->stopped, 1);
	rig_free(rig);
}

/* The log tells of a message in the answer to a cancelled pull, not of a reconnect field alone. */
static void a_message_that_comes_too_late_is_told_of(void **state)
{
	/* Reconnect {reconnect = 5}; a message with the metadata {message_id = "m"}. */
	static const char *const answers[] = {"\x0a\x02\x08\x05", "\x12\x05\x0a\x03\x12\x01m"};

	for (unsigned i = 0; i < ARRAY_LEN(answers); i++) {
		struct slices body = {0};
		struct rig *rig = rig_new(NULL);

		rig_register(rig);
		fleet_stop(rig->fleet, rig_stopped, rig);
		rig_pass(rig, 1000);
		assert_true(rig->out->cancelled);
		assert_string_equal(rig->out->method, "PullMessages");
		assert_int_equal(slices_append_copy(&body, answers[i], strlen(answers[i])), 0);
		rig_answer(rig, rig->out, OUTCOME_OK, "", &body);
		assert_int_equal(rig->messages, 0);
		assert_int_equal(rig_lines(rig, "a message came too late and is lost"), i);
		rig_free(rig);
	}
}

/* A content that comes along has the room that the budget has left; nothing of it is reserved. */
static void a_message_may_be_as_large_as_the_room_for_it(void **state)
{
	const uint64_t mib = 1 << 20;
	struct rig *rig = rig_new(NULL);

	budget_init(&rig->budget, 8 * mib);
	rig->fleet->poll.budget = &rig->budget;
	rig_register(rig);
	assert_int_equal(rig_sent(rig, "PullMessages")->answer_max_bytes, 9 * mib);
	assert_int_equal(rig->budget.used_bytes, 0);
	assert_int_equal(budget_reserve(&rig->budget, 5 * mib), 0);
	rig_answer_pull_empty(rig);
	rig_pass(rig, 3000);
	assert_int_equal(rig_sent(rig, "PullMessages")->answer_max_bytes, 4 * mib);
	rig_free(rig);
}

/* The SuperLink has handed it out: it is not asked for again, and who sent it is told if its head
 * came. */
static void a_message_that_is_too_large_is_refused(void **state)
{
	/* Metadata {run_id = 7, message_id = "m"} of a message that is larger than what is here. */
	static const char cut[] = "\x12\xff\x7f\x0a\x05\x08\x07\x12\x01m\x1a\x80\x20";

	for (int told = 0; told < 2; told++) {
		struct rig *rig = rig_new(NULL);
		struct slices head = {0};

		budget_init(&rig->budget, 1 << 20);
		rig->fleet->poll.budget = &rig->budget;
		rig_register(rig);
		if (told)
			assert_int_equal(slices_append_copy(&head, cut, sizeof cut - 1), 0);
		rig->too_large = true;
		rig_answer(
			rig, rig_sent(rig, "PullMessages"), OUTCOME_RESOURCE_EXHAUSTED, "", &head);
		assert_int_equal(rig->messages, told);
		assert_int_equal(rig->over_budget_messages, told);
		assert_int_equal(
			rig_lines(rig, "a message is lost: the message is larger than"), !told);
		if (told)
			assert_string_equal(rig->refused,
				"the message is larger than the 2097152 bytes that are left for it in the SuperNode's memory budget");
		assert_int_equal(rig_lines(rig, "trying again"), 0);
		rig_pass(rig, 500);
		assert_non_null(rig_sent(rig, "PullMessages"));
		rig_free(rig);
	}
}

static struct slices large_content(void)
{
	static const uint8_t bytes[CALL_LARGE_BYTES];
	struct slices content = {0};

	assert_int_equal(slices_append(&content, slice_static(bytes, sizeof bytes)), 0);
	return content;
}

/* While the io thread takes it apart, the node does what else there is to do. */
static void a_large_message_is_read_on_the_io_thread(void **state)
{
	auto_(slices_done) struct slices content = large_content();
	struct rig *rig = rig_new(NULL);

	rig_register(rig);
	rig->hold_jobs = true;
	rig_answer_pull(rig, "train", &content);
	assert_int_equal(rig->messages, 0);
	rig_pass(rig, 30000);
	rig_answer_ping(rig, true);
	fleet_poke(rig->fleet);
	rig_pass(rig, 0);
	assert_null(rig_sent(rig, "PullMessages"));
	rig->hold_jobs = false;
	rig_pass(rig, 0);
	assert_int_equal(rig->messages, 1);
	assert_string_equal(rig->message.message_id, "message-1");
	rig_pass(rig, 100);
	assert_non_null(rig_sent(rig, "PullMessages"));
	rig_free(rig);
}

/* The node that it was for is forgotten meanwhile, or the program stops. */
static void a_message_may_be_read_while_its_node_ends(void **state)
{
	for (int stops = 0; stops < 2; stops++) {
		auto_(slices_done) struct slices content = large_content();
		struct rig *rig = rig_new(NULL);

		rig_register(rig);
		rig_pass(rig, 30000);
		rig->hold_jobs = true;
		rig->told_to_end = stops;
		rig_answer_pull(rig, "train", &content);
		assert_int_equal(rig->told, 0);
		if (stops)
			fleet_stop(rig->fleet, rig_stopped, rig);
		else
			rig_answer_ping(rig, false);
		rig_pass(rig, 500);
		assert_int_equal(rig->messages, 0);
		assert_int_equal(rig->stopped, 0);
		rig->hold_jobs = false;
		rig_pass(rig, 0);
		/* A stopping node takes what was on its way. */
		assert_int_equal(rig->messages, stops);
		assert_int_equal(rig_lines(rig, "a message came too late and is lost"), !stops);
		assert_int_equal(rig->lost, !stops);
		rig_free(rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(polls_follow_the_pace_of_messages),
		cmocka_unit_test(a_node_polls_only_when_wanted),
		cmocka_unit_test(a_pull_is_never_cancelled_by_time),
		cmocka_unit_test(every_outcome_of_a_pull_is_retried_or_final),
		cmocka_unit_test(a_broken_message_is_lost_and_polls_go_on),
		cmocka_unit_test(a_broken_message_with_metadata_is_refused),
		cmocka_unit_test(a_node_gives_up_polling),
		cmocka_unit_test(a_new_node_polls_anew),
		cmocka_unit_test(a_node_stops_with_a_pull_out),
		cmocka_unit_test(a_message_that_comes_too_late_is_told_of),
		cmocka_unit_test(a_message_may_be_as_large_as_the_room_for_it),
		cmocka_unit_test(a_message_that_is_too_large_is_refused),
		cmocka_unit_test(a_large_message_is_read_on_the_io_thread),
		cmocka_unit_test(a_message_may_be_read_while_its_node_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
