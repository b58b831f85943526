#include "calls.h"

#include "common/base/clock.h"
#include "common/http/http.h"
#include "common/rpc/rpc.h"

#include <signal.h>

struct world world;

static void on_done(void *arg, struct transport_result *result)
{
	struct answer *answer = arg;

	assert_false(answer->done);
	answer->done = true;
	answer->outcome = result->outcome;
	answer->code = result->code;
	answer->too_large = result->too_large;
	answer->unreadable = result->unreadable;
	answer->told_to_end = result->told_to_end;
	answer->date_s = result->date_s;
	snprintf(answer->details, sizeof answer->details, "%s", result->details);
	answer->body = result->body;
	result->body = (struct slices){0};
}

void start(const char *method, struct slices *body, bool sign, struct answer *answer)
{
	struct transport_call call = {.method = method,
		.timeout_ms = answer->timeout_ms < 0 ? 0
			      : answer->timeout_ms   ? answer->timeout_ms
						     : CALL_TIMEOUT_MS,
		.answer_max_bytes = answer->max_bytes,
		.keeps_head = answer->keeps_head,
		.done = on_done,
		.arg = answer,
		.auth = world.auth,
		.proof =
			sign ? auth_proof(world.auth, clock_now_ms(), clock_wall_s(), AUTH_REUSE_MS)
			     : NULL};
	struct slices none = {0};

	assert_int_equal(world.transport->ops->call(
				 world.transport, &call, body ? body : &none, &answer->handle),
		0);
	assert_false(answer->done);
}

void wait_for(const struct answer *answer)
{
	kit_loop_until(world.loop, answer->done);
}

void call(const char *method, struct slices *body, bool sign, struct answer *answer)
{
	*answer = (struct answer){0};
	start(method, body, sign, answer);
	wait_for(answer);
}

void open_transport(const struct transport_kind *kind, const char *address, const char *ca_pem)
{
	struct transport_options options = {.rpc = world.rpc,
		.http = world.http,
		.address = address,
		.ca_pem = ca_pem,
		.receive_max_bytes = INT32_MAX};

	assert_int_equal(kind->open(&options, &world.transport), 0);
}

void close_transport(void)
{
	world.transport->ops->free(world.transport);
	world.transport = NULL;
}

void expect_text(struct answer *answer, const char *text)
{
	char body[1024];

	assert_true(answer->body.bytes < sizeof body);
	slices_read(&answer->body, 0, body, answer->body.bytes);
	body[answer->body.bytes] = '\0';
	assert_string_equal(body, text);
	slices_done(&answer->body);
}

int world_setup(void **state)
{
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(loop_new(&world.loop), 0);
	assert_int_equal(http_new(world.loop, &world.http, NULL), 0);
	assert_int_equal(rpc_new(world.loop, &world.rpc), 0);
	assert_int_equal(auth_new(&world.auth), 0);
	return 0;
}

int world_teardown(void **state)
{
	if (world.transport)
		close_transport();
	kit_child_kill(&world.peer);
	auth_free(world.auth);
	http_free(world.http);
	rpc_free(world.rpc);
	loop_free(world.loop);
	world = (struct world){0};
	return 0;
}
