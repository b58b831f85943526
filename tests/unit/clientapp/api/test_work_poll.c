/*
 * Asking for messages, with a SuperNode that a test plays. The clock stands still but for
 * kit_clock_pass(). Somewhat long, since a SuperNode that comes and goes is in it.
 */
#include "clientapp/api/work_poll.h"

#include "common/message/instruction_codec.h"
#include "rig.h"

/* How the SuperNode answers. */
enum manner {
	GIVES,   /* a token: 100 + number of the question */
	REFUSES, /* FAILED_PRECONDITION, as Flower's does without a message */
	KEEPS,   /* not now */
	DISOWNS, /* UNIMPLEMENTED */
	BABBLES  /* OK, with what is no answer */
};

static struct {
	/* the SuperNode */
	enum manner manner;
	bool may_wait; /* the last question had the header, with the value that is expected */
	/* what was got */
	struct work_poll *poll;
	unsigned tokens;
	uint64_t token;
} asker;

/* ---- the SuperNode ---- */

static void give(struct request *request)
{
	struct slices body = {0};

	assert_int_equal(instruction_encode_token(100 + rig.questions, &body), 0);
	request_reply(request, &body);
}

static void handle_get_token(void *server, struct request *request)
{
	const char *wait = request_header(request, "flwr-native-wait-ms");
	struct slices babble = {0};

	assert_int_equal(request->body.bytes, 0);
	rig.questions++;
	asker.may_wait = wait && strcmp(wait, "30000") == 0;
	switch (asker.manner) {
	case GIVES:
		give(request);
		break;
	case REFUSES:
		request_fail(request, OUTCOME_FAILED_PRECONDITION, "No inputs available.");
		break;
	case KEEPS:
		rig_keep(request);
		break;
	case DISOWNS:
		request_fail(request, OUTCOME_UNIMPLEMENTED, "Method not found!");
		break;
	case BABBLES: /* a field that is cut off */
		assert_int_equal(slices_append(&babble, slice_static("\x0a\x7f", 2)), 0);
		request_reply(request, &babble);
		break;
	}
}

static const struct method methods[] = {
	{.name = "GetToken", .body_max = 64, .handle = handle_get_token}};
static const struct service service = {
	.name = "flwr.proto.ClientAppIo", .methods = methods, .n_methods = 1};

/* ---- who asks ---- */

static void on_token(void *arg, const struct work *work)
{
	assert_ptr_equal(arg, &asker);
	assert_null(work->task_token);
	asker.tokens++;
	asker.token = work->token;
}

static int setup(void **state)
{
	memset(&asker, 0, sizeof asker);
	rig_setup(&service);
	return work_poll_new(rig.loop, rig.rpc, rig.log.log,
		&(struct work_poll_options){.address = rig.address, .got = on_token, .arg = &asker},
		&asker.poll);
}

static int teardown(void **state)
{
	work_poll_free(asker.poll);
	rig_teardown();
	return 0;
}

static void a_token_that_is_there(void **state)
{
	supernode_comes();
	settle();
	assert_int_equal(rig.questions, 0);
	work_poll_ask(asker.poll);
	assert_int_equal(asker.tokens, 0);
	run_until(asker.tokens);
	assert_int_equal(asker.token, 101);
	assert_true(asker.may_wait);
	/* Nothing more is asked for until it is told to. */
	kit_clock_pass(60000);
	settle();
	assert_int_equal(rig.questions, 1);
	work_poll_ask(asker.poll);
	run_until(asker.tokens == 2);
	assert_int_equal(asker.token, 102);
	assert_int_equal(rig.connections, 1);
	assert_int_equal(kit_log_count(&rig.log, "test: "), 0);
}

/* The answer of Flower's SuperNode while it has no message: asked again after a tenth of the idle
 * time. */
static void refused_until_there_is_one(void **state)
{
	int64_t asked_ms = clock_now_ms(), wait_ms = 0;

	supernode_comes();
	asker.manner = REFUSES;
	work_poll_ask(asker.poll);
	for (int i = 0; i < 45; i++) {
		wait_ms = (clock_now_ms() - asked_ms) / 10;
		wait_ms = wait_ms < 100 ? 100 : wait_ms > 1000 ? 1000 : wait_ms;
		asks_again_in(wait_ms);
		assert_true(asker.may_wait);
		asks_again();
	}
	assert_int_equal(wait_ms, 1000);
	assert_int_equal(asker.tokens, 0);
	asks_again_in(1000);
	asker.manner = GIVES;
	asks_again();
	run_until(asker.tokens == 1);
	assert_int_equal(asker.token, 100 + rig.questions);
	/* After a message, however long it took, the pace is quick again. */
	kit_clock_pass(60000);
	asker.manner = REFUSES;
	work_poll_ask(asker.poll);
	asks_again_in(100);
	assert_int_equal(kit_log_count(&rig.log, "test: "), 0);
}

/* One of ours keeps the question for a while; then it may be asked at once. */
static void kept_until_there_is_one(void **state)
{
	supernode_comes();
	asker.manner = KEEPS;
	work_poll_ask(asker.poll);
	run_until(rig.kept);
	kit_clock_pass(999);
	request_fail(take_kept(), OUTCOME_FAILED_PRECONDITION, "no message came");
	asks_again_in(100);
	asks_again();
	kit_clock_pass(1000);
	request_fail(take_kept(), OUTCOME_FAILED_PRECONDITION, "no message came");
	asks_again_in(0);
	asks_again();
	give(take_kept());
	run_until(asker.tokens);
	assert_int_equal(asker.token, 103);
	assert_int_equal(kit_log_count(&rig.log, "test: "), 0);
}

static void one_that_is_not_there_and_then_is(void **state)
{
	/* Between two tries: doubled each time, up to 2 s. */
	static const int64_t waits[] = {100, 200, 400, 800, 1600, 2000, 2000};

	work_poll_ask(asker.poll);
	for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
		asks_again_in(waits[i]);
		assert_int_equal(rig.reconnects, i + 1);
		rig.planned_ms = 0;
		kit_clock_pass(waits[i]);
	}
	asks_again_in(2000);
	assert_int_equal(kit_log_count(&rig.log, "WARN  test: the SuperNode at unix:"), 1);
	assert_int_equal(kit_log_count(&rig.log, "cannot be reached: UNAVAILABLE"), 1);
	assert_int_equal(kit_log_count(&rig.log, "test: "), 1);
	asker.manner = KEEPS;
	supernode_comes();
	until_asked();
	/* A SuperNode that was away shall answer at once. */
	assert_false(asker.may_wait);
	assert_int_equal(kit_log_count(&rig.log, "is there again"), 0);
	rig.planned_ms = 0;
	request_fail(take_kept(), OUTCOME_FAILED_PRECONDITION, "No inputs available.");
	run_until(rig.planned_ms);
	assert_int_equal(kit_log_count(&rig.log, "INFO  test: the SuperNode at unix:"), 1);
	assert_int_equal(kit_log_count(&rig.log, "sock is there\n"), 1);
	asks_again();
	assert_true(asker.may_wait);
	give(take_kept());
	run_until(asker.tokens);
	assert_int_equal(kit_log_count(&rig.log, "test: "), 2);
}

/* Restarts while a question is kept; each absence is told anew. */
static void one_that_goes_and_comes_back(void **state)
{
	supernode_comes();
	asker.manner = KEEPS;
	work_poll_ask(asker.poll);
	run_until(rig.kept);
	for (unsigned i = 1; i <= 2; i++) {
		rig.planned_ms = 0;
		supernode_goes();
		assert_int_equal(rig.cancelled, i);
		run_until(kit_log_count(&rig.log, "cannot be reached") == i);
		supernode_comes();
		until_asked();
		rig.planned_ms = 0;
		request_fail(take_kept(), OUTCOME_FAILED_PRECONDITION, "No inputs available.");
		run_until(rig.planned_ms);
		assert_int_equal(kit_log_count(&rig.log, "sock is there"), i);
		asks_again();
	}
	give(take_kept());
	run_until(asker.tokens);
	assert_int_equal(asker.tokens, 1);
	assert_int_equal(kit_log_count(&rig.log, "test: "), 4);
}

/* A SuperNode in subprocess isolation, or of another Flower, may be replaced by the right one. */
static void one_that_hands_out_nothing(void **state)
{
	supernode_comes();
	asker.manner = DISOWNS;
	work_poll_ask(asker.poll);
	asks_again_in(100);
	assert_int_equal(kit_log_count(&rig.log, "hands out no messages"), 1);
	assert_int_equal(kit_log_count(&rig.log, "--isolation process"), 1);
	assert_int_equal(kit_log_count(&rig.log, ": UNIMPLEMENTED \""), 1);
	asks_again();
	asks_again_in(200);
	assert_int_equal(kit_log_count(&rig.log, "test: "), 1);
	asker.manner = GIVES;
	asks_again();
	run_until(asker.tokens);
	assert_int_equal(kit_log_count(&rig.log, "sock is there"), 1);
	assert_int_equal(kit_log_count(&rig.log, "test: "), 2);
}

static void one_that_makes_no_sense(void **state)
{
	supernode_comes();
	asker.manner = BABBLES;
	work_poll_ask(asker.poll);
	asks_again_in(100);
	assert_int_equal(kit_log_count(&rig.log, "its answer cannot be decoded"), 1);
	assert_int_equal(asker.tokens, 0);
	assert_int_equal(kit_log_count(&rig.log, "test: "), 1);
	asker.manner = GIVES;
	asks_again();
	run_until(asker.tokens);
}

/* A SuperNode that has not answered in a second keeps the question. */
static void stopped_while_a_question_is_kept(void **state)
{
	supernode_comes();
	asker.manner = KEEPS;
	work_poll_ask(asker.poll);
	run_until(rig.kept);
	work_poll_stop(asker.poll);
	kit_clock_pass(999);
	settle();
	assert_int_equal(rig.cancelled, 0);
	assert_int_equal(asker.tokens, 0);
	kit_clock_pass(1);
	run_until(asker.tokens == 1);
	assert_int_equal(asker.token, 0);
	run_until(rig.cancelled == 1);
	kit_clock_pass(60000);
	settle();
	assert_int_equal(rig.questions, 1);
	assert_int_equal(asker.tokens, 1);
	assert_int_equal(kit_log_count(&rig.log, "test: "), 0);
}

static void stopped_while_a_question_is_kept_for_long(void **state)
{
	supernode_comes();
	asker.manner = KEEPS;
	work_poll_ask(asker.poll);
	run_until(rig.kept);
	kit_clock_pass(20000);
	work_poll_stop(asker.poll);
	kit_clock_pass(0);
	run_until(asker.tokens == 1);
	assert_int_equal(asker.token, 0);
}

static void stopped_between_two_questions(void **state)
{
	supernode_comes();
	asker.manner = REFUSES;
	work_poll_ask(asker.poll);
	asks_again_in(100);
	work_poll_stop(asker.poll);
	assert_int_equal(asker.tokens, 0);
	run_until(asker.tokens == 1);
	assert_int_equal(asker.token, 0);
	/* Before the first question. */
	work_poll_ask(asker.poll);
	work_poll_stop(asker.poll);
	run_until(asker.tokens == 2);
	kit_clock_pass(60000);
	settle();
	assert_int_equal(rig.questions, 1);
	assert_int_equal(asker.tokens, 2);
}

/* A SuperNode that answers at once has given the token away: the poll has to answer for it. */
static void a_token_that_is_on_its_way_when_it_is_stopped(void **state)
{
	supernode_comes();
	asker.manner = KEEPS;
	work_poll_ask(asker.poll);
	run_until(rig.kept);
	work_poll_stop(asker.poll);
	give(take_kept());
	run_until(asker.tokens == 1);
	assert_int_equal(asker.token, 101);
	kit_clock_pass(60000);
	settle();
	assert_int_equal(rig.questions, 1);
	assert_int_equal(asker.tokens, 1);
}

static void freed_while_a_question_is_kept(void **state)
{
	supernode_comes();
	asker.manner = KEEPS;
	work_poll_ask(asker.poll);
	run_until(rig.kept);
	work_poll_free(asker.poll);
	asker.poll = NULL;
	run_until(rig.cancelled == 1);
	kit_clock_pass(60000);
	settle();
	assert_int_equal(rig.questions, 1);
	assert_int_equal(asker.tokens, 0);
	assert_int_equal(kit_log_count(&rig.log, "test: "), 0);
}

static void freed_while_nobody_is_there(void **state)
{
	work_poll_ask(asker.poll);
	asks_again_in(100);
	work_poll_free(asker.poll);
	asker.poll = NULL;
	kit_clock_pass(60000);
	settle();
	assert_int_equal(kit_log_count(&rig.log, "test: "), 1);
}

static void a_bad_address(void **state)
{
	struct work_poll *poll = NULL;

	assert_int_equal(
		work_poll_new(rig.loop, rig.rpc, rig.log.log,
			&(struct work_poll_options){.address = "", .got = on_token}, &poll),
		-EINVAL);
	assert_null(poll);
	work_poll_free(NULL);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_token_that_is_there),
		TEST(refused_until_there_is_one),
		TEST(kept_until_there_is_one),
		TEST(one_that_is_not_there_and_then_is),
		TEST(one_that_goes_and_comes_back),
		TEST(one_that_hands_out_nothing),
		TEST(one_that_makes_no_sense),
		TEST(stopped_while_a_question_is_kept),
		TEST(stopped_between_two_questions),
		TEST(stopped_while_a_question_is_kept_for_long),
		TEST(a_token_that_is_on_its_way_when_it_is_stopped),
		TEST(freed_while_a_question_is_kept),
		TEST(freed_while_nobody_is_there),
		TEST(a_bad_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
