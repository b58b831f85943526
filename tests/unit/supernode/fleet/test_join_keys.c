/* The keys that a node joins with: its own, or its operator's. */
#include "rig.h"

#include "common/message/fleet_codec.h"

static void a_node_registers_a_key_of_its_own(void **state)
{
	static const char *const speaks[] = {
		[PROBE_GRPC] = "Flower-1.23-to-1.39", [PROBE_HTTP] = "Flower-1.40-and-later"};

	for (enum probe_result found = PROBE_GRPC; found <= PROBE_HTTP; found++) {
		struct rig *rig = rig_new(NULL);
		auto_(slices_done) struct slices body = {0};
		struct rig_call *handle;

		rig->lacks = rig_lacks_c;
		rig->found = found;
		fleet_start(rig->fleet);
		rig_pass(rig, 0);
		assert_int_equal(rig->probes, 1);
		assert_string_equal(fleet_speaks(rig->fleet), "");
		handle = rig_sent(rig, "RegisterNode");
		assert_non_null(handle);
		assert_int_equal(fleet_encode_key(handle->pem, strlen(handle->pem), 0, &body), 0);
		assert_true(slices_equal(&body, &handle->body));
		rig_answer_node(rig, RIG_NODE_ID);
		assert_int_equal(rig->registered, 0);
		slices_done(&body);
		handle = rig_sent(rig, "ActivateNode");
		assert_int_equal(fleet_encode_key(handle->pem, strlen(handle->pem), 30, &body), 0);
		assert_true(slices_equal(&body, &handle->body));
		rig_answer_node(rig, RIG_NODE_ID);
		assert_int_equal(rig->registered, 1);
		assert_int_equal(rig->node_id, RIG_NODE_ID);
		assert_string_equal(fleet_speaks(rig->fleet), speaks[found]);
		assert_true(fleet_is_online(rig->fleet));
		rig_pass(rig, 0);
		assert_non_null(rig_sent(rig, "PullMessages"));
		assert_non_null(rig_sent(rig, "SendNodeHeartbeat"));
		rig_answer_ping(rig, true);
		assert_true(fleet_is_online(rig->fleet));
		assert_int_equal(rig_warnings(rig), 0);
		rig_free(rig);
	}
}

static void an_operators_key_is_activated(void **state)
{
	struct rig *rig = rig_begin(rig_lacks_c, rig_key(), NULL);

	assert_null(rig_sent(rig, "RegisterNode"));
	/* The last node with that key still counts as online: for half a minute. */
	for (int i = 0; i < 20; i++) {
		rig->code = 2004;
		rig_fail(rig, "ActivateNode", OUTCOME_FAILED_PRECONDITION);
		rig_pass(rig, 1500);
	}
	assert_int_equal(rig->over, 0);
	assert_int_equal(rig_warnings(rig), 1);
	assert_int_equal(rig_lines(rig, "trying for up to 70 s (FAILED_PRECONDITION"), 1);
	assert_int_equal(rig->probes, 1);
	rig_answer_node(rig, RIG_NODE_ID);
	assert_int_equal(rig->registered, 1);
	rig_free(rig);
}

static void an_operators_key_that_nobody_knows_ends_the_node(void **state)
{
	struct rig *rig = rig_begin(rig_lacks_c, rig_key(), NULL);
	int64_t begin_ms = rig_now();

	while (!rig->over) {
		assert_true(rig_now() - begin_ms < 80000);
		rig_fail(rig, "ActivateNode", OUTCOME_FAILED_PRECONDITION);
		rig_pass(rig, rig->over ? 0 : 1500);
	}
	assert_true(rig_now() - begin_ms >= 70000);
	assert_int_equal(rig->over_what, FLEET_OVER_KEY);
	assert_non_null(strstr(rig->over_sentence, "flwr supernode register"));
	assert_int_equal(rig_warnings(rig), 1);
	rig_pass(rig, 100000);
	assert_null(rig->out);
	rig_free(rig);
}

/* An outage between refusals: how long it was refused is counted anew. */
static void an_outage_between_refusals_starts_their_time_anew(void **state)
{
	struct rig *rig = rig_begin(rig_lacks_c, rig_key(), NULL);

	rig_fail(rig, "ActivateNode", OUTCOME_FAILED_PRECONDITION);
	rig_pass(rig, 1500);
	rig_fail(rig, "ActivateNode", OUTCOME_UNAVAILABLE);
	rig->found = PROBE_ABSENT;
	rig_pass(rig, 200000);
	rig->found = PROBE_GRPC;
	rig_pass(rig, 20000);
	rig_fail(rig, "ActivateNode", OUTCOME_FAILED_PRECONDITION);
	assert_int_equal(rig->over, 0);
	rig_pass(rig, 1500);
	rig_answer_node(rig, RIG_NODE_ID);
	assert_int_equal(rig->registered, 1);
	rig_free(rig);
}

static void a_refused_key_of_its_own_is_final_or_replaced(void **state)
{
	struct rig *rig = rig_begin(rig_lacks_c, NULL, NULL);
	char *key;

	rig->code = 2001;
	rig_fail(rig, "RegisterNode", OUTCOME_FAILED_PRECONDITION);
	assert_int_equal(rig->over, 1);
	assert_int_equal(rig->over_what, FLEET_OVER_KEY);
	assert_non_null(strstr(rig->over_sentence, "--auth-supernode-private-key"));
	rig_free(rig);

	/* A call that came through twice, a refusal to activate: with another key. */
	rig = rig_begin(rig_lacks_c, NULL, NULL);
	key = strdup(rig_sent(rig, "RegisterNode")->pem);
	rig->code = 23;
	rig_fail(rig, "RegisterNode", OUTCOME_FAILED_PRECONDITION);
	rig_pass(rig, 500);
	assert_string_not_equal(rig_sent(rig, "RegisterNode")->pem, key);
	rig_answer_node(rig, RIG_NODE_ID);
	rig_fail(rig, "ActivateNode", OUTCOME_FAILED_PRECONDITION);
	rig_pass(rig, 1000);
	assert_non_null(rig_sent(rig, "RegisterNode"));
	assert_int_equal(rig->over, 0);
	free(key);
	rig_free(rig);

	/* Something else is wrong with the call. */
	rig = rig_begin(rig_lacks_c, NULL, NULL);
	rig_fail(rig, "RegisterNode", OUTCOME_INVALID_ARGUMENT);
	assert_int_equal(rig->over_what, FLEET_OVER_REFUSED);
	assert_non_null(strstr(rig->over_sentence, "refused RegisterNode: INVALID_ARGUMENT"));
	rig_free(rig);
}

/* A node at a SuperLink that does not accept its signature, and whose clock is so many seconds
 * ahead (0: it tells no date, which only HTTP does). */
static struct rig *refuse_signature(struct auth *key, const char *method, double ahead_s)
{
	struct rig *rig = rig_new_with(NULL, key, NULL);

	rig->found = PROBE_HTTP;
	rig->lacks = rig_lacks_c;
	fleet_start(rig->fleet);
	rig_pass(rig, 0);
	rig->date_s = ahead_s == 0 ? 0 : clock_wall_s() + ahead_s;
	rig_fail(rig, method, OUTCOME_UNAUTHENTICATED);
	return rig;
}

static void refused_signatures_hint_at_clocks_that_differ(void **state)
{
	static const double dates_s[] = {0, 1, 400, -400};

	for (size_t i = 0; i < ARRAY_LEN(dates_s); i++) {
		struct rig *rig = refuse_signature(rig_key(), "ActivateNode", dates_s[i]);
		bool hint = dates_s[i] > 300 || dates_s[i] < -4;

		assert_int_equal(rig->over, 1);
		assert_int_equal(rig->over_what, FLEET_OVER_KEY);
		assert_int_equal(
			strstr(rig->over_sentence, "this machine's clock is 400 s") != NULL, hint);
		rig_free(rig);

		/* A key of its own may be a bad one; a clock may be set right. */
		rig = refuse_signature(NULL, "RegisterNode", dates_s[i]);
		assert_int_equal(rig->over, 0);
		assert_int_equal(rig_lines(rig, "RegisterNode failed: UNAUTHENTICATED"), 1);
		assert_int_equal(rig_lines(rig, "this machine's clock is 400 s"), hint);
		rig_pass(rig, 500);
		assert_non_null(rig_sent(rig, "RegisterNode"));
		rig_free(rig);
	}
}

static void refused_signatures_over_grpc_hint_at_clocks(void **state)
{
	struct rig *rig = rig_begin(rig_lacks_c, rig_key(), NULL);

	rig->lacks = (const char *const[]){NULL};
	rig_fail(rig, "ActivateNode", OUTCOME_UNAUTHENTICATED);
	assert_int_equal(rig->over_what, FLEET_OVER_KEY);
	assert_non_null(strstr(rig->over_sentence, "clocks differ"));
	rig_free(rig);
}

/* ---- dialects A and B ---- */

/* Released SuperLinks look at keys before methods. */
static void keys_may_be_looked_at_before_methods(void **state)
{
	for (int b = 0; b < 2; b++)
		for (int operators = 0; operators < 2; operators++) {
			struct auth *key = operators ? rig_key() : NULL;
			struct rig *rig = rig_new_with(NULL, key, NULL);

			rig->lacks = b ? rig_lacks_b : rig_lacks_a;
			rig->keys_first = true;
			fleet_start(rig->fleet);
			rig_pass(rig, 0);
			rig_answer_node(rig, RIG_NODE_ID);
			assert_int_equal(rig->registered, 0);
			assert_non_null(rig_sent(rig, b ? "SendNodeHeartbeat" : "Ping"));
			rig_answer_ping(rig, true);
			assert_int_equal(rig->registered, 1);
			assert_string_equal(fleet_speaks(rig->fleet),
				b ? "Flower-1.20-to-1.22" : "Flower-1.15-to-1.18");
			assert_int_equal(rig_warnings(rig), 0);
			assert_int_equal(rig->sent, 2);
			rig_free(rig);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_node_registers_a_key_of_its_own),
		cmocka_unit_test(an_operators_key_is_activated),
		cmocka_unit_test(an_operators_key_that_nobody_knows_ends_the_node),
		cmocka_unit_test(an_outage_between_refusals_starts_their_time_anew),
		cmocka_unit_test(a_refused_key_of_its_own_is_final_or_replaced),
		cmocka_unit_test(refused_signatures_hint_at_clocks_that_differ),
		cmocka_unit_test(refused_signatures_over_grpc_hint_at_clocks),
		cmocka_unit_test(keys_may_be_looked_at_before_methods),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
