#include "expect.h"

#include <flwr/clientapp.h>

/* Answers with all that it was given. */
static int looks(struct flwr_call *call)
{
	const struct flwr_context *context = call->context;
	struct flwr_record *metrics = flwr_dict_add(call->reply, "metrics", FLWR_METRICS);
	struct flwr_record *mine = flwr_dict_add(context->state, "mine", FLWR_CONFIGS);
	int64_t calls = 0;

	if (flwr_get_int(mine, "calls", &calls) < 0)
		return FLWR_FAILED;
	flwr_set_int(mine, "calls", calls + 1);
	flwr_set_int(metrics, "calls", calls + 1);
	flwr_set_int(metrics, "content", (int64_t)flwr_dict_count(call->content));
	assert_string_equal(call->message->type, "train");
	assert_true(call->message->id[0] && call->message->group_id[0]);
	assert_true(call->message->ttl > 0 && call->message->created_at > 1.6e9);
	assert_true(context->run_id && context->node_id);
	assert_int_equal(flwr_record_count(context->run_config), 0);
	flwr_record_copy(flwr_dict_add(call->reply, "config", FLWR_CONFIGS), context->node_config);
	flwr_set_int(flwr_dict_add(call->content, "config", FLWR_CONFIGS), "mine", 1);
	flwr_log(call->context, FLWR_LOG_ERROR, "to nobody");
	flwr_progress(call->context, 0.5, NULL);
	assert_false(flwr_stopping(call->context));
	return 0;
}

static int fails_after_writing(struct flwr_call *call)
{
	flwr_dict_add(call->reply, "metrics", FLWR_METRICS);
	flwr_set_int(flwr_dict_add(call->context->state, "mine", FLWR_CONFIGS), "calls", 1000);
	return flwr_fail("not today");
}

static const struct flwr_handler handlers[] = {
	{"train", looks, NULL}, {"evaluate", fails_after_writing, NULL}, {0}};
static const struct flwr_clientapp app = {sizeof app, FLWR_VERSION, handlers, NULL};

struct rig {
	struct flwr_dict *content, *state, *reply;
};

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof *rig);

	assert_non_null(rig);
	rig->content = flwr_dict_new();
	rig->state = flwr_dict_new();
	rig->reply = flwr_dict_new();
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	flwr_dict_free(rig->content);
	flwr_dict_free(rig->state);
	flwr_dict_free(rig->reply);
	free(rig);
	return 0;
}

static int64_t metric(const struct rig *rig, const char *key)
{
	int64_t value = -1;

	assert_int_equal(flwr_get_int(flwr_dict_get(rig->reply, "metrics"), key, &value), 0);
	return value;
}

static void state_stays_from_call_to_call(void **state)
{
	struct rig *rig = *state;

	flwr_dict_add(rig->content, "config", FLWR_CONFIGS);
	flwr_dict_add(rig->reply, "of before", FLWR_ARRAYS);
	for (int i = 1; i <= 3; i++) {
		assert_int_equal(flwr_clientapp_call(
					 &app, "train", rig->content, NULL, rig->state, rig->reply),
			0);
		assert_int_equal(metric(rig, "calls"), i);
		assert_int_equal(metric(rig, "content"), 1);
	}
	assert_int_equal(flwr_dict_count(rig->reply), 2);
	assert_int_equal(
		flwr_record_count(flwr_dict_get(rig->content, "config")), 0); /* a copy was given */
	assert_int_equal(flwr_clientapp_call(&app, "train", NULL, NULL, NULL, rig->reply), 0);
	assert_int_equal(metric(rig, "calls"), 1);
	assert_int_equal(metric(rig, "content"), 0);
}

static void failing_calls_change_nothing(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(flwr_clientapp_call(&app, "train", NULL, NULL, rig->state, rig->reply), 0);
	assert_fails(flwr_clientapp_call(&app, "evaluate", NULL, NULL, rig->state, rig->reply),
		FLWR_E_APP, "not today");
	assert_int_equal(flwr_dict_count(rig->reply), 0);
	assert_int_equal(flwr_clientapp_call(&app, "train", NULL, NULL, rig->state, rig->reply), 0);
	assert_int_equal(metric(rig, "calls"), 2);
}

static void node_config_is_read(void **state)
{
	struct rig *rig = *state;
	const struct flwr_record *config;
	const char *text = NULL;
	int64_t number = 0;
	double fraction = 0;
	bool on = false;

	assert_int_equal(
		flwr_clientapp_call(&app, "train", NULL,
			"  partition-id=-3 rate=0.25 name='a b'  other=\"c'd\" on=true off=false none='' ",
			NULL, rig->reply),
		0);
	config = flwr_dict_get(rig->reply, "config");
	assert_int_equal(flwr_record_count(config), 7);
	assert_succeeds(flwr_get_int(config, "partition-id", &number));
	assert_succeeds(flwr_get_double(config, "rate", &fraction));
	assert_succeeds(flwr_get_bool(config, "on", &on));
	assert_true(number == -3 && fraction == 0.25 && on);
	assert_succeeds(flwr_get_bool(config, "off", &on));
	assert_false(on);
	assert_succeeds(flwr_get_string(config, "name", &text));
	assert_string_equal(text, "a b");
	assert_succeeds(flwr_get_string(config, "other", &text));
	assert_string_equal(text, "c'd");
	assert_succeeds(flwr_get_string(config, "none", &text));
	assert_string_equal(text, "");
}

static void wrong_calls_are_refused(void **state)
{
	struct rig *rig = *state;
	const struct flwr_clientapp old = {sizeof old, 20000, handlers, NULL};
	static const struct {
		const char *node_config, *sentence;
	} rows[] = {
		{"partition-id", "\"partition-id\" does not begin with key=value"},
		{"a=1 b", "\"b\" does not begin with key=value"},
		{"=1", "\"=1\" does not begin with key=value"},
		{"a=b", "a=b: the value is no number"},
		{"a='b", "a='b: the value is no number"},
		{"a='b'c", "a='b'c: the value is no number"},
		{"a=", "a=: the value is no number"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_fails(flwr_clientapp_call(
				     &app, "train", NULL, rows[i].node_config, NULL, rig->reply),
			FLWR_E_ARGUMENT, rows[i].sentence);
	assert_fails(flwr_clientapp_call(&old, "train", NULL, NULL, NULL, rig->reply),
		FLWR_E_VERSION, "2.0, this is 0.1");
	assert_fails(flwr_clientapp_call(NULL, "train", NULL, NULL, NULL, rig->reply),
		FLWR_E_ARGUMENT, "the ClientApp is NULL");
	assert_fails(flwr_clientapp_call(&app, NULL, NULL, NULL, NULL, rig->reply), FLWR_E_ARGUMENT,
		"type of the message is NULL");
	assert_fails(flwr_clientapp_call(&app, "train", NULL, NULL, NULL, NULL), FLWR_E_ARGUMENT,
		"the flwr_dict is NULL");
	assert_fails(flwr_clientapp_call(&app, "train", rig->reply, NULL, NULL, rig->reply),
		FLWR_E_ARGUMENT, "the reply is the content");
	assert_fails(flwr_clientapp_call(&app, "train", NULL, NULL, rig->reply, rig->reply),
		FLWR_E_ARGUMENT, "or the state");
	assert_fails(flwr_clientapp_call(&app, "query", NULL, NULL, NULL, rig->reply), FLWR_E_APP,
		"No query function registered");
	flwr_set_int(flwr_dict_add(rig->content, "a", FLWR_ARRAYS), "i", 1);
	assert_fails(flwr_clientapp_call(&app, "train", rig->content, NULL, NULL, rig->reply),
		FLWR_E_ARGUMENT, "a holds arrays, not values");
	assert_fails(flwr_clientapp_call(&app, "train", NULL, NULL, rig->content, rig->reply),
		FLWR_E_ARGUMENT, "a holds arrays, not values");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(state_stays_from_call_to_call, setup, teardown),
		cmocka_unit_test_setup_teardown(failing_calls_change_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(node_config_is_read, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_calls_are_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
