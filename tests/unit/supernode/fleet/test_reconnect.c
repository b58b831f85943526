#include "common/records/maps_codec.h"
#include "rig.h"

/* Content with one config record; value NULL: none in it. */
static struct slices content(const char *record, const char *key, struct value *value)
{
	auto_(record_dict_done) struct record_dict dict = {0};
	struct record *config = record_dict_add(&dict, record, RECORD_CONFIGS);
	struct slices bytes = {0};

	assert_non_null(config);
	if (value)
		assert_int_equal(value_map_set(&config->values, key, value), 0);
	assert_int_equal(maps_encode(&dict, &bytes), 0);
	return bytes;
}

static int64_t pushed_reason(struct rig *rig)
{
	auto_(envelope_done) struct envelope reply = {0};
	auto_(record_dict_done) struct record_dict dict = {0};
	const struct value *value;
	struct reason why = {0};

	rig_pushed(rig, &reply);
	assert_true(reply.has_content);
	assert_int_equal(reply.metadata.run_id, 7);
	assert_int_equal(reply.metadata.dst_node_id, 1);
	assert_int_equal(reply.metadata.src_node_id, RIG_NODE_ID);
	assert_string_equal(reply.metadata.reply_to_message_id, "message-1");
	assert_string_equal(reply.metadata.message_type, "reconnect");
	assert_int_equal(maps_decode(&reply.content, &dict, &why), 0);
	assert_int_equal(dict.n, 1);
	assert_string_equal(dict.v[0].name, "config");
	value = value_map_get(&dict.v[0].values, "reason");
	assert_non_null(value);
	assert_int_equal(value->kind, VALUE_SINT);
	return value->i;
}

static struct rig *told(struct slices *order)
{
	struct rig *rig = rig_new(NULL);

	rig_register(rig);
	rig_answer_pull(rig, "reconnect", order);
	slices_done(order);
	assert_int_equal(rig->messages, 0);
	rig_pass(rig, 0);
	assert_null(rig_sent(rig, "PullMessages"));
	return rig;
}

static void comes_back(struct value *value)
{
	struct slices order = content("config", "seconds", value);
	struct rig *rig = told(&order);

	assert_int_equal(pushed_reason(rig), 1);
	rig_answer_push(rig, "3c2e");
	assert_int_equal(rig->lost, 1);
	assert_int_equal(rig->over, 0);
	rig_pass(rig, 0);
	rig_answer(rig, rig_sent(rig, "DeleteNode"), OUTCOME_OK, "", NULL);
	rig_pass(rig, 19999);
	assert_null(rig->out);
	rig_pass(rig, 1);
	rig_answer_node(rig, RIG_NODE_ID + 1);
	assert_int_equal(rig->registered, 2);
	assert_int_equal(rig->node_id, RIG_NODE_ID + 1);
	assert_int_equal(rig_warnings(rig), 0);
	rig_free(rig);
}

static void a_node_goes_away_and_comes_back(void **state)
{
	struct value sint = {.kind = VALUE_SINT, .i = 20};
	struct value uint = {.kind = VALUE_UINT, .u = 20};

	comes_back(&sint);
	comes_back(&uint);
}

static void an_order_without_time_ends_or_is_acknowledged(void **state)
{
	struct value zero = {.kind = VALUE_SINT, .i = 0};
	struct slices order = content("config", "seconds", &zero);
	struct rig *rig = told(&order);

	assert_int_equal(pushed_reason(rig), 1);
	rig_answer_push(rig, "3c2e");
	assert_int_equal(rig->over, 1);
	assert_int_equal(rig->over_what, FLEET_OVER_TOLD);
	fleet_stop(rig->fleet, rig_stopped, rig);
	rig_pass(rig, 0);
	assert_non_null(rig_sent(rig, "DeleteNode"));
	rig_free(rig);

	/* Without any seconds it is only acknowledged. */
	order = content("config", NULL, NULL);
	rig = told(&order);
	assert_int_equal(pushed_reason(rig), 4);
	/* Also when the SuperLink does not want the answer. */
	rig_answer(rig, rig_sent(rig, "PushMessages"), OUTCOME_PERMISSION_DENIED,
		"Run is finished.", NULL);
	assert_int_equal(rig->over, 1);
	assert_int_equal(rig->over_what, FLEET_OVER_TOLD);
	rig_free(rig);
}

/* The content of an answer counts although it tells the program to end, which is told once. */
static void an_answer_that_tells_the_node_to_end_counts_first(void **state)
{
	struct rig *rig = rig_new(NULL);

	rig_register(rig);
	rig->told_to_end = true;
	rig_answer_pull(rig, "train", NULL);
	assert_int_equal(rig->messages, 1);
	assert_int_equal(rig->told, 1);
	assert_int_equal(rig->over, 0);
	rig_pass(rig, 30000);
	rig->told_to_end = true;
	rig_answer_ping(rig, true);
	assert_int_equal(rig->told, 1);
	rig_free(rig);
}

static void refused(struct slices *order)
{
	struct rig *rig = rig_new(NULL);
	auto_(envelope_done) struct envelope reply = {0};

	rig_register(rig);
	rig_answer_pull(rig, "reconnect", order);
	if (order)
		slices_done(order);
	rig_pass(rig, 0);
	rig_pushed(rig, &reply);
	assert_true(reply.has_error);
	assert_int_equal(reply.error_code, ERROR_CODE_UNKNOWN);
	assert_non_null(strstr(reply.error_reason, "Malformed reconnect message"));
	assert_int_equal(rig_lines(rig, "a malformed reconnect message was refused"), 1);
	rig_answer_push(rig, "3c2e");
	/* The node works as before. */
	assert_int_equal(rig->lost + rig->over, 0);
	rig_pass(rig, 0);
	assert_non_null(rig_sent(rig, "PullMessages"));
	rig_free(rig);
}

static void malformed_orders_are_refused(void **state)
{
	struct value negative = {.kind = VALUE_SINT, .i = -1};
	struct value huge = {.kind = VALUE_UINT, .u = UINT64_MAX};
	struct value many = {.kind = VALUE_SINT, .i = INT64_MAX};
	struct value half = {.kind = VALUE_DOUBLE, .d = 0.5};
	struct slices order = content("config", "seconds", &negative);

	refused(&order);
	order = content("config", "seconds", &huge);
	refused(&order);
	order = content("config", "seconds", &many);
	refused(&order);
	order = content("config", "seconds", &half);
	refused(&order);
	order = content("configuration", "seconds", NULL);
	refused(&order);
	/* Configs that are cut off. */
	assert_int_equal(slices_append_copy(&order, "\x1a\x05zz", 4), 0);
	refused(&order);
	refused(NULL);
}

/* The end of a refusal is not that of the acknowledgement which is out then. */
static void an_order_may_come_while_another_is_refused(void **state)
{
	struct value half = {.kind = VALUE_DOUBLE, .d = 0.5};
	struct value sint = {.kind = VALUE_SINT, .i = 20};
	struct slices malformed = content("config", "seconds", &half);
	struct slices order = content("config", "seconds", &sint);
	struct rig *rig = rig_new(NULL);

	rig_register(rig);
	rig_answer_pull(rig, "reconnect", &malformed);
	rig_pass(rig, 100);
	rig_answer_pull(rig, "reconnect", &order);
	rig_pass(rig, 0);
	rig_answer_push(rig, "3c2e");
	rig_pass(rig, 0);
	assert_int_equal(rig->lost, 0);
	assert_int_equal(pushed_reason(rig), 1);
	rig_answer_push(rig, "3c2e");
	assert_int_equal(rig->lost, 1);
	slices_done(&malformed);
	slices_done(&order);
	rig_free(rig);
}

static void a_node_may_be_forgotten_while_it_acknowledges(void **state)
{
	struct value sint = {.kind = VALUE_SINT, .i = 20};
	struct slices order = content("config", "seconds", &sint);
	struct rig *rig = told(&order);

	rig_pass(rig, JOIN_STABLE_MS);
	rig_answer(rig, rig_sent(rig, "PushMessages"), OUTCOME_UNAUTHENTICATED, "Invalid node ID",
		NULL);
	assert_int_equal(rig->lost, 1);
	rig_pass(rig, 0);
	assert_non_null(rig_sent(rig, "CreateNode"));
	rig_answer_node(rig, RIG_NODE_ID + 1);
	rig_pass(rig, 0);
	assert_non_null(rig_sent(rig, "PullMessages"));
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_node_goes_away_and_comes_back),
		cmocka_unit_test(an_order_without_time_ends_or_is_acknowledged),
		cmocka_unit_test(an_answer_that_tells_the_node_to_end_counts_first),
		cmocka_unit_test(malformed_orders_are_refused),
		cmocka_unit_test(an_order_may_come_while_another_is_refused),
		cmocka_unit_test(a_node_may_be_forgotten_while_it_acknowledges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
