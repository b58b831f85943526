/*
 * Calls that do not come to an answer: deadlines, callers and servers that go, and the order of the
 * end.
 */
#include "fixture.h"

#include <sys/socket.h>

static struct slices some_body(void)
{
	return body_of(1000);
}

/* answer comes, with outcome; its body is empty. */
static void expect(struct world *world, struct answer *answer, enum outcome outcome)
{
	world_wait(world, &answer->done);
	if (answer->outcome != outcome)
		print_error("status %d: %s\n", answer->status, answer->details);
	assert_int_equal(answer->outcome, outcome);
	assert_int_equal(answer->body.n, 0);
	answer_done(answer);
}

static void expect_works(struct world *world, struct rpc_channel *channel)
{
	struct answer answer = {0};

	call_run(world, channel, "Echo", some_body(), &answer);
	assert_int_equal(answer.outcome, OUTCOME_OK);
	assert_int_equal(answer.body.bytes, 1000);
	answer_done(&answer);
}

static void test_deadline(void **state)
{
	static const char *const methods[] = {"Gate", "Later"};
	struct world *world = *state;
	struct rpc_channel *channel = world_channel(world, 0);

	for (unsigned i = 0; i < ARRAY_LEN(methods); i++) {
		struct answer answer = {0};
		struct request *request;

		call_start(channel, methods[i], some_body(), 200, &answer);
		request = world_take_waiting(world);
		expect(world, &answer, OUTCOME_DEADLINE_EXCEEDED);
		world_wait_count(world, &world->cancelled, i + 1);
		assert_int_equal(request->state, REQUEST_CANCELLED);
		if (i == 0)
			request_admit(request);
		else
			reply_text(request, "too late");
		expect_works(world, channel);
	}
	rpc_channel_free(channel);
}

static void test_client_cancels(void **state)
{
	static const char *const methods[] = {"Gate", "Later"};
	struct world *world = *state;
	struct rpc_channel *channel = world_channel(world, 0);

	for (unsigned i = 0; i < 2 * ARRAY_LEN(methods); i++) {
		struct answer answer = {0};
		struct rpc_call *call;

		world->answer_cancelled = i >= ARRAY_LEN(methods);
		call = call_start(channel, methods[i % 2], some_body(), 0, &answer);
		world_wait_waiting(world);
		rpc_call_cancel(call);
		assert_false(answer.done);
		expect(world, &answer, OUTCOME_CANCELLED);
		world_wait_count(world, &world->cancelled, i + 1);
		if (!world->answer_cancelled)
			request_fail(world_take_waiting(world), OUTCOME_INTERNAL, "late");
		assert_null(world->waiting);
	}
	expect_works(world, channel);
	rpc_channel_free(channel);
}

/* Cancelled before anything was sent, and twice. */
static void test_cancel_at_once(void **state)
{
	struct world *world = *state;
	struct rpc_channel *channel = world_channel(world, 0);
	struct answer answer = {0};
	struct rpc_call *call = call_start(channel, "Echo", body_of(10 * MIB), 0, &answer);

	rpc_call_cancel(call);
	rpc_call_cancel(call);
	expect(world, &answer, OUTCOME_CANCELLED);
	expect_works(world, channel);
	rpc_channel_free(channel);
}

static void test_channel_freed(void **state)
{
	struct world *world = *state;
	struct rpc_channel *channel = world_channel(world, 0);
	struct answer answers[3] = {0};

	world->answer_cancelled = true;
	call_start(channel, "Later", some_body(), 0, &answers[0]);
	world_wait_waiting(world);
	call_start(channel, "Echo", body_of(10 * MIB), 0, &answers[1]);
	call_start(channel, "Echo", body_of(10 * MIB), 0, &answers[2]);
	rpc_channel_free(channel);
	for (unsigned i = 0; i < ARRAY_LEN(answers); i++)
		assert_false(answers[i].done);
	for (unsigned i = 0; i < ARRAY_LEN(answers); i++)
		expect(world, &answers[i], OUTCOME_CANCELLED);
	world_wait_count(world, &world->cancelled, 1);
	rpc_channel_free(NULL);
}

struct chain {
	struct rpc_channel *channel;
	struct answer *answer;
	unsigned left;
};

/* A callback that starts the next call, and at last frees the channel. */
static void chain_next(void *arg, struct rpc_result *result)
{
	struct chain *chain = arg;
	struct rpc_call_options options = {
		.path = "/test.Service/Echo", .done = chain_next, .arg = chain};
	struct slices body = {0};

	assert_int_equal(result->outcome, OUTCOME_OK);
	assert_int_equal(slices_move(&body, &result->body), 0);
	if (chain->left-- > 0) {
		assert_int_equal(rpc_call_start(chain->channel, &options, &body, NULL), 0);
		return;
	}
	rpc_channel_free(chain->channel);
	assert_int_equal(slices_move(&result->body, &body), 0);
	call_finish(chain->answer, result);
}

static void test_chain(void **state)
{
	struct world *world = *state;
	struct answer answer = {0};
	struct chain chain = {.channel = world_channel(world, 0), .answer = &answer, .left = 20};
	struct rpc_call_options options = {
		.path = "/test.Service/Echo", .done = chain_next, .arg = &chain};
	struct slices body = some_body(), sent = {0};

	assert_int_equal(slices_append_refs(&sent, &body), 0);
	assert_int_equal(rpc_call_start(chain.channel, &options, &sent, NULL), 0);
	world_wait(world, &answer.done);
	assert_true(slices_equal(&answer.body, &body));
	answer_done(&answer);
	slices_done(&body);
}

/* The listener says that a connection has ended while its calls are at hand. */
static void test_peer_gone(void **state)
{
	struct world *world = *state;
	struct rpc_channel *mine = world_channel(world, 1), *other = world_channel(world, 2);
	struct answer gone = {0}, stays = {0};
	struct request *request, *untouched;

	call_start(mine, "Later", some_body(), 0, &gone);
	request = world_take_waiting(world);
	call_start(other, "Later", some_body(), 0, &stays);
	untouched = world_take_waiting(world);

	rpc_server_peer_gone(world->server, &world->peers[1]);
	memset(&world->peers[1], 0xee, sizeof world->peers[1]);
	assert_ptr_not_equal(request->peer, &world->peers[1]);
	assert_int_equal(request->peer->connection, 2);
	assert_string_equal(request->peer->text, "peer 1");
	assert_ptr_equal(untouched->peer, &world->peers[2]);
	assert_int_equal(world->cancelled, 0);
	world_wait_count(world, &world->cancelled, 1);
	expect(world, &gone, OUTCOME_CANCELLED);
	reply_text(request, "nobody hears");

	/* A call that came by it all the same is nobody's. */
	call_start(mine, "Echo", some_body(), 0, &gone);
	expect(world, &gone, OUTCOME_UNAVAILABLE);
	reply_text(untouched, "yes");
	world_wait(world, &stays.done);
	assert_answer(&stays, "yes");
	answer_done(&stays);
	rpc_channel_free(mine);
	rpc_channel_free(other);
}

/* The other process dies: its socket closes. */
static void test_client_dies(void **state)
{
	struct world *world = *state;
	struct rpc_channel *channel;
	struct answer answer = {0};
	struct request *request;
	int fd = world_connect(world, 0), kept = dup(fd);
	struct rpc_channel_options options = {.target = "x", .receive_max_bytes = MIB};

	assert_true(kept >= 0);
	assert_int_equal(rpc_channel_from_fd(world->rpc, fd, &options, &channel), 0);
	call_start(channel, "Later", some_body(), 0, &answer);
	request = world_take_waiting(world);
	assert_int_equal(shutdown(kept, SHUT_RDWR), 0);
	expect(world, &answer, OUTCOME_UNAVAILABLE);
	world_wait_count(world, &world->cancelled, 1);
	request_fail(request, OUTCOME_INTERNAL, "");
	close(kept);
	rpc_channel_free(channel);
}

/* ---- shutdown ---- */

static void test_shutdown_idle(void **state)
{
	struct world *world = *state;
	struct rpc_channel *used = world_channel(world, 0), *fresh = world_channel(world, 1);
	int silent = world_connect(world, 2);

	expect_works(world, used);
	world_shutdown(world, 60000);
	assert_int_equal(world->ended, 0);
	/* Sooner than its grace, which is longer than a test waits. */
	world_wait_count(world, &world->ended, 1);
	rpc_channel_free(used);
	rpc_channel_free(fresh);
	close(silent);
}

static void test_shutdown_grace(void **state)
{
	struct world *world = *state;
	struct rpc_channel *channel = world_channel(world, 0);
	struct slices body = body_of(8 * MIB), back = {0};
	struct answer answer = {0}, late = {0};
	struct request *request;

	call_start(channel, "Later", some_body(), 0, &answer);
	request = world_take_waiting(world);
	world_shutdown(world, 60000);
	call_start(channel, "Echo", some_body(), 0, &late);
	/* Which of them depends on whether the client has learnt of the end already. */
	world_wait(world, &late.done);
	assert_true(late.outcome == OUTCOME_UNAVAILABLE || late.outcome == OUTCOME_CANCELLED);
	answer_done(&late);
	assert_int_equal(world->handled, 0);
	assert_int_equal(world->ended, 0);
	assert_int_equal(world->cancelled, 0);
	assert_int_equal(slices_append_refs(&back, &body), 0);
	request_reply(request, &back);
	assert_int_equal(world->ended, 0);
	/* The answer still arrives, whole. */
	world_wait(world, &answer.done);
	assert_int_equal(answer.outcome, OUTCOME_OK);
	assert_true(slices_equal(&answer.body, &body));
	world_wait_count(world, &world->ended, 1);
	answer_done(&answer);
	slices_done(&body);
	rpc_channel_free(channel);
}

static void test_shutdown_grace_over(void **state)
{
	struct world *world = *state;
	struct rpc_channel *channel = world_channel(world, 0);
	struct answer later = {0}, gate = {0};
	struct request *handling, *admitting;

	call_start(channel, "Later", some_body(), 0, &later);
	handling = world_take_waiting(world);
	call_start(channel, "Gate", body_of(20 * MIB), 0, &gate);
	admitting = world_take_waiting(world);
	world_shutdown(world, 50);
	expect(world, &later, OUTCOME_UNAVAILABLE);
	expect(world, &gate, OUTCOME_UNAVAILABLE);
	world_wait_count(world, &world->cancelled, 2);
	/* Two answers are owed still. */
	assert_int_equal(world->ended, 0);
	request_fail(admitting, OUTCOME_INTERNAL, "");
	assert_int_equal(world->ended, 0);
	reply_text(handling, "nobody hears");
	assert_int_equal(world->ended, 0);
	world_wait_count(world, &world->ended, 1);
	rpc_channel_free(channel);
}

/* No done(), and nobody waits for it but rpc_free(). */
static void test_shutdown_unwatched(void **state)
{
	struct world *world = *state;
	struct rpc_channel *channel = world_channel(world, 0);
	struct answer answer = {0};

	world->answer_cancelled = true;
	call_start(channel, "Later", some_body(), 0, &answer);
	world_wait_waiting(world);
	rpc_server_shutdown(world->server, 0, NULL, NULL);
	world->server = NULL;
	rpc_channel_free(channel);
	rpc_free(world->rpc);
	assert_int_equal(world->cancelled, 1);
	assert_true(answer.done);
	answer_done(&answer);
	world->ended = 1;
	assert_int_equal(rpc_new(world->loop, &world->rpc), 0);
}

/* Connections that come while the server ends are closed. */
static void test_add_after_shutdown(void **state)
{
	struct world *world = *state;
	struct rpc_channel *channel = world_channel(world, 0);
	struct rpc_server *server = world->server;
	struct answer answer = {0};
	struct request *request;
	int ends[2];
	char byte;

	call_start(channel, "Later", some_body(), 0, &answer);
	request = world_take_waiting(world);
	world_shutdown(world, 60000);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	rpc_server_add(server, ends[0], &world->peers[1]);
	assert_int_equal(recv(ends[1], &byte, 1, 0), 0);
	close(ends[1]);
	reply_text(request, "x");
	world_wait(world, &answer.done);
	assert_answer(&answer, "x");
	answer_done(&answer);
	rpc_channel_free(channel);
}

static void test_many_connections(void **state)
{
	struct world *world = *state;

	for (int i = 0; i < 100; i++) {
		struct rpc_channel *channel = world_channel(world, 0);

		expect_works(world, channel);
		rpc_channel_free(channel);
		rpc_server_peer_gone(world->server, &world->peers[0]);
	}
}

/* Two programs' parts in one process: each has a queue of its own. */
static void test_two(void **state)
{
	struct world *world = *state;
	void *second = NULL;
	struct rpc_channel *one, *two;

	assert_int_equal(world_setup(&second), 0);
	one = world_channel(world, 0);
	two = world_channel(second, 0);
	expect_works(world, one);
	expect_works(second, two);
	rpc_channel_free(two);
	assert_int_equal(world_teardown(&second), 0);
	expect_works(world, one);
	rpc_channel_free(one);
}

#define WORLD_TEST(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(test_deadline),
		WORLD_TEST(test_client_cancels),
		WORLD_TEST(test_cancel_at_once),
		WORLD_TEST(test_channel_freed),
		WORLD_TEST(test_chain),
		WORLD_TEST(test_peer_gone),
		WORLD_TEST(test_client_dies),
		WORLD_TEST(test_shutdown_idle),
		WORLD_TEST(test_shutdown_grace),
		WORLD_TEST(test_shutdown_grace_over),
		WORLD_TEST(test_shutdown_unwatched),
		WORLD_TEST(test_add_after_shutdown),
		WORLD_TEST(test_many_connections),
		WORLD_TEST(test_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
