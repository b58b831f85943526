/*
 * A session with a SuperLink, which stand-ins of the fleet play; the real core, codecs and object
 * store. The test is both threads: it takes tasks out of the mailbox and answers them.
 */
#include "common/base/cleanup.h"
#include "common/records/items_codec.h"
#include "common/records/maps_codec.h"
#include "common/records/objects_codec.h"
#include "kit/clock.h"
#include "kit/loop.h"
#include "kit/session.h"
#include "supernode/fleet/fleet.h"

#include <flwr/flwr.h>

#define NODE_ID  7777
#define RUN_ID   5
#define TTL_S    100
#define FETCH_MS 4000

/* ---- the fleet ---- */

static struct {
	const struct fleet_ops *ops;
	void *arg;
	fleet_run_fn *run;
	void *run_arg;
	const struct held_message *reply; /* that is being pushed */
	fleet_push_fn *pushed;
	void *pushed_arg;
	uint64_t pushed_number;
	unsigned pushes, pokes;
	void (*left)(void *arg); /* of fleet_stop() or fleet_abandon() */
	void *left_arg;
	bool abandoned;
	unsigned made; /* messages */
} world;

int fleet_new(const struct fleet_options *options, struct fleet **out)
{
	struct connector *connector = options->link.connector;

	connector->ops->free(connector);
	world.ops = options->ops;
	world.arg = options->arg;
	*out = (struct fleet *)&world;
	return 0;
}

void fleet_start(struct fleet *fleet)
{
}

void fleet_free(struct fleet *fleet)
{
}

void fleet_poke(struct fleet *fleet)
{
	world.pokes++;
}

void fleet_drop_content(struct fleet *fleet, uint64_t number)
{
}

int fleet_get_run(struct fleet *fleet, uint64_t run_id, fleet_run_fn *done, void *arg)
{
	assert_int_equal(run_id, RUN_ID);
	world.run = done;
	world.run_arg = arg;
	return 0;
}

int fleet_push(struct fleet *fleet, const struct fleet_push *push)
{
	world.pushes++;
	world.reply = push->reply;
	world.pushed = push->done;
	world.pushed_arg = push->arg;
	world.pushed_number = push->number;
	return 0;
}

bool fleet_is_online(const struct fleet *fleet)
{
	return true;
}

void fleet_stop(struct fleet *fleet, void (*done)(void *arg), void *arg)
{
	world.left = done;
	world.left_arg = arg;
}

void fleet_abandon(struct fleet *fleet, void (*done)(void *arg), void *arg)
{
	world.abandoned = true;
	fleet_stop(fleet, done, arg);
}

/* ---- the session's owner ---- */

static struct kit_session rig;

static int setup(void **state)
{
	struct reason why = {0};

	memset(&world, 0, sizeof world);
	kit_session_init(&rig, "127.0.0.1:9092");
	assert_int_equal(loop_new(&rig.engine.loop), 0);
	assert_int_equal(spool_new(rig.engine.loop, "/nowhere", 1 << 20, &rig.engine.spool), 0);
	budget_init(&rig.engine.budget, 1 << 20);
	rig.engine.http = (struct http *)&world; /* only looked at */
	kit_clock_start(rig.engine.loop);
	assert_int_equal(kit_session_open(&rig, session_superlink_new, &why), 0);
	world.ops->registered(world.arg, NODE_ID);
	return 0;
}

static int teardown(void **state)
{
	if (!rig.gone) {
		rig.session->ops->abandon(rig.session);
		if (world.left)
			world.left(world.left_arg);
		kit_loop_until(rig.engine.loop, rig.gone);
	}
	kit_session_done(&rig);
	assert_int_equal(rig.engine.budget.used_bytes, 0);
	assert_int_equal(spool_memory_bytes(rig.engine.spool), 0);
	kit_clock_done();
	spool_free(rig.engine.spool);
	loop_free(rig.engine.loop);
	return 0;
}

/* ---- what comes ---- */

static void make_records(struct record_dict *out)
{
	struct record *record = record_dict_add(out, "do", RECORD_CONFIGS);
	struct value what = {0};

	assert_int_equal(value_set_bytes(&what, VALUE_STRING, "count", 5), 0);
	assert_int_equal(value_map_set(&record->values, "what", &what), 0);
}

static void make_envelope(struct envelope *out)
{
	char id[32];
	struct metadata metadata = {.run_id = RUN_ID,
		.message_id = id,
		.src_node_id = 1,
		.dst_node_id = NODE_ID,
		.reply_to_message_id = (char *)"",
		.group_id = (char *)"3",
		.ttl = TTL_S,
		.message_type = (char *)"query",
		.created_at = clock_wall_s()};

	snprintf(id, sizeof id, "message-%u", ++world.made);
	*out = (struct envelope){.has_content = true};
	assert_int_equal(metadata_copy(&metadata, &out->metadata), 0);
}

static void give_run(void)
{
	struct value rate = {.kind = VALUE_DOUBLE, .d = 0.5};
	struct run run = {.run_id = RUN_ID};

	if (!world.run)
		return;
	run.fab_id = strdup("a/b");
	run.fab_version = strdup("1");
	run.fab_hash = strdup("not looked at");
	assert_int_equal(value_map_set(&run.override_config, "rate", &rate), 0);
	world.run(world.run_arg, RUN_ID, OUTCOME_OK, &run, "");
	world.run = NULL;
}

/* A message, and what is asked about its run. */
static uint64_t give(struct held_message *message)
{
	uint64_t number = world.ops->message(world.arg, message, NULL);

	give_run();
	return number;
}

static uint64_t give_inline(void)
{
	auto_(record_dict_done) struct record_dict records = {0};
	struct held_message message = {0};

	make_envelope(&message.envelope);
	make_records(&records);
	assert_int_equal(maps_encode(&records, &message.envelope.content), 0);
	return give(&message);
}

static unsigned puts_out;

static void on_put(void *arg, size_t index, int r, const struct reason *why)
{
	assert_int_equal(r, 0);
	puts_out--;
}

static void put(struct object_set *set, const struct object_id *id, struct slices *bytes)
{
	ptrdiff_t index = object_tree_find(object_set_tree(set), id);

	assert_true(index >= 0);
	assert_int_equal(object_set_put(set, (size_t)index, bytes, on_put, NULL), 0);
	puts_out++;
}

static uint64_t give_objects(void)
{
	auto_(record_dict_done) struct record_dict records = {0};
	auto_(slices_done) struct slices object = {0}, bytes = {0};
	auto_(object_tree_done) struct object_tree tree = {0};
	struct object_list list = {0};
	struct held_message message = {0};
	struct object_id id;

	make_envelope(&message.envelope);
	make_records(&records);
	assert_int_equal(objects_encode(&records, OBJECTS_CHUNK_BYTES, &list), 0);
	assert_int_equal(envelope_message_object(&message.envelope, &list.root, &object, &id), 0);
	assert_int_equal(object_tree_encode(&id, &list.tree, 1, &bytes), 0);
	assert_int_equal(object_tree_decode(&bytes, &tree, NULL), 0);
	assert_int_equal(object_set_new(rig.engine.spool, &tree, &message.objects), 0);
	for (size_t i = 0; i < list.n; i++)
		put(message.objects, &list.v[i].id, &list.v[i].bytes);
	put(message.objects, &id, &object);
	kit_loop_until(rig.engine.loop, puts_out == 0);
	object_list_done(&list);
	return give(&message);
}

/* ---- what is answered ---- */

/* The reply says how often the function was asked, and so does the state. */
static void answer(struct task *task)
{
	int64_t n = task->state.n ? task->state.v[0].values.v[0].value.i : 0;
	struct value more = {.kind = VALUE_SINT, .i = n + 1};
	struct value same = more;

	record_dict_done(&task->state);
	assert_int_equal(value_map_set(&record_dict_add(&task->state, "s", RECORD_METRICS)->values,
				 "n", &more),
		0);
	assert_int_equal(value_map_set(&record_dict_add(&task->reply, "r", RECORD_METRICS)->values,
				 "n", &same),
		0);
	rig.session->ops->answered(rig.session, task);
}

static void answer_failed(struct task *task, const char *sentence)
{
	task->result = FLWR_E_APP;
	task->sentence = strdup(sentence);
	rig.session->ops->answered(rig.session, task);
}

static void settle(void)
{
	world.pushed(world.pushed_arg, world.pushed_number, OUTCOME_OK, "");
}

/* The next reply says that n. */
static void expect_reply(unsigned pushes, int64_t n)
{
	auto_(record_dict_done) struct record_dict records = {0};

	kit_loop_until(rig.engine.loop, world.pushes == pushes);
	assert_false(world.reply->envelope.has_error);
	if (world.reply->objects) {
		assert_int_equal(object_set_missing(world.reply->objects), 0);
	} else {
		assert_int_equal(maps_decode(&world.reply->envelope.content, &records, NULL), 0);
		assert_int_equal(records.v[0].values.v[0].value.i, n);
	}
	settle();
}

static void expect_error(unsigned pushes, int64_t code, const char *sentence)
{
	assert_int_equal(world.pushes, pushes);
	assert_true(world.reply->envelope.has_error);
	assert_int_equal(world.reply->envelope.error_code, code);
	if (!strstr(world.reply->envelope.error_reason, sentence))
		fail_msg("%s", world.reply->envelope.error_reason);
	settle();
}

static void stop(void)
{
	rig.session->ops->stop(rig.session);
}

/* ---- tests ---- */

static void check_messages(uint64_t (*give_message)(void))
{
	for (int64_t n = 1; n <= 3; n++) {
		struct task *task;

		assert_true(world.ops->wants_message(world.arg));
		give_message();
		task = kit_session_take_task(&rig);
		assert_non_null(task);
		assert_false(world.ops->wants_message(world.arg));
		assert_string_equal(task->metadata.message_type, "query");
		assert_int_equal(task->run_id, RUN_ID);
		assert_int_equal(task->node_id, NODE_ID);
		assert_int_equal(value_map_get(&task->node_config, "partition-id")->i, 3);
		assert_true(value_map_get(&task->run_config, "rate")->d == 0.5);
		assert_string_equal(task->content.v[0].name, "do");
		assert_int_equal(task->state.n, n > 1);
		answer(task);
		expect_reply((unsigned)n, n);
	}
}

static void inline_messages_are_answered(void **state)
{
	assert_true(rig.ready);
	assert_int_equal(rig.node_id, NODE_ID);
	check_messages(give_inline);
}

static void messages_of_objects_are_answered(void **state)
{
	check_messages(give_objects);
}

static void a_failed_task_leaves_the_state(void **state)
{
	struct task *task;

	give_inline();
	answer(kit_session_take_task(&rig));
	expect_reply(1, 1);
	give_inline();
	answer_failed(kit_session_take_task(&rig), "no data");
	expect_error(2, 2, "no data");
	give_inline();
	task = kit_session_take_task(&rig);
	assert_int_equal(task->state.v[0].values.v[0].value.i, 1);
	answer(task);
	expect_reply(3, 2);
}

/* An error reply is pushed when the time is over; the slot is free when the function has
 * returned. */
static void a_message_beyond_its_ttl_gets_an_error(void **state)
{
	struct task *task;

	give_inline();
	task = kit_session_take_task(&rig);
	assert_false(atomic_load(&task->unwanted));
	kit_clock_pass(TTL_S * 1000);
	assert_true(atomic_load(&task->unwanted));
	expect_error(1, 8, "ttl");
	give_inline();
	assert_null(kit_session_take_task(&rig));
	answer(task);
	task = kit_session_take_task(&rig);
	assert_non_null(task);
	answer(task);
	expect_reply(2, 1);
}

static void unreadable_content_gets_an_error(void **state)
{
	struct held_message message = {0};

	make_envelope(&message.envelope);
	assert_int_equal(slices_append_copy(&message.envelope.content, "\xff\xff", 2), 0);
	give(&message);
	assert_null(kit_session_take_task(&rig));
	expect_error(1, 8, "");
	assert_true(world.ops->wants_message(world.arg));
}

/* The error says so, without a word about memory. */
static void an_unreadable_envelope_gets_an_error(void **state)
{
	struct held_message message = {0};

	make_envelope(&message.envelope);
	message.envelope.metadata.group_id[0] = '\xff';
	give(&message);
	assert_null(kit_session_take_task(&rig));
	expect_error(1, 8, "the message cannot be decoded");
}

static void a_forgotten_node_registers_again(void **state)
{
	struct task *task;

	give_inline();
	task = kit_session_take_task(&rig);
	world.ops->lost(world.arg);
	assert_true(atomic_load(&task->unwanted));
	assert_int_equal(rig.node_id, 0);
	answer(task);
	assert_int_equal(world.pushes, 0);
	world.ops->registered(world.arg, NODE_ID + 1);
	assert_int_equal(rig.node_id, NODE_ID + 1);
}

static void a_session_stopped_while_idle_leaves_at_once(void **state)
{
	stop();
	assert_non_null(world.left);
	assert_false(world.ops->wants_message(world.arg));
	assert_false(rig.ended);
	world.left(world.left_arg);
	world.left = NULL;
	assert_true(rig.ended);
	assert_int_equal(rig.result, 0);
	stop();
}

/* The function is not hurried, its reply is pushed, and the ServerApp has time to fetch it. */
static void a_session_stopped_at_work_replies_first(void **state)
{
	struct task *task;

	give_inline();
	task = kit_session_take_task(&rig);
	stop();
	kit_clock_pass(50000);
	assert_null(world.left);
	answer(task);
	expect_reply(1, 1);
	assert_null(world.left);
	kit_clock_pass(FETCH_MS - 1);
	assert_null(world.left);
	kit_clock_pass(1);
	assert_non_null(world.left);
	world.left(world.left_arg);
	world.left = NULL;
	assert_true(rig.ended);
	assert_int_equal(rig.result, 0);
}

static void a_stopped_session_does_not_wait_for_a_lost_superlink(void **state)
{
	give_inline();
	answer(kit_session_take_task(&rig));
	kit_loop_until(rig.engine.loop, world.pushes == 1);
	stop();
	kit_clock_pass(4999);
	assert_null(world.left);
	kit_clock_pass(1);
	assert_non_null(world.left);
	assert_int_equal(kit_log_count(&rig.log, "a reply could not be sent"), 1);
	world.pushed(world.pushed_arg, world.pushed_number, OUTCOME_CANCELLED, "");
}

static void each_end_of_the_fleet_has_its_result(void **state)
{
	static const struct {
		enum fleet_over over;
		int result;
	} rows[] = {
		{FLEET_OVER_TOLD, FLWR_OK},
		{FLEET_OVER_LOST, FLWR_E_CONNECT},
		{FLEET_OVER_REFUSED, FLWR_E_REFUSED},
		{FLEET_OVER_KEY, FLWR_E_REFUSED},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct task *task;

		if (i > 0)
			setup(state);
		give_inline();
		task = kit_session_take_task(&rig);
		world.ops->over(world.arg, rows[i].over, "that is why");
		assert_true(atomic_load(&task->unwanted));
		world.left(world.left_arg);
		world.left = NULL;
		assert_true(rig.ended);
		assert_int_equal(rig.result, rows[i].result);
		assert_string_equal(rig.sentence.text, rows[i].result ? "that is why" : "");
		answer(task); /* late */
		if (i + 1 < ARRAY_LEN(rows))
			teardown(state);
	}
}

static void a_session_told_to_end_leaves(void **state)
{
	world.ops->told_to_end(world.arg);
	assert_non_null(world.left);
}

/* In the middle of everything; teardown looks that nothing is left. */
static void it_may_be_abandoned_while_it_replies(void **state)
{
	give_objects();
	answer(kit_session_take_task(&rig));
	rig.session->ops->abandon(rig.session);
	assert_true(world.abandoned);
	assert_false(rig.gone);
	world.left(world.left_arg);
	world.left = NULL;
	kit_loop_until(rig.engine.loop, rig.gone);
	assert_int_equal(world.pushes, 0);
	assert_false(rig.ended);
}

static void it_may_be_abandoned_while_a_task_is_out(void **state)
{
	struct task *task;

	give_inline();
	task = kit_session_take_task(&rig);
	rig.session->ops->abandon(rig.session);
	world.left(world.left_arg);
	world.left = NULL;
	assert_true(rig.gone);
	task_unref(task); /* as flwr_node_free() does of one that nobody has worked on */
}

#define RIG_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(inline_messages_are_answered),
		RIG_TEST(messages_of_objects_are_answered),
		RIG_TEST(a_failed_task_leaves_the_state),
		RIG_TEST(a_message_beyond_its_ttl_gets_an_error),
		RIG_TEST(unreadable_content_gets_an_error),
		RIG_TEST(an_unreadable_envelope_gets_an_error),
		RIG_TEST(a_forgotten_node_registers_again),
		RIG_TEST(a_session_stopped_while_idle_leaves_at_once),
		RIG_TEST(a_session_stopped_at_work_replies_first),
		RIG_TEST(a_stopped_session_does_not_wait_for_a_lost_superlink),
		RIG_TEST(each_end_of_the_fleet_has_its_result),
		RIG_TEST(a_session_told_to_end_leaves),
		RIG_TEST(it_may_be_abandoned_while_it_replies),
		RIG_TEST(it_may_be_abandoned_while_a_task_is_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
