/*
 * A session over the legacy stream, which stand-ins play: instructions become tasks, answers become
 * replies; state, losses, failures, ends. The test is both threads.
 */
#include "common/base/cleanup.h"
#include "kit/session.h"
#include "supernode/link/bidi.h"

#include <flwr/flwr.h>

/* ---- the stream ---- */

static struct {
	struct bidi_options options;
	bool made, freed, left;
	int refuse;        /* what bidi_reply() returns */
	struct slices got; /* by it */
	unsigned replies;
} world;

int bidi_new(const struct bidi_options *options, struct bidi **out)
{
	if (strcmp(options->address, "nowhere") == 0)
		return -EINVAL;
	world.options = *options;
	world.made = true;
	*out = (struct bidi *)&world;
	return 0;
}

int bidi_reply(struct bidi *bidi, struct slices *message)
{
	assert_false(world.freed);
	slices_done(&world.got);
	world.got = slices_take(message);
	world.replies += world.refuse == 0;
	return world.refuse;
}

void bidi_leave(struct bidi *bidi)
{
	assert_false(world.freed);
	world.left = true;
}

void bidi_free(struct bidi *bidi)
{
	if (!bidi)
		return;
	assert_false(world.freed);
	world.freed = true;
}

/* ---- the session's owner ---- */

static struct kit_session rig;

static int setup(void **state)
{
	struct reason why = {0};

	memset(&world, 0, sizeof world);
	kit_session_init(&rig, "localhost:8080");
	rig.settings.retry.max_retries = 7;
	return kit_session_open(&rig, session_bidi_new, &why);
}

static int teardown(void **state)
{
	rig.session->ops->abandon(rig.session);
	assert_true(rig.gone);
	assert_true(world.freed);
	assert_int_equal(rig.node_id, 0);
	slices_done(&world.got);
	kit_session_done(&rig);
	return 0;
}

/* ---- messages ---- */

/* An instruction without anything in it: its field's number in ServerMessage tells which. */
static void instruct(unsigned field)
{
	const uint8_t bytes[] = {(uint8_t)(field << 3 | 2), 0};
	auto_(slices_done) struct slices message = {0};

	assert_int_equal(slices_append_copy(&message, bytes, sizeof bytes), 0);
	world.options.instruction(world.options.arg, &message);
}

enum { GET_PROPERTIES = 2, GET_PARAMETERS = 3, FIT = 4, EVALUATE = 5 };

static void set(struct record_dict *dict, const char *name, const char *key, struct value value)
{
	struct record *record = record_dict_add(dict, name, RECORD_CONFIGS);

	assert_int_equal(value_map_set(&record->values, key, &value), 0);
}

/* The answer to GET_PROPERTIES; the state counts. */
static void answer(struct task *task)
{
	int64_t n = task->state.n ? task->state.v[0].values.v[0].value.i : 0;
	struct value text = {0};

	record_dict_done(&task->state);
	set(&task->state, "s", "n", (struct value){.kind = VALUE_SINT, .i = n + 1});
	set(&task->reply, "getpropertiesres.properties", "n",
		(struct value){.kind = VALUE_SINT, .i = n + 1});
	set(&task->reply, "getpropertiesres.status", "code", (struct value){.kind = VALUE_SINT});
	assert_int_equal(value_set_bytes(&text, VALUE_STRING, "Success", 7), 0);
	assert_int_equal(value_map_set(&task->reply.v[1].values, "message", &text), 0);
	rig.session->ops->answered(rig.session, task);
}

/* ---- tests ---- */

static void instructions_become_tasks(void **state)
{
	static const struct {
		unsigned field;
		const char *type, *record;
	} rows[] = {
		{GET_PROPERTIES, "get_properties", "getpropertiesins.config"},
		{GET_PARAMETERS, "get_parameters", "getparametersins.config"},
		{FIT, "train", "fitins.parameters"},
		{EVALUATE, "evaluate", "evaluateins.parameters"},
	};

	assert_string_equal(world.options.address, "localhost:8080");
	assert_int_equal(world.options.retry.max_retries, 7);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct task *task;

		instruct(rows[i].field);
		assert_true(rig.ready);
		task = kit_session_take_task(&rig);
		assert_non_null(task);
		assert_string_equal(task->metadata.message_type, rows[i].type);
		assert_int_equal(strlen(task->metadata.message_id), 32);
		assert_string_equal(task->content.v[0].name, rows[i].record);
		assert_int_equal(task->node_config.v[0].value.i, 3);
		assert_int_equal(task->state.n, 0);
		world.options.lost(world.options.arg);
		task_unref(task);
	}
}

static void each_reply_carries_the_state_on(void **state)
{
	for (int64_t n = 1; n <= 3; n++) {
		struct task *task;

		instruct(GET_PROPERTIES);
		task = kit_session_take_task(&rig);
		assert_int_equal(n > 1 ? task->state.v[0].values.v[0].value.i : 0, n - 1);
		answer(task);
		assert_int_equal(world.replies, n);
		assert_true(world.got.bytes > 10);
	}
	assert_false(rig.ended);
}

/* The reply of a lost stream is dropped, and the state with it; the method is told. */
static void a_lost_stream_takes_its_reply_and_state_along(void **state)
{
	struct task *task;

	instruct(GET_PROPERTIES);
	task = kit_session_take_task(&rig);
	world.options.lost(world.options.arg);
	assert_true(atomic_load(&task->unwanted));
	assert_false(rig.ready);
	answer(task);
	assert_int_equal(world.replies, 0);
	instruct(GET_PROPERTIES);
	task = kit_session_take_task(&rig);
	assert_int_equal(task->state.n, 0);
	world.refuse = -EPIPE; /* lost while it is sent: there will be another stream */
	answer(task);
	assert_false(rig.ended);
}

/* While a method works, instructions come and are lost again: none of them stays anywhere
 * (teardown looks), and only the last one is worked on. */
static void only_the_last_of_many_streams_is_worked_on(void **state)
{
	struct task *first, *last;

	instruct(GET_PROPERTIES);
	first = kit_session_take_task(&rig);
	world.options.lost(world.options.arg);
	instruct(FIT);
	world.options.lost(world.options.arg);
	instruct(EVALUATE);
	world.options.lost(world.options.arg);
	instruct(GET_PROPERTIES);
	answer(first);
	assert_int_equal(world.replies, 0);
	last = kit_session_take_task(&rig);
	assert_string_equal(last->metadata.message_type, "get_properties");
	assert_false(atomic_load(&last->unwanted));
	answer(last);
	assert_int_equal(world.replies, 1);
	instruct(FIT);
	world.options.lost(world.options.arg);
}

/* The stream was lost before the method was called: that is no failure of it. */
static void a_skipped_task_is_no_failure(void **state)
{
	struct task *task;

	instruct(FIT);
	task = kit_session_take_task(&rig);
	world.options.lost(world.options.arg);
	task->skipped = true;
	task->result = FLWR_E_APP;
	rig.session->ops->answered(rig.session, task);
	assert_false(rig.ended);
	instruct(GET_PROPERTIES);
	answer(kit_session_take_task(&rig));
	assert_int_equal(world.replies, 1);
}

/* Nobody works on an instruction that waits when the session ends. */
static void an_end_drops_the_task_that_waits(void **state)
{
	instruct(FIT);
	world.options.ended(world.options.arg, BIDI_GAVE_UP, "that is why");
	assert_null(kit_session_take_task(&rig));
}

static void a_failed_method_ends_the_session(void **state)
{
	struct task *task;

	instruct(FIT);
	task = kit_session_take_task(&rig);
	task->result = FLWR_E_APP;
	task->sentence = strdup("no data");
	rig.session->ops->answered(rig.session, task);
	assert_true(rig.ended && world.freed);
	assert_int_equal(rig.result, FLWR_E_APP);
	assert_string_equal(rig.sentence.text, "no data");
	rig.session->ops->stop(rig.session); /* too late */
}

static void an_answer_without_its_records_ends_the_session(void **state)
{
	struct task *task;

	instruct(FIT);
	task = kit_session_take_task(&rig);
	rig.session->ops->answered(rig.session, task);
	assert_int_equal(rig.result, FLWR_E_APP);
	assert_non_null(strstr(rig.sentence.text, "fitres"));
}

/* The largest reply is sent, one of a byte more is not. */
static void a_reply_that_is_too_large_ends_the_session(void **state)
{
	instruct(GET_PROPERTIES);
	answer(kit_session_take_task(&rig));
	rig.settings.message_max_bytes = world.got.bytes;
	instruct(GET_PROPERTIES);
	answer(kit_session_take_task(&rig));
	assert_int_equal(world.replies, 2);
	rig.settings.message_max_bytes--;
	instruct(GET_PROPERTIES);
	answer(kit_session_take_task(&rig));
	assert_int_equal(world.replies, 2);
	assert_int_equal(rig.result, FLWR_E_APP);
	assert_non_null(strstr(rig.sentence.text, "RESOURCE_EXHAUSTED: the reply has "));
}

/* It is said that the server does not see it; without a key there is not a word. */
static void a_key_has_no_use(void **state)
{
	static const char said[] =
		"Client authentication is not supported for this transport type.";
	struct session *first = rig.session;
	struct reason why = {0};

	assert_int_equal(kit_log_count(&rig.log, said), 0);
	rig.settings.key = (struct auth *)&world;
	assert_int_equal(kit_session_open(&rig, session_bidi_new, &why), 0);
	rig.settings.key = NULL;
	assert_int_equal(kit_log_count(&rig.log, said), 1);
	first->ops->abandon(first);
	assert_true(rig.gone);
	rig.gone = world.freed = false;
}

static void an_unreadable_instruction_ends_the_session(void **state)
{
	instruct(9);
	assert_null(kit_session_take_task(&rig));
	assert_int_equal(rig.result, FLWR_E_DATA);
	assert_true(world.freed);
}

static void each_end_of_the_stream_has_its_result(void **state)
{
	static const struct {
		enum bidi_end end;
		int result;
	} rows[] = {
		{BIDI_DISMISSED, FLWR_OK},
		{BIDI_GAVE_UP, FLWR_E_CONNECT},
		{BIDI_REFUSED, FLWR_E_REFUSED},
		{BIDI_LEFT, FLWR_OK},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (i > 0)
			setup(state);
		world.options.ended(world.options.arg, rows[i].end, "that is why");
		assert_true(rig.ended);
		assert_int_equal(rig.result, rows[i].result);
		assert_int_equal(strstr(rig.sentence.text, "localhost:8080") != NULL,
			rows[i].result != FLWR_OK);
		if (i + 1 < ARRAY_LEN(rows))
			teardown(state);
	}
}

static void a_stopped_session_still_replies(void **state)
{
	instruct(GET_PROPERTIES);
	rig.session->ops->stop(rig.session);
	assert_true(world.left);
	answer(kit_session_take_task(&rig));
	assert_int_equal(world.replies, 1);
	assert_false(rig.ended);
	world.options.ended(world.options.arg, BIDI_LEFT, "left");
	assert_true(rig.ended);
}

static void it_may_be_abandoned_while_a_task_is_out(void **state)
{
	instruct(GET_PROPERTIES);
	task_unref(kit_session_take_task(&rig));
}

static void a_wrong_address_opens_no_session(void **state)
{
	struct session *first = rig.session;
	struct reason why = {0};

	free(rig.settings.address);
	rig.settings.address = strdup("nowhere");
	assert_int_equal(kit_session_open(&rig, session_bidi_new, &why), -EINVAL);
	assert_non_null(strstr(why.text, "nowhere"));
	rig.session = first;
}

#define RIG_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(instructions_become_tasks),
		RIG_TEST(each_reply_carries_the_state_on),
		RIG_TEST(a_lost_stream_takes_its_reply_and_state_along),
		RIG_TEST(only_the_last_of_many_streams_is_worked_on),
		RIG_TEST(a_skipped_task_is_no_failure),
		RIG_TEST(an_end_drops_the_task_that_waits),
		RIG_TEST(a_failed_method_ends_the_session),
		RIG_TEST(an_answer_without_its_records_ends_the_session),
		RIG_TEST(a_reply_that_is_too_large_ends_the_session),
		RIG_TEST(an_unreadable_instruction_ends_the_session),
		RIG_TEST(each_end_of_the_stream_has_its_result),
		RIG_TEST(a_stopped_session_still_replies),
		RIG_TEST(it_may_be_abandoned_while_a_task_is_out),
		RIG_TEST(a_key_has_no_use),
		RIG_TEST(a_wrong_address_opens_no_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
