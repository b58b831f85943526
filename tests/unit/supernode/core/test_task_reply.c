/*
 * The reply to a message in the form of objects, call by call, and what is left when it does not
 * come so far.
 */
#include "task_rig.h"

static void test_begun_twice(void **state)
{
	struct rig rig;
	struct object_set *first;
	uint64_t used, memory;

	rig_open(&rig);
	work(&rig);
	used = rig.f.budget.used_bytes;
	memory = spool_memory_bytes(rig.objects.spool);
	assert_int_equal(begin(&rig), OUTCOME_OK);
	assert_true(rig.f.budget.used_bytes > used);
	first = reply_objects(rig.f.node, rig.token);
	object_set_ref(first);
	fill(&rig, 0);
	/* A push that is no reply leaves the first reply as it is. */
	assert_int_equal(begin_with(&rig, &(struct held_message){0}), OUTCOME_INVALID_ARGUMENT);
	assert_ptr_equal(reply_objects(rig.f.node, rig.token), first);
	assert_int_equal(begin(&rig), OUTCOME_OK);
	assert_ptr_not_equal(reply_objects(rig.f.node, rig.token), first);
	object_set_unref(first);
	assert_int_equal(spool_memory_bytes(rig.objects.spool), memory);
	assert_int_equal(end(&rig, 1), OUTCOME_FAILED_PRECONDITION);
	/* An error in its place needs no objects. */
	assert_int_equal(begin_error(&rig), OUTCOME_OK);
	assert_null(reply_objects(rig.f.node, rig.token));
	assert_int_equal(rig.f.budget.used_bytes, used);
	assert_int_equal(end(&rig, 1), OUTCOME_OK);
	expect_error(&rig.f, 2, "raised");
	rig_done(&rig);
}

static void test_objects_are_missing(void **state)
{
	struct rig rig;

	rig_open(&rig);
	work(&rig);
	assert_int_equal(begin(&rig), OUTCOME_OK);
	assert_int_equal(end(&rig, 1), OUTCOME_FAILED_PRECONDITION);
	fill(&rig, 1);
	assert_int_equal(end(&rig, 1), OUTCOME_FAILED_PRECONDITION);
	expect_nothing(&rig.f);
	objects_put(&rig.objects, reply_objects(rig.f.node, rig.token), &rig.out, 0);
	assert_int_equal(end(&rig, 1), OUTCOME_OK);
	expect(&rig.f, NODE_PUSH_REPLY);
	rig_done(&rig);
}

/* The encoded tree of a Message with so many objects below it. */
static void make_tree(unsigned n, struct slices *out)
{
	struct slices below[2] = {0};
	struct object_id ids[3] = {{{1}}, {{2}}, {{3}}};

	for (unsigned i = 0; i < n; i++)
		assert_int_equal(object_tree_encode(&ids[i], NULL, 0, &below[i]), 0);
	assert_int_equal(object_tree_encode(&ids[2], below, n, out), 0);
	slices_done(&below[0]);
	slices_done(&below[1]);
}

static void test_no_reply(void **state)
{
	struct rig rig;
	uint64_t used;

	rig_open(&rig);
	work(&rig);
	used = rig.f.budget.used_bytes;
	for (unsigned kind = 0; kind < 6; kind++) {
		struct held_message reply = {
			.envelope = {.has_content = kind > 1, .has_error = kind == 1 || kind == 2}};
		auto_(slices_done) struct slices tree = {0};

		/* Neither; an error with objects; both; no objects; none or two below the root. */
		if (kind >= 4)
			make_tree(kind == 4 ? 0 : 2, &tree);
		else if (kind > 0 && kind < 3)
			assert_int_equal(slices_append_refs(&tree, &rig.out.tree), 0);
		if (tree.n)
			reply.objects = objects_set(&rig.objects, &tree);
		assert_int_equal(begin_with(&rig, &reply), OUTCOME_INVALID_ARGUMENT);
		assert_int_equal(rig.f.budget.used_bytes, used);
		assert_int_equal(end(&rig, 1), OUTCOME_FAILED_PRECONDITION);
	}
	expect_nothing(&rig.f);
	assert_int_equal(begin(&rig), OUTCOME_OK);
	fill(&rig, 0);
	assert_int_equal(end(&rig, 1), OUTCOME_OK);
	expect(&rig.f, NODE_PUSH_REPLY);
	rig_done(&rig);
}

static void test_context_refused(void **state)
{
	struct rig rig;
	uint64_t used;

	rig_open(&rig);
	work(&rig);
	assert_int_equal(begin(&rig), OUTCOME_OK);
	fill(&rig, 0);
	used = rig.f.budget.used_bytes;
	/* Of another run: the reply can be pushed again, and is counted until then. */
	assert_int_equal(end(&rig, 2), OUTCOME_INVALID_ARGUMENT);
	assert_int_equal(rig.f.budget.used_bytes, used);
	assert_non_null(reply_objects(rig.f.node, rig.token));
	expect_nothing(&rig.f);
	assert_int_equal(end(&rig, 1), OUTCOME_OK);
	expect(&rig.f, NODE_PUSH_REPLY);
	assert_non_null(rig.f.action.reply->objects);
	rig_done(&rig);
}

/* Without a Context the next message gets what the last one got; with one, that, also after an
 * error of the app. */
static void test_context_travels(void **state)
{
	struct slices first = {0}, second = {0}, third = {0};
	struct context decoded;
	struct rig rig;

	rig_open(&rig);
	work(&rig);
	get_context(&rig, &first);
	assert_int_equal(context_decode(&first, &decoded), 0);
	assert_true(value_map_get(&decoded.run_config, "rate")->d == 0.1);
	context_done(&decoded);
	assert_int_equal(begin_error(&rig), OUTCOME_OK);
	assert_int_equal(end(&rig, 0), OUTCOME_OK);
	expect_error(&rig.f, 2, "raised");
	rig.message = give_objects(&rig.f, &rig.objects, &rig.in, N_OBJECTS, NULL);
	assert_int_equal(claim(&rig, rig.message), OUTCOME_OK);
	get_context(&rig, &second);
	assert_true(slices_equal(&first, &second));
	assert_int_equal(begin_error(&rig), OUTCOME_OK);
	assert_int_equal(end(&rig, 1), OUTCOME_OK);
	expect_error(&rig.f, 2, "raised");
	rig.message = give_objects(&rig.f, &rig.objects, &rig.in, N_OBJECTS, NULL);
	assert_int_equal(claim(&rig, rig.message), OUTCOME_OK);
	get_context(&rig, &third);
	assert_false(slices_equal(&first, &third));
	slices_done(&first);
	slices_done(&second);
	slices_done(&third);
	rig_done(&rig);
}

static void test_over_budget(void **state)
{
	struct rig rig;

	rig_open(&rig);
	work(&rig);
	rig.f.budget.limit_bytes = rig.f.budget.used_bytes;
	assert_int_equal(begin(&rig), OUTCOME_RESOURCE_EXHAUSTED);
	expect_error(&rig.f, 8, "the worker's reply of ");
	assert_int_equal(end(&rig, 1), OUTCOME_FAILED_PRECONDITION);
	rig_done(&rig);
	rig_open(&rig);
	work(&rig);
	assert_int_equal(begin(&rig), OUTCOME_OK);
	fill(&rig, 0);
	rig.f.budget.limit_bytes = rig.f.budget.used_bytes;
	assert_int_equal(end(&rig, 1), OUTCOME_RESOURCE_EXHAUSTED);
	/* The node frees the objects of a reply that it has refused at once. */
	assert_int_equal(spool_memory_bytes(rig.objects.spool), 0);
	expect_error(&rig.f, 8, "the worker's outputs of ");
	expect_nothing(&rig.f);
	rig_done(&rig);
	/* A message whose tree alone is too large. */
	rig_open(&rig);
	rig.f.budget.limit_bytes = 10;
	give_objects(&rig.f, &rig.objects, &rig.in, N_OBJECTS, NULL);
	assert_int_equal(spool_memory_bytes(rig.objects.spool), 0);
	expect_error(&rig.f, 8, "do not fit into the SuperNode's memory budget");
	rig_done(&rig);
}

/* ---- it does not come so far ---- */

static void test_lost_at_work(void **state)
{
	struct rig rig;
	uint64_t memory;

	rig_open(&rig);
	work(&rig);
	memory = spool_memory_bytes(rig.objects.spool);
	assert_true(memory > 0);
	assert_int_equal(begin(&rig), OUTCOME_OK);
	fill(&rig, 1);
	node_worker_lost(rig.f.node, rig.f.now, rig.message, "its worker is gone");
	assert_int_equal(spool_memory_bytes(rig.objects.spool), 0);
	assert_null(reply_objects(rig.f.node, rig.token));
	assert_int_equal(end(&rig, 1), OUTCOME_FAILED_PRECONDITION);
	expect_error(&rig.f, 8, "its worker is gone");
	expect_nothing(&rig.f);
	rig_done(&rig);
}

static void test_node_lost(void **state)
{
	struct rig rig;

	rig_open(&rig);
	work(&rig);
	assert_int_equal(begin(&rig), OUTCOME_OK);
	fill(&rig, 2);
	node_lost(rig.f.node, rig.f.now);
	assert_int_equal(spool_memory_bytes(rig.objects.spool), 0);
	assert_int_equal(rig.f.budget.used_bytes, 0);
	assert_int_equal(end(&rig, 1), OUTCOME_FAILED_PRECONDITION);
	expect_dropped(&rig.f, "forgotten");
	expect_nothing(&rig.f);
	node_registered(rig.f.node, rig.f.now, NODE_ID);
	/* Objects that come for what was dropped. */
	node_content(rig.f.node, rig.f.now, rig.message, NODE_FETCHED, NULL);
	work(&rig);
	assert_int_equal(begin(&rig), OUTCOME_OK);
	fill(&rig, 0);
	assert_int_equal(end(&rig, 0), OUTCOME_OK);
	expect(&rig.f, NODE_PUSH_REPLY);
	/* With another number: the reply is still with its owner. */
	node_registered(rig.f.node, rig.f.now, NODE_ID + 1);
	assert_non_null(rig.f.action.reply->objects);
	node_reply_pushed(rig.f.node, rig.f.now, rig.message, NODE_PUSH_FAILED, NULL);
	assert_int_equal(spool_memory_bytes(rig.objects.spool), 0);
	expect_dropped(&rig.f, "forgotten");
	rig_done(&rig);
}

/* An object that is being checked when everything is over. */
static void test_put_is_out(void **state)
{
	struct rig rig;
	struct slices content = {0};
	unsigned n;

	rig_open(&rig);
	work(&rig);
	assert_int_equal(begin(&rig), OUTCOME_OK);
	assert_int_equal(slices_append_refs(&content, &rig.out.bytes[0]), 0);
	n = rig.objects.n_done;
	assert_int_equal(object_set_put(reply_objects(rig.f.node, rig.token), 0, &content, put_done,
				 &rig.objects),
		0);
	node_give_up(rig.f.node, rig.f.now, "stopped");
	expect_error(&rig.f, 8, "stopped");
	expect_nothing(&rig.f);
	while (rig.objects.n_done == n)
		loop_step(rig.objects.loop, 1000);
	rig_done(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_begun_twice),
		cmocka_unit_test(test_objects_are_missing),
		cmocka_unit_test(test_no_reply),
		cmocka_unit_test(test_context_refused),
		cmocka_unit_test(test_context_travels),
		cmocka_unit_test(test_over_budget),
		cmocka_unit_test(test_lost_at_work),
		cmocka_unit_test(test_node_lost),
		cmocka_unit_test(test_put_is_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
