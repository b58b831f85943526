#include "fixture.h"

#include <signal.h>

int world_setup(void **state)
{
	static struct world world;
	struct http_client_options options = {.receive_max_bytes = 96 * MIB};

	signal(SIGPIPE, SIG_IGN);
	world = (struct world){0};
	*state = &world;
	kit_child_start(&world.peer, KIT_OLDEST, FLWR_TEST_DIR "/stand_in.py");
	snprintf(
		world.address, sizeof world.address, "%s", kit_child_value(&world.peer, "address"));
	kit_log_init(&world.log, NULL, LOG_LEVEL_INFO);
	assert_int_equal(loop_new(&world.loop), 0);
	assert_int_equal(http_new(world.loop, &world.http, NULL), 0);
	options.address = world.address;
	options.log = world.log.log;
	options.user_agent = "test/1";
	assert_int_equal(http_client_new(world.http, &options, &world.client), 0);
	return 0;
}

int world_teardown(void **state)
{
	struct world *world = *state;

	http_client_free(world->client);
	http_free(world->http);
	loop_free(world->loop);
	kit_log_done(&world->log);
	kit_child_end(&world->peer);
	return 0;
}

static void finish(void *arg, struct http_result *result)
{
	struct answer *answer = arg;

	answer->done++;
	answer->failure = result->failure;
	answer->outcome = result->outcome;
	answer->status = result->status;
	answer->date_s = result->date_s;
	snprintf(answer->details, sizeof answer->details, "%s", result->details);
	snprintf(answer->type, sizeof answer->type, "%s", result->content_type);
	answer->body = result->body;
	result->body = (struct slices){0};
}

void ask(struct world *world, const char *path, struct slices *body, int64_t timeout_ms,
	const char *what, struct answer *answer)
{
	struct http_header header = {"x-test", "a value"};
	struct http_call_options options = {.path = path,
		.headers = &header,
		.n_headers = 1,
		.timeout_ms = timeout_ms,
		.answer_max_bytes = world->answer_max_bytes,
		.keeps_head = world->keeps_head,
		.what = what,
		.done = finish,
		.arg = answer};
	struct slices none = {0};

	*answer = (struct answer){0};
	assert_int_equal(
		http_call_start(world->client, &options, body ? body : &none, &answer->call), 0);
	assert_int_equal(answer->done, 0);
}

void wait_for(struct world *world, const struct answer *answer)
{
	kit_loop_until(world->loop, answer->done);
	assert_int_equal(answer->done, 1);
}

void call(struct world *world, const char *path, struct slices *body, struct answer *answer)
{
	ask(world, path, body, 20000, NULL, answer);
	wait_for(world, answer);
}

void answer_done(struct answer *answer)
{
	slices_done(&answer->body);
}

void expect_body(const struct answer *answer, const char *text)
{
	char body[512];

	assert_true(answer->body.bytes < sizeof body);
	assert_int_equal(slices_read(&answer->body, 0, body, answer->body.bytes), 0);
	body[answer->body.bytes] = '\0';
	assert_string_equal(body, text);
}

void expect_text(struct world *world, const char *path, const char *text)
{
	struct answer answer;

	call(world, path, NULL, &answer);
	assert_int_equal(answer.failure, HTTP_FAILURE_NONE);
	assert_int_equal(answer.status, 200);
	expect_body(&answer, text);
	answer_done(&answer);
}

struct slices bytes_of(size_t mib)
{
	struct slices list = {0};

	for (size_t i = 0; i < mib; i++) {
		void *piece = malloc(MIB);
		struct slice slice;

		assert_non_null(piece);
		memset(piece, 0xa5, MIB);
		assert_int_equal(slice_take(piece, MIB, &slice), 0);
		assert_int_equal(slices_append(&list, slice), 0);
	}
	return list;
}
