#include "rig.h"

#include "common/message/fleet_codec.h"

#define SUPERLINK "SuperLink superlink.test:9092: "

/* ---- dialect C ---- */

static void test_a_key_of_its_own(void **state)
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

static void test_an_operators_key_is_activated(void **state)
{
	struct rig *rig = rig_begin(rig_lacks_c, rig_key(), NULL);

	assert_null(rig_sent(rig, "RegisterNode"));
	/* Its last node still counts as online: for half a minute. */
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

static void test_an_operators_key_that_nobody_knows(void **state)
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
static void test_a_refused_activation_and_an_outage(void **state)
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

static void test_a_key_of_its_own_is_not_taken(void **state)
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
	assert_int_equal(rig->over_what, FLEET_OVER_LOST);
	assert_non_null(strstr(rig->over_sentence, "refused RegisterNode: INVALID_ARGUMENT"));
	rig_free(rig);
}

static void test_signatures_that_are_not_accepted(void **state)
{
	static const double dates_s[] = {0, 1, 400, -400};

	for (size_t i = 0; i < ARRAY_LEN(dates_s); i++) {
		struct rig *rig = rig_new_with(NULL, rig_key(), NULL);
		bool hint = dates_s[i] > 300 || dates_s[i] < -4;

		/* Only HTTP tells a date. */
		rig->found = PROBE_HTTP;
		rig->lacks = rig_lacks_c;
		fleet_start(rig->fleet);
		rig_pass(rig, 0);
		rig->date_s = dates_s[i] == 0 ? 0 : clock_wall_s() + dates_s[i];
		rig_fail(rig, "ActivateNode", OUTCOME_UNAUTHENTICATED);
		assert_int_equal(rig->over, 1);
		assert_int_equal(rig->over_what, FLEET_OVER_KEY);
		assert_int_equal(
			strstr(rig->over_sentence, "this machine's clock is 400 s") != NULL, hint);
		rig_free(rig);

		/* A key of its own may be a bad one; a clock may be set right. */
		rig = rig_new(NULL);
		rig->found = PROBE_HTTP;
		rig->lacks = rig_lacks_c;
		fleet_start(rig->fleet);
		rig_pass(rig, 0);
		rig->date_s = dates_s[i] == 0 ? 0 : clock_wall_s() + dates_s[i];
		rig_fail(rig, "RegisterNode", OUTCOME_UNAUTHENTICATED);
		assert_int_equal(rig->over, 0);
		assert_int_equal(rig_lines(rig, "RegisterNode failed: UNAUTHENTICATED"), 1);
		assert_int_equal(rig_lines(rig, "this machine's clock is 400 s"), hint);
		rig_pass(rig, 500);
		assert_non_null(rig_sent(rig, "RegisterNode"));
		rig_free(rig);
	}
}

static void test_signatures_over_grpc(void **state)
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
static void test_keys_before_methods(void **state)
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

	/* One that forgets what it has just made is not asked as fast as we can. */
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

/* It is told once, and tried again, from finding out on: with another key if that is its own. */
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
	enum fleet_over what = key ? FLEET_OVER_KEY : FLEET_OVER_LOST;

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
	if (what == FLEET_OVER_LOST)
		assert_non_null(strstr(rig->over_sentence, method));
	assert_int_equal(rig_warnings(rig), 0);
	assert_null(rig->out);
}

/* What follows when RegisterNode, or else ActivateNode, ends so. */
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
			rig_lines(rig, "SuperLink x answers with TLS: leave out --insecure; "
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

static const char *const lacks_all[] = {
	"RegisterNode", "ActivateNode", "CreateNode", "SendNodeHeartbeat", NULL};

static void test_no_fleet_api_listens(void **state)
{
	for (int http = 0; http < 2; http++) {
		struct rig *rig = rig_new(NULL);

		rig->lacks = lacks_all;
		rig->found = http ? PROBE_HTTP : PROBE_GRPC;
		fleet_start(rig->fleet);
		rig_pass(rig, 0);
		assert_int_equal(rig->over, 0);
		assert_int_equal(rig_lines(rig, "is no SuperLink"), 1);
		rig_free(rig);
	}
}

static void test_a_node_that_was_up_does_not_give_up(void **state)
{
	for (int how = 0; how < 2; how++) {
		struct rig *rig = rig_begin(rig_lacks_c, NULL, NULL);

		rig_answer_node(rig, RIG_NODE_ID);
		rig_answer_node(rig, RIG_NODE_ID);
		rig_pass(rig, JOIN_STABLE_MS);
		rig_answer_ping(rig, false);
		assert_int_equal(rig->lost, 1);
		if (how == 0)
			rig->found = PROBE_WRONG;
		else
			rig->lacks = lacks_all;
		rig_pass(rig, 30000);
		assert_int_equal(rig->over, 0);
		assert_in_range(rig->probes, 4, 10);
		rig->found = PROBE_GRPC;
		rig->lacks = rig_lacks_c;
		rig_pass(rig, 20000);
		rig_answer_node(rig, RIG_NODE_ID + 1);
		rig_answer_node(rig, RIG_NODE_ID + 1);
		assert_int_equal(rig->registered, 2);
		assert_int_equal(rig_lines(rig, "works again"), 1);
		rig_free(rig);
	}
}

/* It is taken again when the SuperLink has its keys back. */
static void test_a_superlink_that_has_lost_its_keys(void **state)
{
	struct rig *rig = rig_begin(rig_lacks_c, rig_key(), NULL);

	rig_answer_node(rig, RIG_NODE_ID);
	assert_int_equal(rig->registered, 1);
	rig_pass(rig, JOIN_STABLE_MS);
	rig_fail(rig, "SendNodeHeartbeat", OUTCOME_UNAUTHENTICATED);
	for (int minute = 0; minute < 10; minute++) {
		rig_pass(rig, 70000);
		assert_non_null(rig_sent(rig, "ActivateNode"));
		rig_fail(rig, "ActivateNode", OUTCOME_UNAUTHENTICATED);
		rig_pass(rig, 0);
		assert_null(rig_sent(rig, "ActivateNode"));
	}
	assert_int_equal(rig->over, 0);
	assert_int_equal(rig_lines(rig, "trying again each minute"), 1);
	rig_pass(rig, 70000);
	rig_answer_node(rig, RIG_NODE_ID);
	assert_int_equal(rig->registered, 2);
	rig_free(rig);
}

static void test_replaced_by_one_that_speaks_http(void **state)
{
	struct rig *rig = rig_begin(rig_lacks_a, NULL, NULL);

	rig_answer_node(rig, RIG_NODE_ID);
	rig_pass(rig, 0);
	rig_answer_ping(rig, true);
	assert_int_equal(fleet_get_run(rig->fleet, 7, rig_run_done, rig), 0);
	rig_pass(rig, JOIN_STABLE_MS);
	assert_non_null(rig_sent(rig, "GetRun"));
	rig_pass(rig, 10000);
	/* The same is still there, or nobody yet. */
	rig_fail(rig, "Ping", OUTCOME_UNAVAILABLE);
	assert_int_equal(rig->probes, 2);
	rig->found = PROBE_ABSENT;
	rig_pass(rig, 1000);
	rig_fail(rig, "Ping", OUTCOME_UNAVAILABLE);
	assert_int_equal(rig->probes, 3);
	assert_int_equal(rig->lost, 0);
	/* Another one. */
	rig->found = PROBE_HTTP;
	rig_pass(rig, 2000);
	rig->lacks = rig_lacks_c;
	rig_fail(rig, "Ping", OUTCOME_UNAVAILABLE);
	assert_int_equal(rig->probes, 4);
	/* It is spoken to at once, but does not know the node: its heartbeat is answered so. */
	assert_int_equal(rig->opened, 2);
	assert_int_equal(rig->lost, 1);
	assert_int_equal(rig->ends, 0);
	/* The old transport is not let go of before its calls have ended. */
	assert_int_equal(rig->freed, 0);
	rig_answer_cancelled(rig);
	assert_int_equal(rig->outcome, OUTCOME_CANCELLED);
	rig_pass(rig, 500);
	assert_int_equal(rig->freed, 1);
	rig_answer_node(rig, RIG_NODE_ID + 1);
	rig_answer_node(rig, RIG_NODE_ID + 1);
	assert_int_equal(rig->registered, 2);
	assert_int_equal(rig_lines(rig, "has been replaced by one that speaks HTTP"), 1);
	rig_free(rig);
}

/* It has kept its data. */
static void test_replaced_by_one_that_knows_the_node(void **state)
{
	struct rig *rig = rig_begin(rig_lacks_c, NULL, NULL);

	rig_answer_node(rig, RIG_NODE_ID);
	rig_answer_node(rig, RIG_NODE_ID);
	rig_pass(rig, 0);
	rig_answer_ping(rig, true);
	assert_int_equal(fleet_get_run(rig->fleet, 7, rig_run_done, rig), 0);
	rig_pass(rig, 25000);
	rig->found = PROBE_HTTP;
	rig_fail(rig, "SendNodeHeartbeat", OUTCOME_UNAVAILABLE);
	rig_answer_cancelled(rig);
	rig_pass(rig, 0);
	rig_answer_ping(rig, true);
	assert_int_equal(rig->lost, 0);
	assert_int_equal(rig->registered, 1);
	assert_int_equal(rig->freed, 1);
	rig_pass(rig, 20000);
	assert_non_null(rig_sent(rig, "GetRun"));
	rig_free(rig);
}

static void test_replaced_by_one_of_another_release(void **state)
{
	struct rig *rig = rig_begin(rig_lacks_c, NULL, NULL);

	rig_answer_node(rig, RIG_NODE_ID);
	rig_answer_node(rig, RIG_NODE_ID);
	rig_pass(rig, JOIN_STABLE_MS);
	rig->lacks = rig_lacks_a;
	rig_pass(rig, 0);
	assert_int_equal(rig->lost, 1);
	rig_pass(rig, 500);
	rig_answer_node(rig, RIG_NODE_ID + 1);
	assert_int_equal(rig->registered, 2);
	assert_string_equal(fleet_speaks(rig->fleet), "Flower-1.15-to-1.18");
	rig_free(rig);
}

/* A node of the last try is none of the next one's. */
static void test_replaced_half_way(void **state)
{
	struct rig *rig = rig_begin(rig_lacks_c, NULL, NULL);

	rig_answer_node(rig, RIG_NODE_ID);
	rig_fail(rig, "ActivateNode", OUTCOME_UNAVAILABLE);
	rig->lacks = rig_lacks_b;
	rig_pass(rig, 500);
	assert_non_null(rig_sent(rig, "CreateNode"));
	rig_answer_node(rig, RIG_NODE_ID + 1);
	rig_answer_ping(rig, true);
	assert_int_equal(rig->node_id, RIG_NODE_ID + 1);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_key_of_its_own),
		cmocka_unit_test(test_an_operators_key_is_activated),
		cmocka_unit_test(test_an_operators_key_that_nobody_knows),
		cmocka_unit_test(test_a_refused_activation_and_an_outage),
		cmocka_unit_test(test_a_key_of_its_own_is_not_taken),
		cmocka_unit_test(test_signatures_that_are_not_accepted),
		cmocka_unit_test(test_signatures_over_grpc),
		cmocka_unit_test(test_keys_before_methods),
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
		cmocka_unit_test(test_a_node_that_was_up_does_not_give_up),
		cmocka_unit_test(test_a_superlink_that_has_lost_its_keys),
		cmocka_unit_test(test_replaced_by_one_that_speaks_http),
		cmocka_unit_test(test_replaced_by_one_that_knows_the_node),
		cmocka_unit_test(test_replaced_by_one_of_another_release),
		cmocka_unit_test(test_replaced_half_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
