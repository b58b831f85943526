/*
 * The conversation of dialect 1 with a real node core and requests that no transport carries.
 */
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "supernode/appio/instruction.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HASH    "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define NODE_ID 11
#define RUN_ID  22

/* A request that nothing carries; what was answered stays here. */
struct call {
	struct request request;
	bool admitted;
	bool finished;
	enum outcome outcome;
	struct slices body;
};

static struct rig {
	struct loop *loop;
	struct log *log;
	char dir[32];
	struct listener *listener;
	struct budget budget;
	struct node *node;
	struct instruction *instruction;
	uint64_t token; /* of the message at work */
	unsigned changes;
	unsigned readies;
} rig;

static void call_admit(struct request *request)
{
	container_of(request, struct call, request)->admitted = true;
}

static void call_finish(
	struct request *request, enum outcome outcome, const char *details, struct slices *body)
{
	struct call *call = container_of(request, struct call, request);

	(void)details;
	assert_false(call->finished);
	call->finished = true;
	call->outcome = outcome;
	if (body)
		assert_int_equal(slices_move(&call->body, body), 0);
}

static const char *call_header(const struct request *request, const char *key)
{
	(void)request;
	(void)key;
	return NULL;
}

static const struct request_ops call_ops = {
	.admit = call_admit, .finish = call_finish, .header = call_header};
static const struct peer stranger = {.connection = 99, .text = "stranger"};

static void call_done(struct call *call)
{
	slices_done(&call->request.body);
	slices_done(&call->body);
}

/* A call arrives; body (may be NULL) follows it when it is admitted. */
static void call_make(struct call *call, const char *method)
{
	char path[128];
	const struct service *service;

	*call = (struct call){.request = {.ops = &call_ops, .peer = &stranger}};
	snprintf(path, sizeof path, "/flwr.proto.ClientAppIo/%s", method);
	call->request.method =
		service_method(instruction_service(rig.instruction), 1, path, &service);
	assert_non_null(call->request.method);
	call->request.service = service;
	request_arrived(&call->request);
}

static void call_body(struct call *call, struct slices *body)
{
	assert_true(call->admitted);
	assert_int_equal(slices_move(&call->request.body, body), 0);
	request_received(&call->request);
	slices_done(&call->request.body);
}

static enum outcome pull(uint64_t token, struct instruction_inputs *out)
{
	auto_(call_done) struct call call;
	struct slices body = {0};

	call_make(&call, "PullClientAppInputs");
	assert_int_equal(instruction_encode_token(token, &body), 0);
	call_body(&call, &body);
	assert_true(call.finished);
	if (out && call.outcome == OUTCOME_OK)
		assert_int_equal(instruction_decode_inputs(&call.body, out), 0);
	return call.outcome;
}

static void outputs_make(uint64_t token, struct slices *body)
{
	auto_(instruction_inputs_done) struct instruction_inputs inputs = {0};
	auto_(instruction_outputs_done) struct instruction_outputs outputs = {.token = token};
	auto_(envelope_done) struct envelope message = {0};
	auto_(envelope_done) struct envelope reply = {0};

	assert_int_equal(pull(rig.token, &inputs), OUTCOME_OK);
	assert_int_equal(envelope_decode(&inputs.message, &message), 0);
	assert_int_equal(
		envelope_error(&message.metadata, clock_wall_s(), 2, "it raised", &reply), 0);
	assert_int_equal(envelope_encode(&reply, &outputs.message), 0);
	assert_int_equal(slices_move(&outputs.context, &inputs.context), 0);
	assert_int_equal(instruction_encode_outputs(&outputs, body), 0);
}

static enum outcome push(struct slices *body)
{
	auto_(call_done) struct call call;

	call_make(&call, "PushClientAppOutputs");
	if (!call.finished)
		call_body(&call, body);
	slices_done(body);
	assert_true(call.finished);
	return call.outcome;
}

static void on_changed(void *arg)
{
	(void)arg;
	rig.changes++;
}

static void on_ready(void *arg, uint64_t message, const struct peer *peer)
{
	(void)arg;
	(void)message;
	assert_ptr_equal(peer, &stranger);
	rig.readies++;
}

static bool on_live(void *arg, uint64_t message)
{
	(void)arg;
	(void)message;
	return false;
}

static const struct appio_ops appio_events = {.changed = on_changed, .ready = on_ready};
static const struct listener_ops listener_events = {.live = on_live};

static uint64_t next_random(void *arg)
{
	(void)arg;
	return 4711;
}

static struct node_now now_is(void)
{
	return (struct node_now){clock_now_ms(), clock_wall_s()};
}

/* Take actions until one of this kind comes. */
static struct node_action action_of(enum node_action_kind kind)
{
	struct node_action action;

	do
		assert_int_equal(node_next_action(rig.node, &action), 1);
	while (action.kind != kind);
	return action;
}

static void message_to_node(void)
{
	struct envelope message = {.metadata = {.run_id = RUN_ID,
					   .message_id = strdup("m1"),
					   .dst_node_id = NODE_ID,
					   .reply_to_message_id = strdup(""),
					   .group_id = strdup("1"),
					   .ttl = 3600,
					   .message_type = strdup("train"),
					   .created_at = clock_wall_s()},
		.has_content = true};

	assert_int_equal(node_message(rig.node, now_is(), &message), 0);
	envelope_done(&message);
}

/* Bring one message to work: everything that a supervisor would do. */
static void work_begins(void)
{
	struct run run = {.run_id = RUN_ID,
		.fab_id = strdup(""),
		.fab_version = strdup(""),
		.fab_hash = strdup(HASH)};
	struct manifest manifest = {.publisher = strdup("p"),
		.name = strdup("n"),
		.version = strdup("1"),
		.clientapp = strdup("a:app"),
		.fab_id = strdup("p/n")};
	struct slices fab = {0};

	message_to_node();
	action_of(NODE_FETCH_RUN);
	node_run_fetched(rig.node, now_is(), RUN_ID, NODE_FETCHED, &run, NULL);
	action_of(NODE_FETCH_FAB);
	slices_append(&fab, slice_static("hello", 5));
	node_fab_fetched(rig.node, now_is(), RUN_ID, NODE_FETCHED, &fab, &manifest, NULL);
	rig.token = action_of(NODE_START_WORKER).token;
	assert_int_not_equal(rig.token, 0);
}

static int setup(void **state)
{
	(void)state;
	memset(&rig, 0, sizeof rig);
	snprintf(rig.dir, sizeof rig.dir, "/tmp/instruction-XXXXXX");
	assert_non_null(mkdtemp(rig.dir));
	assert_int_equal(loop_new(&rig.loop), 0);
	assert_int_equal(listener_new(rig.loop, NULL, NULL, rig.dir, &listener_events, NULL,
				 &rig.listener, NULL),
		0);
	budget_init(&rig.budget, 1 << 20);
	rig.node = node_new(&(struct node_options){
		.node_config = &(struct value_map){0},
		.slots = 1,
		.budget = &rig.budget,
		.random = next_random,
	});
	assert_non_null(rig.node);
	node_registered(rig.node, now_is(), NODE_ID);
	rig.instruction =
		instruction_new(rig.loop, NULL, rig.node, rig.listener, &appio_events, NULL);
	assert_non_null(rig.instruction);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	instruction_free(rig.instruction);
	node_free(rig.node);
	listener_free(rig.listener);
	loop_free(rig.loop);
	rmdir(rig.dir);
	return 0;
}

static void without_a_message_everything_is_a_failed_precondition(void **state)
{
	auto_(call_done) struct call call;
	struct slices none = {0};

	(void)state;
	call_make(&call, "GetToken");
	call_body(&call, &none);
	assert_int_equal(call.outcome, OUTCOME_FAILED_PRECONDITION);
	assert_int_equal(pull(5, NULL), OUTCOME_FAILED_PRECONDITION);
	assert_int_equal(push(&none), OUTCOME_FAILED_PRECONDITION);
}

static void a_token_is_not_given_out_twice(void **state)
{
	auto_(call_done) struct call call;
	struct slices none = {0};

	(void)state;
	work_begins();
	call_make(&call, "GetToken");
	call_body(&call, &none);
	assert_int_equal(call.outcome, OUTCOME_FAILED_PRECONDITION);
}

static void inputs_come_with_the_right_token_again_and_again(void **state)
{
	auto_(instruction_inputs_done) struct instruction_inputs first = {0};
	auto_(instruction_inputs_done) struct instruction_inputs second = {0};

	(void)state;
	work_begins();
	assert_int_equal(pull(rig.token + 1, NULL), OUTCOME_INVALID_ARGUMENT);
	assert_int_equal(pull(rig.token, &first), OUTCOME_OK);
	assert_int_equal(pull(rig.token, &second), OUTCOME_OK);
	assert_true(slices_equal(&first.message, &second.message));
	assert_true(slices_equal(&first.context, &second.context));
	assert_true(first.fab.bytes > 0);
	assert_int_equal(rig.readies, 2);
}

static void a_push_before_the_pull_is_refused_before_its_body(void **state)
{
	auto_(call_done) struct call call;

	(void)state;
	work_begins();
	call_make(&call, "PushClientAppOutputs");
	assert_false(call.admitted);
	assert_true(call.finished);
	assert_int_equal(call.outcome, OUTCOME_FAILED_PRECONDITION);
}

static void outputs_are_taken_once(void **state)
{
	struct slices wrong = {0}, right = {0}, again = {0};

	(void)state;
	work_begins();
	outputs_make(rig.token + 1, &wrong);
	outputs_make(rig.token, &right);
	outputs_make(rig.token, &again);
	assert_int_equal(push(&wrong), OUTCOME_INVALID_ARGUMENT);
	assert_int_equal(push(&right), OUTCOME_OK);
	action_of(NODE_PUSH_REPLY);
	assert_int_equal(push(&again), OUTCOME_FAILED_PRECONDITION);
}

static void broken_outputs_are_refused_and_the_token_lives_on(void **state)
{
	struct slices broken = {0}, right = {0};

	(void)state;
	work_begins();
	outputs_make(rig.token, &right);
	slices_append(
		&broken, slice_static("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12));
	assert_int_equal(push(&broken), OUTCOME_INVALID_ARGUMENT);
	assert_int_equal(push(&right), OUTCOME_OK);
}

static void an_endless_reason_is_cut(void **state)
{
	auto_(instruction_inputs_done) struct instruction_inputs inputs = {0};
	auto_(instruction_outputs_done) struct instruction_outputs outputs = {0};
	auto_(envelope_done) struct envelope message = {0};
	auto_(envelope_done) struct envelope reply = {0};
	auto_(free_at_exit) char *reason = malloc(300000);
	struct slices body = {0};

	(void)state;
	work_begins();
	outputs.token = rig.token;
	memset(reason, 'x', 299999);
	reason[299999] = '\0';
	assert_int_equal(pull(rig.token, &inputs), OUTCOME_OK);
	assert_int_equal(envelope_decode(&inputs.message, &message), 0);
	assert_int_equal(envelope_error(&message.metadata, clock_wall_s(), 2, reason, &reply), 0);
	assert_int_equal(envelope_encode(&reply, &outputs.message), 0);
	assert_int_equal(slices_move(&outputs.context, &inputs.context), 0);
	assert_int_equal(instruction_encode_outputs(&outputs, &body), 0);
	assert_int_equal(push(&body), OUTCOME_OK);
	assert_int_equal(
		strlen(action_of(NODE_PUSH_REPLY).reply->error_reason), ENVELOPE_STRING_MAX);
}

static void strangers_contents_are_received_one_at_a_time(void **state)
{
	auto_(call_done) struct call first;
	auto_(call_done) struct call second;
	auto_(call_done) struct call third;
	struct slices body = {0};

	(void)state;
	work_begins();
	outputs_make(rig.token, &body);
	call_make(&first, "PushClientAppOutputs");
	call_make(&second, "PushClientAppOutputs");
	call_make(&third, "PushClientAppOutputs");
	assert_true(first.admitted);
	assert_false(second.admitted);
	/* One that waits may go, and so may the one that is being received. */
	request_cancelled(&second.request);
	assert_false(third.admitted);
	request_cancelled(&first.request);
	assert_true(third.admitted);
	call_body(&third, &body);
	assert_int_equal(third.outcome, OUTCOME_OK);
}

static void contents_that_wait_are_bounded(void **state)
{
	struct call calls[APPIO_QUEUE_MAX + 2];
	struct slices body = {0};

	(void)state;
	work_begins();
	outputs_make(rig.token, &body);
	slices_done(&body);
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		call_make(&calls[i], "PushClientAppOutputs");
	assert_true(calls[0].admitted);
	assert_false(calls[APPIO_QUEUE_MAX].finished);
	assert_int_equal(calls[APPIO_QUEUE_MAX + 1].outcome, OUTCOME_RESOURCE_EXHAUSTED);
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		if (!calls[i].finished)
			request_cancelled(&calls[i].request);
		call_done(&calls[i]);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(without_a_message_everything_is_a_failed_precondition),
		TEST(a_token_is_not_given_out_twice),
		TEST(inputs_come_with_the_right_token_again_and_again),
		TEST(a_push_before_the_pull_is_refused_before_its_body),
		TEST(outputs_are_taken_once),
		TEST(broken_outputs_are_refused_and_the_token_lives_on),
		TEST(an_endless_reason_is_cut),
		TEST(strangers_contents_are_received_one_at_a_time),
		TEST(contents_that_wait_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
