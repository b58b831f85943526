/*
 * Asking for tasks beside messages: of SuperNodes that know one of the questions, or both. The
 * clock stands still but for kit_clock_pass().
 */
#include "clientapp/api/work_poll.h"

#include "common/message/app_codec.h"
#include "common/message/instruction_codec.h"
#include "common/message/task_codec.h"
#include "common/message/worker_api.h"
#include "rig.h"

#define TOKEN "0123456789abcdef"

/* How the SuperNode answers a question. */
enum manner { GIVES, HAS_NONE, KEEPS, DISOWNS };

static struct {
	enum manner instruction, task;
	bool claimed_by_others;
	unsigned token_questions, task_questions, claims;
	struct work_poll *poll;
	unsigned got;
	uint64_t token;
	char task_token[64];
	const struct spelling *spelling;
} asker;

static void reply_token(struct request *request)
{
	struct slices body = {0};

	assert_int_equal(instruction_encode_token(7, &body), 0);
	request_reply(request, &body);
}

static void handle_get_token(void *server, struct request *request)
{
	rig.questions++;
	asker.token_questions++;
	if (asker.instruction == GIVES)
		reply_token(request);
	else if (asker.instruction == HAS_NONE)
		request_fail(request, OUTCOME_FAILED_PRECONDITION, "No inputs available.");
	else if (asker.instruction == KEEPS)
		rig_keep(request);
	else
		request_fail(request, OUTCOME_UNAUTHENTICATED, "Unauthenticated");
}

static void handle_pending(void *server, struct request *request)
{
	struct slices body = {0};

	asker.task_questions++;
	if (asker.task == DISOWNS) {
		request_fail(request, OUTCOME_UNIMPLEMENTED, "Method not found!");
		return;
	}
	assert_int_equal(task_encode_pending(asker.task == GIVES ? 42 : 0, 1, &body), 0);
	request_reply(request, &body);
}

static void handle_claim(void *server, struct request *request)
{
	struct slices body = {0};
	uint64_t id = 0;

	asker.claims++;
	assert_int_equal(task_decode_claim(&request->body, &id), 0);
	assert_int_equal(id, 42);
	/* No token can be on its way. */
	assert_null(rig.kept);
	assert_int_equal(task_encode_claimed(asker.claimed_by_others ? NULL : TOKEN, &body), 0);
	request_reply(request, &body);
}

static void handle_runs(void *server, struct request *request)
{
	struct slices body = {0};

	assert_int_equal(app_encode_runs(asker.task == GIVES ? 42 : 0, &body), 0);
	request_reply(request, &body);
}

static void handle_request(void *server, struct request *request)
{
	struct slices body = {0};
	uint64_t id = 0;

	asker.claims++;
	assert_int_equal(app_decode_request(&request->body, &id), 0);
	assert_int_equal(id, 42);
	assert_int_equal(app_encode_requested(TOKEN, &body), 0);
	request_reply(request, &body);
}

static const struct method instruction_methods[] = {
	{.name = "GetToken", .body_max = 64, .handle = handle_get_token}};
static const struct method task_methods[] = {
	{.name = "PullPendingTasks", .body_max = 64, .handle = handle_pending},
	{.name = "ClaimTask", .body_max = 64, .handle = handle_claim}};
static const struct service services[] = {
	{.name = "flwr.proto.ClientAppIo", .methods = instruction_methods, .n_methods = 1},
	{.name = WORKER_API_RUNTIME, .methods = task_methods, .n_methods = 2}};

/* Of releases that know no other way. */
static const struct method runs_methods[] = {
	{.name = "GetRunIdsWithPendingMessages", .body_max = 64, .handle = handle_runs},
	{.name = "RequestToken", .body_max = 64, .handle = handle_request}};
static const struct method apps_methods[] = {
	{.name = "ListAppsToLaunch", .body_max = 64, .handle = handle_runs},
	{.name = "RequestToken", .body_max = 64, .handle = handle_request}};
static const struct {
	struct service service;
	const struct spelling *spelling;
} others[] = {
	{{.name = "flwr.proto.ClientAppIo", .methods = runs_methods, .n_methods = 2},
		&spelling_1_20},
	{{.name = "flwr.proto.ClientAppIo", .methods = apps_methods, .n_methods = 2},
		&spelling_1_26},
	{{.name = "flwr.proto.ClientAppIo", .methods = task_methods, .n_methods = 2},
		&spelling_1_32},
	{{.name = WORKER_API_RUNTIME, .methods = task_methods, .n_methods = 2}, &spelling_1_34},
};

static void on_token(void *arg, const struct work *work)
{
	const char *task_token = work->task_token;

	assert_ptr_equal(arg, &asker);
	asker.got++;
	asker.token = work->token;
	asker.spelling = work->spelling;
	snprintf(asker.task_token, sizeof asker.task_token, "%s", task_token ? task_token : "");
}

static int setup(void **state)
{
	memset(&asker, 0, sizeof asker);
	rig_setup(services);
	rig.n_services = 2;
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

/* Time passes until that has happened n times. */
static void until(const unsigned *counter, unsigned n)
{
	run_until((kit_clock_pass(1000), *counter >= n));
}

static void assert_task(unsigned got)
{
	run_until(asker.got == got);
	assert_int_equal(asker.token, 0);
	assert_string_equal(asker.task_token, TOKEN);
}

/* A SuperNode that answers the two questions like this is asked for a message. */
static void ask_one(enum manner instruction, enum manner task)
{
	asker.instruction = instruction;
	asker.task = task;
	supernode_comes();
	work_poll_ask(asker.poll);
}

/* Flower 1.34. */
static void of_one_that_knows_tasks_only(void **state)
{
	ask_one(DISOWNS, HAS_NONE);
	run_until(asker.task_questions == 1 && asker.token_questions == 1);
	until(&asker.task_questions, 5);
	asker.task = GIVES;
	until(&asker.got, 1);
	assert_task(1);
	assert_int_equal(asker.token_questions, 1);
	/* Nor is it the next time. */
	work_poll_ask(asker.poll);
	assert_task(2);
	assert_int_equal(asker.token_questions, 1);
	assert_int_equal(asker.claims, 2);
	assert_int_equal(kit_log_count(&rig.log, "test: "), 0);
}

/* Flower 1.20, 1.21 - 1.29, 1.30 - 1.33, 1.34. */
static void in_the_way_that_it_knows(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		rig.service = &others[i].service;
		rig.n_services = 1;
		ask_one(DISOWNS, HAS_NONE);
		settle();
		asker.task = GIVES;
		until(&asker.got, 1);
		assert_task(1);
		assert_ptr_equal(asker.spelling, others[i].spelling);
		assert_int_equal(asker.claims, 1);
		/* Found once and for all. */
		work_poll_ask(asker.poll);
		assert_task(2);
		assert_int_equal(kit_log_count(&rig.log, "test: "), 0);
		if (i + 1 < ARRAY_LEN(others)) {
			teardown(state);
			assert_int_equal(setup(state), 0);
		}
	}
}

/* Flower 1.15. */
static void of_one_that_knows_messages_only(void **state)
{
	ask_one(HAS_NONE, DISOWNS);
	run_until(asker.task_questions == 1 && asker.token_questions == 1);
	until(&asker.token_questions, 5);
	assert_int_equal(asker.task_questions, 1);
	asker.instruction = GIVES;
	until(&asker.got, 1);
	assert_int_equal(asker.token, 7);
	assert_string_equal(asker.task_token, "");
	assert_int_equal(kit_log_count(&rig.log, "test: "), 0);
}

/* This project's. */
static void a_question_is_taken_back_before_a_task_is_claimed(void **state)
{
	ask_one(KEEPS, GIVES);
	assert_task(1);
	assert_int_equal(rig.cancelled, asker.token_questions);
	assert_int_equal(asker.claims, 1);
}

static void a_token_is_worth_more_than_a_task(void **state)
{
	ask_one(GIVES, HAS_NONE);
	run_until(asker.got);
	assert_int_equal(asker.token, 7);
	settle();
	assert_int_equal(asker.claims, 0);
	assert_int_equal(asker.got, 1);
}

static void others_may_be_quicker(void **state)
{
	asker.claimed_by_others = true;
	ask_one(HAS_NONE, GIVES);
	run_until(asker.claims == 1);
	asker.claimed_by_others = false;
	until(&asker.got, 1);
	assert_task(1);
}

static void one_that_knows_neither_is_asked_again(void **state)
{
	ask_one(DISOWNS, DISOWNS);
	run_until(asker.task_questions == 1 && rig.planned_ms > clock_now_ms());
	asker.task = GIVES;
	until(&asker.got, 1);
	assert_task(1);
	/* The log says that the worker tries until then, and that the SuperNode is back. */
	assert_int_equal(kit_log_count(&rig.log, "is there\n"), 2);
}

/* A SuperNode that comes back may know other methods than before. */
static void one_that_was_away_is_asked_both(void **state)
{
	ask_one(DISOWNS, HAS_NONE);
	run_until(asker.task_questions == 1 && asker.token_questions == 1);
	settle();
	supernode_goes();
	kit_clock_pass(1000);
	run_until(kit_log_count(&rig.log, "cannot be reached"));
	asker.instruction = GIVES;
	asker.task = DISOWNS;
	supernode_comes();
	until_asked();
	run_until(asker.got);
	assert_int_equal(asker.token, 7);
}

static void stopped(void **state)
{
	ask_one(DISOWNS, HAS_NONE);
	run_until(asker.task_questions == 1);
	settle();
	work_poll_stop(asker.poll);
	until(&asker.got, 1);
	assert_int_equal(asker.token, 0);
	assert_string_equal(asker.task_token, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(of_one_that_knows_tasks_only),
		TEST(in_the_way_that_it_knows), TEST(of_one_that_knows_messages_only),
		TEST(a_question_is_taken_back_before_a_task_is_claimed),
		TEST(a_token_is_worth_more_than_a_task), TEST(others_may_be_quicker),
		TEST(one_that_knows_neither_is_asked_again), TEST(one_that_was_away_is_asked_both),
		TEST(stopped)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
