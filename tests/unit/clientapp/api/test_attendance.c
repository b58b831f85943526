/*
 * Keeping a call open about a message, with a SuperNode that a test plays. Each call is seen
 * starting and coming home: what shall not happen would have happened by then.
 */
#include "clientapp/api/attendance.h"

#include "common/message/instruction_codec.h"
#include "rig.h"

#define TOKEN   4711
#define ANOTHER 4712
/* More than the longest wait between two tries. */
#define LONG_MS 60000
/* How the SuperNode answers: not now. */
#define KEEPS OUTCOME_N

static struct {
	/* the SuperNode */
	enum outcome answer; /* or KEEPS */
	uint64_t token;      /* it was asked about */
	/* who attends */
	struct rpc_channel *channel;
	struct attendance *attendance;
	unsigned unwanted;
	/* its calls */
	bool no_calls; /* there is no memory for one */
	bool too_late; /* to cancel one: its answer is on its way */
	unsigned started;
	unsigned home;
	enum outcome outcome; /* of the last one that came home */
} attendant;

/* ---- its calls ---- */

struct watched {
	rpc_done_fn *done;
	void *arg;
};

int __real_rpc_call_start(struct rpc_channel *channel, const struct rpc_call_options *options,
	struct slices *body, struct rpc_call **out);
int __wrap_rpc_call_start(struct rpc_channel *channel, const struct rpc_call_options *options,
	struct slices *body, struct rpc_call **out);

void __real_rpc_call_cancel(struct rpc_call *call);
void __wrap_rpc_call_cancel(struct rpc_call *call);

static void came_home(void *arg, struct rpc_result *result)
{
	struct watched watched = *(struct watched *)arg;

	free(arg);
	attendant.home++;
	attendant.outcome = result->outcome;
	watched.done(watched.arg, result);
}

int __wrap_rpc_call_start(struct rpc_channel *channel, const struct rpc_call_options *options,
	struct slices *body, struct rpc_call **out)
{
	struct rpc_call_options ours = *options;
	struct watched *watched;

	assert_ptr_equal(channel, attendant.channel);
	if (attendant.no_calls) {
		slices_done(body);
		return -ENOMEM;
	}
	attendant.started++;
	watched = malloc(sizeof *watched);
	assert_non_null(watched);
	*watched = (struct watched){options->done, options->arg};
	ours.done = came_home;
	ours.arg = watched;
	return __real_rpc_call_start(channel, &ours, body, out);
}

void __wrap_rpc_call_cancel(struct rpc_call *call)
{
	if (!attendant.too_late)
		__real_rpc_call_cancel(call);
}

/* ---- the SuperNode ---- */

static void handle_attend(void *server, struct request *request)
{
	struct slices nothing = {0};

	rig.questions++;
	assert_int_equal(instruction_decode_token(&request->body, &attendant.token), 0);
	if (attendant.answer == KEEPS)
		rig_keep(request);
	else if (attendant.answer == OUTCOME_OK)
		request_reply(request, &nothing);
	else
		request_fail(request, attendant.answer, "as the test says");
}

static const struct method methods[] = {
	{.name = "Attend", .body_max = 64, .handle = handle_attend}};
static const struct service ours = {
	.name = "flwr.native.ClientAppIo", .methods = methods, .n_methods = 1};
static const struct service flowers = {.name = "flwr.proto.ClientAppIo"};

/* Answer the call that is kept; until that is known at the other end. */
static void answer_kept(enum outcome outcome)
{
	unsigned before = attendant.home;
	struct slices nothing = {0};

	if (outcome == OUTCOME_OK)
		request_reply(take_kept(), &nothing);
	else
		request_fail(take_kept(), outcome, "as the test says");
	run_until(attendant.home > before);
	assert_int_equal(attendant.outcome, outcome);
}

/* ---- who attends ---- */

static void on_unwanted(void *arg)
{
	assert_ptr_equal(arg, &attendant);
	attendant.unwanted++;
}

static int setup(void **state)
{
	memset(&attendant, 0, sizeof attendant);
	attendant.answer = KEEPS;
	rig_setup(&ours);
	assert_int_equal(rpc_channel_new(rig.rpc,
				 &(struct rpc_channel_options){
					 .target = rig.address, .receive_max_bytes = 4096},
				 &attendant.channel),
		0);
	return 0;
}

static int teardown(void **state)
{
	attendance_free(attendant.attendance);
	rpc_channel_free(attendant.channel);
	rig_teardown();
	return 0;
}

static struct attendance *attendance_of(uint64_t token)
{
	return attendance_new(rig.loop, rig.log.log,
		&(struct attendance_options){.channel = attendant.channel,
			.token = token,
			.unwanted = on_unwanted,
			.arg = &attendant});
}

/* Attend the message of this token, and the one before no more. */
static void attend(uint64_t token)
{
	attendance_free(attendant.attendance);
	rig.timer = NULL;
	rig.planned_ms = 0;
	attendant.attendance = attendance_of(token);
	assert_non_null(attendant.attendance);
}

/* The SuperNode is there, and has been called about this token. */
static void attends(uint64_t token)
{
	if (!rig.server)
		supernode_comes();
	attend(token);
	run_until(rig.kept);
	assert_true(attendant.token == token);
}

/* Nothing is out or will be, and unwanted() has come so often. */
static void nothing_more(unsigned unwanted)
{
	unsigned started = attendant.started;

	assert_int_equal(attendant.home, started);
	assert_int_equal(rig.planned_ms, 0);
	kit_clock_pass(LONG_MS);
	assert_int_equal(attendant.started, started);
	assert_int_equal(attendant.unwanted, unwanted);
}

/* It was freed, whatever it did; what it has started comes home. */
static void freed(void)
{
	attendance_free(take_pointer(&attendant.attendance));
	run_until(attendant.home == attendant.started);
	kit_clock_pass(LONG_MS);
	assert_int_equal(attendant.home, attendant.started);
	assert_int_equal(attendant.unwanted, 0);
}

/* ---- what the SuperNode says ---- */

static void the_token_is_in_the_call(void **state)
{
	static const uint64_t tokens[] = {1, TOKEN, UINT64_MAX};

	for (size_t i = 0; i < ARRAY_LEN(tokens); i++) {
		attends(tokens[i]);
		/* It is out for as long as it takes. */
		kit_clock_pass(LONG_MS);
		assert_int_equal(attendant.started, i + 1);
		assert_int_equal(attendant.home, i);
		answer_kept(OUTCOME_OK);
	}
	assert_int_equal(rig.connections, 1);
	nothing_more(0);
}

/* Answered by somebody else: now, and already before the call. */
static void over_otherwise(void **state)
{
	static const enum outcome outcomes[] = {
		OUTCOME_FAILED_PRECONDITION, OUTCOME_INVALID_ARGUMENT};
	unsigned times = 0;

	for (size_t i = 0; i < ARRAY_LEN(outcomes); i++) {
		attendant.answer = KEEPS;
		attends(TOKEN + times);
		kit_clock_pass(LONG_MS);
		assert_int_equal(attendant.unwanted, times);
		answer_kept(outcomes[i]);
		nothing_more(++times);
		attendant.answer = outcomes[i];
		attend(TOKEN + times);
		run_until(attendant.home == attendant.started);
		nothing_more(++times);
	}
	assert_int_equal(attendant.started, 4);
}

/* The token has ended by the outputs that the worker owes. */
static void over_by_its_outputs(void **state)
{
	attends(TOKEN);
	answer_kept(OUTCOME_OK);
	nothing_more(0);
	attends(ANOTHER);
	answer_kept(OUTCOME_FAILED_PRECONDITION);
	nothing_more(1);
}

static void flowers_supernode(void **state)
{
	rig.service = &flowers;
	supernode_comes();
	for (unsigned i = 1; i <= 2; i++) {
		attend(TOKEN + i);
		run_until(attendant.home == i);
		assert_int_equal(attendant.outcome, OUTCOME_UNIMPLEMENTED);
		nothing_more(0);
	}
	assert_int_equal(rig.questions, 0);
	assert_int_equal(rig.reconnects, 0);
}

/* ---- a SuperNode that is not there ---- */

/* Between two tries: doubled each time, up to 2 s. */
static const int64_t waits_ms[] = {100, 200, 400, 800, 1600, 2000, 2000, 2000};

static void one_that_has_no_room(void **state)
{
	supernode_comes();
	attendant.answer = OUTCOME_UNAVAILABLE;
	attend(TOKEN);
	for (size_t i = 0; i < ARRAY_LEN(waits_ms); i++) {
		asks_again_in(waits_ms[i]);
		assert_int_equal(rig.reconnects, i + 1);
		kit_clock_pass(waits_ms[i] - 1);
		assert_int_equal(attendant.started, i + 1);
		attendant.token = 0;
		asks_again();
		assert_int_equal(attendant.token, TOKEN);
	}
	asks_again_in(2000);
	attendant.answer = OUTCOME_INVALID_ARGUMENT;
	assert_int_equal(attendant.unwanted, 0);
	asks_again();
	run_until(attendant.unwanted);
	nothing_more(1);
}

static void one_that_is_not_there_and_then_is(void **state)
{
	attend(TOKEN);
	for (size_t i = 0; i < ARRAY_LEN(waits_ms); i++) {
		asks_again_in(waits_ms[i]);
		assert_int_equal(attendant.outcome, OUTCOME_UNAVAILABLE);
		assert_int_equal(rig.reconnects, i + 1);
		rig.planned_ms = 0;
		kit_clock_pass(waits_ms[i]);
	}
	asks_again_in(2000);
	supernode_comes();
	until_asked();
	assert_int_equal(attendant.token, TOKEN);
	rig.planned_ms = 0;
	answer_kept(OUTCOME_OK);
	nothing_more(0);
}

static void one_that_goes_and_comes_back(void **state)
{
	attends(TOKEN);
	for (unsigned i = 1; i <= 3; i++) {
		kit_clock_pass(LONG_MS);
		rig.planned_ms = 0;
		supernode_goes();
		assert_int_equal(rig.cancelled, i);
		asks_again_in(100);
		assert_int_equal(attendant.outcome, OUTCOME_UNAVAILABLE);
		attendant.token = 0;
		supernode_comes();
		until_asked();
		assert_int_equal(attendant.token, TOKEN);
		assert_int_equal(rig.connections, i + 1);
	}
	assert_int_equal(attendant.unwanted, 0);
	rig.planned_ms = 0;
	answer_kept(OUTCOME_FAILED_PRECONDITION);
	nothing_more(1);
}

/* The SuperNode sees us come back, by another connection. */
static void a_connection_that_breaks(void **state)
{
	attends(TOKEN);
	connection_breaks();
	asks_again_in(100);
	assert_int_equal(attendant.outcome, OUTCOME_UNAVAILABLE);
	run_until(rig.cancelled == 1);
	attendant.token = 0;
	asks_again();
	assert_int_equal(attendant.token, TOKEN);
	assert_int_equal(rig.connections, 2);
	answer_kept(OUTCOME_OK);
	nothing_more(0);
}

/* A call that lasted: the next try is soon; one that did not is one more that failed. */
static void waits_after_a_call_that_lasted(void **state)
{
	supernode_comes();
	attendant.answer = OUTCOME_UNAVAILABLE;
	attend(TOKEN);
	for (size_t i = 0; i < 3; i++) {
		asks_again_in(waits_ms[i]);
		if (i == 2)
			attendant.answer = KEEPS;
		asks_again();
	}
	kit_clock_pass(1900);
	answer_kept(OUTCOME_UNAVAILABLE);
	asks_again_in(800);
	asks_again();
	kit_clock_pass(2100);
	answer_kept(OUTCOME_UNAVAILABLE);
	asks_again_in(100);
	asks_again();
	answer_kept(OUTCOME_UNAVAILABLE);
	asks_again_in(200);
}

static void no_memory_for_a_call(void **state)
{
	supernode_comes();
	attendant.no_calls = true;
	attend(TOKEN);
	asks_again_in(100);
	kit_clock_pass(100);
	asks_again_in(200);
	attendant.no_calls = false;
	asks_again();
	assert_int_equal(attendant.token, TOKEN);
	answer_kept(OUTCOME_FAILED_PRECONDITION);
	assert_int_equal(attendant.unwanted, 1);
}

/* ---- several messages ---- */

static void each_message_has_a_call_of_its_own(void **state)
{
	struct attendance *other;

	attends(TOKEN);
	other = attendance_of(ANOTHER);
	attendant.answer = OUTCOME_UNAVAILABLE;
	assert_non_null(other);
	assert_int_equal(attendant.started, 2);
	run_until(attendant.home == 1);
	assert_int_equal(attendant.token, ANOTHER);
	attendant.answer = OUTCOME_FAILED_PRECONDITION;
	run_until((kit_clock_pass(100), attendant.unwanted == 1));
	assert_int_equal(attendant.token, ANOTHER);
	attendance_free(other);
	assert_int_equal(attendant.home, attendant.started - 1);
	/* The first one is attended still. */
	answer_kept(OUTCOME_FAILED_PRECONDITION);
	nothing_more(2);
}

/* ---- its end ---- */

static void freed_while_the_call_is_out(void **state)
{
	attends(TOKEN);
	freed();
	assert_int_equal(attendant.outcome, OUTCOME_CANCELLED);
	run_until(rig.cancelled == 1);
}

static void freed_with_the_answer_on_its_way(void **state)
{
	static const enum outcome outcomes[] = {OUTCOME_FAILED_PRECONDITION,
		OUTCOME_INVALID_ARGUMENT, OUTCOME_OK, OUTCOME_UNAVAILABLE};

	attendant.too_late = true;
	for (size_t i = 0; i < ARRAY_LEN(outcomes); i++) {
		attends(TOKEN + i);
		attendance_free(take_pointer(&attendant.attendance));
		answer_kept(outcomes[i]);
		assert_int_equal(attendant.started, i + 1);
		nothing_more(0);
	}
}

/* As flwr-clientapp ends: the channel goes at once, too. */
static void freed_with_its_channel(void **state)
{
	attends(TOKEN);
	attendance_free(take_pointer(&attendant.attendance));
	rpc_channel_free(take_pointer(&attendant.channel));
	run_until(attendant.home == 1);
	run_until(rig.cancelled == 1);
	assert_int_equal(attendant.unwanted, 0);
}

static void freed_between_two_tries(void **state)
{
	attend(TOKEN);
	asks_again_in(100);
	freed();
	assert_int_equal(attendant.started, 1);
	/* The next one is tried at once, and at a pace of its own. */
	attend(ANOTHER);
	assert_int_equal(attendant.started, 2);
	asks_again_in(100);
}

static void freed_after_its_end(void **state)
{
	attends(TOKEN);
	answer_kept(OUTCOME_OK);
	freed();
	assert_int_equal(attendant.started, 1);
	attendance_free(NULL);
}

static void no_memory_for_one(void **state)
{
	rig.no_timers = true;
	assert_null(attendance_of(TOKEN));
	assert_int_equal(attendant.started, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_token_is_in_the_call),
		TEST(over_otherwise),
		TEST(over_by_its_outputs),
		TEST(flowers_supernode),
		TEST(one_that_has_no_room),
		TEST(one_that_is_not_there_and_then_is),
		TEST(one_that_goes_and_comes_back),
		TEST(a_connection_that_breaks),
		TEST(waits_after_a_call_that_lasted),
		TEST(no_memory_for_a_call),
		TEST(each_message_has_a_call_of_its_own),
		TEST(freed_while_the_call_is_out),
		TEST(freed_with_the_answer_on_its_way),
		TEST(freed_with_its_channel),
		TEST(freed_between_two_tries),
		TEST(freed_after_its_end),
		TEST(no_memory_for_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
