#include "rig.h"

#define SUPERLINK "SuperLink superlink.test:9092: "

/* UNKNOWN may also be a SuperLink in trouble. */
static void test_neither_heartbeat_is_answered(void **state)
{
	struct rig *rig = rig_begin(rig_lacks_b, NULL, NULL);

	rig->lacks = (const char *const[]){NULL};
	rig_answer_node(rig, RIG_NODE_ID);
	rig_fail(rig, "SendNodeHeartbeat", OUTCOME_UNKNOWN);
	rig_fail(rig, "Ping", OUTCOME_UNKNOWN);
	assert_int_equal(rig->registered + rig->over, 0);
	assert_int_equal(rig_lines(rig, "Ping failed: UNKNOWN"), 1);
	rig->lacks = rig_lacks_b;
	rig_pass(rig, 500);
	rig_answer_node(rig, RIG_NODE_ID);
	rig_answer_ping(rig, true);
	assert_int_equal(rig->registered, 1);
	rig_free(rig);
}

static void test_dialect_b(void **state)
{
	struct rig *rig = rig_begin(rig_lacks_b, NULL, NULL);

	rig_answer_node(rig, RIG_NODE_ID);
	assert_int_equal(rig->registered, 0);
	assert_non_null(rig_sent(rig, "SendNodeHeartbeat"));
	rig_answer_ping(rig, true);
	assert_int_equal(rig->registered, 1);
	assert_string_equal(fleet_speaks(rig->fleet), "Flower-1.20-to-1.22");
	rig_pass(rig, 0);
	assert_non_null(rig_sent(rig, "SendNodeHeartbeat"));
	rig_free(rig);

	/* A SuperLink that forgets a new node at once is asked less and less often. */
	rig = rig_begin(rig_lacks_b, NULL, NULL);
	for (int i = 0; i < 100; i++) {
		if (rig_sent(rig, "CreateNode"))
			rig_answer_node(rig, RIG_NODE_ID);
		if (rig_sent(rig, "SendNodeHeartbeat"))
			rig_answer_ping(rig, false);
		rig_pass(rig, 100);
	}
	assert_in_range(rig->probes, 3, 8);
	assert_int_equal(rig->registered, 0);
	rig_free(rig);
}

/* ---- who this node is, as SuperLinks to 1.22 see it ---- */

static const char *const lacks_nothing[] = {NULL};

static void fail_as(struct rig *rig, const char *method, enum outcome outcome, const char *details)
{
	rig_answer(rig, rig_sent(rig, method), outcome, details, NULL);
	rig_pass(rig, 0);
}

/* Other failures do not say that the method is not there. */
static void test_another_reason(void **state)
{
	for (int unknown = 0; unknown < 2; unknown++) {
		struct rig *rig = rig_begin(lacks_nothing, NULL, NULL);

		fail_as(rig, "RegisterNode", unknown ? OUTCOME_UNKNOWN : OUTCOME_UNAUTHENTICATED,
			unknown ? "Exception calling application: " : "Invalid timestamp");
		assert_null(rig_sent(rig, "CreateNode"));
		assert_int_equal(rig_lines(rig, "RegisterNode failed: "), 1);
		assert_int_equal(rig_lines(rig, "this machine's clock and the SuperLink's differ"),
			!unknown);
		rig_free(rig);
	}
}

/* The log tells a failure once. The node tries again from the look-up on, with another key if
 * the key is its own. */
static void check_again(
	struct rig *rig, const char *method, bool operators, enum outcome outcome, const char *pem)
{
	bool refused = operators && outcome == OUTCOME_FAILED_PRECONDITION;
	struct rig_call *handle = rig_sent(rig, operators ? method : "RegisterNode");

	assert_int_equal(rig->over, 0);
	assert_int_equal(rig_warnings(rig), 1);
	assert_int_equal(rig_lines(rig, method) > 0, !refused);
	assert_int_equal(rig_lines(rig, outcome_name(outcome)), 1);
	assert_int_equal(rig->probes, refused ? 1 : 2);
	assert_non_null(handle);
	assert_int_equal(strcmp(handle->pem, pem) == 0, operators);
	rig_answer_node(rig, RIG_NODE_ID);
	if (!operators)
		rig_answer_node(rig, RIG_NODE_ID);
	assert_int_equal(rig->registered, 1);
}

static void check_end(struct rig *rig, const char *method, enum outcome outcome)
{
	bool key = outcome == OUTCOME_UNAUTHENTICATED || outcome == OUTCOME_FAILED_PRECONDITION;
	enum fleet_over what = key ? FLEET_OVER_KEY : FLEET_OVER_REFUSED;

	if (outcome == OUTCOME_UNIMPLEMENTED) { /* something else may be there by and by */
		assert_int_equal(rig->over, 0);
		assert_int_equal(rig_lines(rig, "trying again each minute"), 1);
		assert_null(rig->out);
		return;
	}
	assert_int_equal(rig->over, 1);
	assert_int_equal(rig->over_what, what);
	assert_non_null(strstr(rig->over_sentence, "superlink.test:9092"));
	assert_non_null(strstr(rig->over_sentence, outcome_name(outcome)));
	if (what == FLEET_OVER_REFUSED)
		assert_non_null(strstr(rig->over_sentence, method));
	assert_int_equal(rig_warnings(rig), 0);
	assert_null(rig->out);
}

/* The events that follow when RegisterNode, or else ActivateNode, ends so. */
static void check_outcome(
	enum probe_result found, const char *method, bool operators, enum outcome outcome)
{
	bool activate = strcmp(method, "ActivateNode") == 0;
	/* Another key may do; a node that said no goodbye is forgotten by and by. */
	bool again = retry_again(outcome, false) ||
		     (!operators && outcome == OUTCOME_UNAUTHENTICATED) ||
		     (activate && outcome == OUTCOME_FAILED_PRECONDITION);
	struct rig *rig = rig_new_with(NULL, operators ? rig_key() : NULL, NULL);
	auto_(free_at_exit) char *pem = NULL;

	rig->lacks = lacks_nothing;
	rig->found = found;
	fleet_start(rig->fleet);
	rig_pass(rig, 0);
	if (activate && !operators)
		rig_answer_node(rig, RIG_NODE_ID);
	pem = strdup(rig_sent(rig, method)->pem);
	assert_non_null(pem);
	rig_fail(rig, method, outcome);
	assert_int_equal(rig->registered, 0);
	rig_pass(rig, 2000);
	if (outcome == OUTCOME_UNIMPLEMENTED && found == PROBE_GRPC) {
		/* An older SuperLink. */
		assert_non_null(rig_sent(rig, "CreateNode"));
		assert_int_equal(rig->over + rig_warnings(rig), 0);
	} else if (again) {
		check_again(rig, method, operators, outcome, pem);
	} else {
		check_end(rig, method, outcome);
	}
	rig_free(rig);
}

static void test_every_outcome(void **state)
{
	static const struct {
		const char *method;
		bool operators;
	} rows[] = {{"RegisterNode", false}, {"ActivateNode", false}, {"ActivateNode", true}};

	for (enum probe_result found = PROBE_GRPC; found <= PROBE_HTTP; found++)
		for (size_t i = 0; i < ARRAY_LEN(rows); i++)
			for (int outcome = OUTCOME_OK + 1; outcome < OUTCOME_N; outcome++)
				check_outcome(found, rows[i].method, rows[i].operators,
					(enum outcome)outcome);
}

static void test_an_operators_key_at_a_list(void **state)
{
	static const struct {
		enum outcome outcome;
		const char *activate, *create, *says;
	} rows[] = {
		{OUTCOME_UNAUTHENTICATED, "Public key not recognized", "Public key not recognized",
			"takes the keys of its list only"},
		{OUTCOME_UNKNOWN, "Error in service handler!", "Public key already in use",
			"--state-dir"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct rig *rig = rig_begin(lacks_nothing, rig_key(), NULL);

		fail_as(rig, "ActivateNode", rows[i].outcome, rows[i].activate);
		fail_as(rig, "CreateNode", OUTCOME_UNAUTHENTICATED, rows[i].create);
		assert_int_equal(rig->over, 1);
		assert_int_equal(rig->over_what, FLEET_OVER_KEY);
		assert_non_null(strstr(rig->over_sentence, rows[i].says));
		assert_null(strstr(rig->over_sentence, rows[!i].says));
		rig_free(rig);
	}
}

/* No other key that it could make would be in the list. */
static void test_a_key_of_its_own_at_a_list(void **state)
{
	struct rig *rig = rig_begin(lacks_nothing, NULL, NULL);

	fail_as(rig, "RegisterNode", OUTCOME_UNAUTHENTICATED, "Public key not recognized");
	fail_as(rig, "CreateNode", OUTCOME_UNAUTHENTICATED, "Public key not recognized");
	assert_int_equal(rig->over, 1);
	assert_int_equal(rig->over_what, FLEET_OVER_KEY);
	assert_non_null(strstr(rig->over_sentence, "(--auth-supernode-private-key)"));
	rig_free(rig);
}

/* For as long as heartbeats are answered, within two intervals. */
static void test_is_online(void **state)
{
	struct rig *rig = rig_begin(rig_lacks_c, NULL, NULL);

	assert_false(fleet_is_online(rig->fleet));
	rig_answer_node(rig, RIG_NODE_ID);
	assert_false(fleet_is_online(rig->fleet));
	rig_answer_node(rig, RIG_NODE_ID);
	assert_true(fleet_is_online(rig->fleet));
	rig_pass(rig, 0);
	for (int i = 0; i < 60; i++) {
		if (rig_sent(rig, "SendNodeHeartbeat"))
			rig_fail(rig, "SendNodeHeartbeat", OUTCOME_UNAVAILABLE);
		assert_true(fleet_is_online(rig->fleet));
		rig_pass(rig, 1000);
	}
	assert_false(fleet_is_online(rig->fleet));
	assert_int_equal(rig->lost, 0);
	rig_pass(rig, 20000);
	rig_answer_ping(rig, true);
	assert_true(fleet_is_online(rig->fleet));
	rig_free(rig);
}

/* ---- what listens ---- */

static void test_nobody_listens(void **state)
{
	struct retry_policy two = {.max_retries = 2, .max_wait_ms = -1};
	struct rig *rig = rig_new(&two);

	rig->found = PROBE_ABSENT;
	rig->found_why = "nobody is there";
	fleet_start(rig->fleet);
	rig_pass(rig, 600);
	assert_int_equal(rig->probes, 2);
	assert_int_equal(
		rig_lines(rig, SUPERLINK "connecting failed: UNAVAILABLE \"nobody is "), 1);
	rig_pass(rig, 1000);
	assert_int_equal(rig->probes, 3);
	assert_int_equal(rig->over_what, FLEET_OVER_LOST);
	assert_non_null(strstr(rig->over_sentence, "3 tries of connecting: UNAVAILABLE"));
	rig_pass(rig, 60000);
	assert_int_equal(rig->probes, 3);
	assert_int_equal(rig->sent, 0);
	rig_free(rig);
}

static void test_the_wrong_one_listens(void **state)
{
	struct rig *rig = rig_new(NULL);

	rig->found = PROBE_WRONG;
	rig->found_why = "x answers with TLS: leave out --insecure";
	fleet_start(rig->fleet);
	rig_pass(rig, 0);
	/* Waited out: asked each minute, said once an hour. */
	for (int minute = 0; minute < 65; minute++) {
		assert_in_range(rig->probes, minute * 50 / 60, minute * 70 / 60 + 1);
		assert_int_equal(
			rig_lines(rig, "SuperLink: x answers with TLS: leave out --insecure; "
				       "trying again each minute"),
			minute < 60 ? 1 : 2);
		rig_pass(rig, 60000);
	}
	assert_int_equal(rig->over, 0);
	rig->found = PROBE_GRPC;
	rig->lacks = rig_lacks_c;
	rig_pass(rig, 70000);
	rig_answer_node(rig, RIG_NODE_ID);
	rig_answer_node(rig, RIG_NODE_ID);
	assert_int_equal(rig->registered, 1);
	rig_free(rig);

	/* As long as the options allow. */
	for (int how = 0; how < 2; how++) {
		rig = rig_new(&(struct retry_policy){how ? 2 : -1, how ? -1 : 90000});
		rig->found = PROBE_WRONG;
		fleet_start(rig->fleet);
		rig_pass(rig, 0);
		rig_pass(rig, 70000);
		assert_int_equal(rig->over, 0);
		rig_pass(rig, 70000);
		assert_int_equal(rig->over, 1);
		assert_int_equal(rig->over_what, FLEET_OVER_LOST);
		assert_int_equal(rig->probes, 3);
		rig_free(rig);
	}

	/* There is another address to look at. */
	rig = rig_new(NULL);
	rig->found = PROBE_WRONG;
	rig->others = 1;
	fleet_start(rig->fleet);
	rig_pass(rig, 0);
	assert_int_equal(rig->probes, 2);
	assert_int_equal(rig_lines(rig, "trying again each minute"), 1);
	rig_free(rig);
}

static void test_no_fleet_api_listens(void **state)
{
	for (int http = 0; http < 2; http++) {
		struct rig *rig = rig_new(NULL);

		rig->lacks = rig_lacks_all;
		rig->found = http ? PROBE_HTTP : PROBE_GRPC;
		fleet_start(rig->fleet);
		rig_pass(rig, 0);
		assert_int_equal(rig->over, 0);
		assert_int_equal(rig_lines(rig, "is no SuperLink"), 1);
		rig_free(rig);
	}
}

/* ---- other transports ---- */

static struct rig *begin_over(
	const char *const *lacks, const char *const *other_lacks, struct auth *operator_key)
{
	struct rig *rig = rig_new_with(NULL, operator_key, NULL);

	rig->connector.transports = rig_transports;
	rig->lacks = lacks;
	rig->other_lacks = other_lacks;
	rig->wants = false;
	fleet_start(rig->fleet);
	rig_pass(rig, 0);
	return rig;
}

/* RegisterNode, ActivateNode. */
static void join_c(struct rig *rig)
{
	rig_answer_node(rig, RIG_NODE_ID);
	rig_answer_node(rig, RIG_NODE_ID);
}

/* The first one is not what the SuperLink speaks: the next one is tried at once. */
static void test_another_transport(void **state)
{
	struct rig *rig = begin_over(rig_lacks_all, rig_lacks_c, NULL);

	assert_int_equal(rig->probes, 2);
	assert_int_equal(rig->opened, 2);
	assert_int_equal(rig->freed, 1);
	join_c(rig);
	assert_int_equal(rig->registered, 1);
	assert_string_equal(fleet_transport(rig->fleet)->name, "the other way");
	/* It stays when the node is forgotten, until the SuperLink speaks something else again. */
	rig_pass(rig, 0);
	rig_answer_ping(rig, false);
	rig_pass(rig, 2000);
	assert_int_equal(rig->opened, 2);
	join_c(rig);
	assert_int_equal(rig->registered, 2);
	rig_pass(rig, 0);
	rig_fail(rig, "SendNodeHeartbeat", OUTCOME_UNIMPLEMENTED);
	rig_pass(rig, 2000);
	rig_fail(rig, "RegisterNode", OUTCOME_UNIMPLEMENTED);
	assert_int_equal(rig->opened, 3);
	join_c(rig);
	assert_int_equal(rig->registered, 3);
	assert_string_equal(fleet_transport(rig->fleet)->name, "gRPC");
	rig_free(rig);
}

static void test_no_transport(void **state)
{
	struct rig *rig = begin_over(rig_lacks_all, NULL, NULL);

	assert_int_equal(rig->opened, 2);
	assert_int_equal(rig->registered + rig->over, 0);
	assert_int_equal(rig_lines(rig, "is no SuperLink of Flower 1.15 or later"), 1);
	/* Waited out, and then all are tried again. */
	rig->lacks = rig_lacks_c;
	rig_pass(rig, 80000);
	join_c(rig);
	assert_int_equal(rig->registered, 1);
	rig_free(rig);
}

/* An operator's key is of no use where nobody looks at keys: one line says so. */
static void test_a_key_of_no_use(void **state)
{
	struct auth *key = rig_key();
	size_t len;
	auto_(free_at_exit) char *pem = strdup(auth_public_key(key, &len));
	struct rig *rig = begin_over(rig_lacks_all, rig_lacks_c, key);

	assert_non_null(rig_sent(rig, "RegisterNode"));
	assert_string_not_equal(rig_sent(rig, "RegisterNode")->pem, pem);
	join_c(rig);
	assert_int_equal(rig->registered, 1);
	assert_int_equal(rig_lines(rig, "over which nodes have no keys"), 1);
	rig_pass(rig, 0);
	rig_answer_ping(rig, false);
	rig_pass(rig, 500);
	join_c(rig);
	assert_int_equal(rig->registered, 2);
	assert_int_equal(rig_lines(rig, "over which nodes have no keys"), 1);
	rig_free(rig);
}

/* An answer may tell the program to end, whatever the call. */
static void test_told_to_end(void **state)
{
	for (int joined = 0; joined < 2; joined++) {
		struct rig *rig = rig_begin(rig_lacks_c, NULL, NULL);

		if (joined) {
			join_c(rig);
			rig_pass(rig, 0);
		}
		rig->told_to_end = true;
		rig_fail(rig, joined ? "SendNodeHeartbeat" : "RegisterNode", OUTCOME_UNKNOWN);
		assert_int_equal(rig->told, 1);
		assert_int_equal(rig->over, 0);
		assert_int_equal(rig_lines(rig, "told this program to end"), 1);
		rig_free(rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_neither_heartbeat_is_answered),
		cmocka_unit_test(test_dialect_b),
		cmocka_unit_test(test_another_reason),
		cmocka_unit_test(test_every_outcome),
		cmocka_unit_test(test_an_operators_key_at_a_list),
		cmocka_unit_test(test_a_key_of_its_own_at_a_list),
		cmocka_unit_test(test_is_online),
		cmocka_unit_test(test_nobody_listens),
		cmocka_unit_test(test_the_wrong_one_listens),
		cmocka_unit_test(test_no_fleet_api_listens),
		cmocka_unit_test(test_another_transport),
		cmocka_unit_test(test_no_transport),
		cmocka_unit_test(test_a_key_of_no_use),
		cmocka_unit_test(test_told_to_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
