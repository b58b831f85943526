#include "common/health/healthcheck.h"

#include "common/base/cleanup.h"
#include "common/rpc/call.h"
#include "common/wire/message.h"
#include "health.pb-c.h"

#define ANSWER_MAX_BYTES 4096
#define MEMORY_MAX_BYTES (4 << 20)

struct question {
	struct loop *loop;
	const char *address;
	struct reason *said;
	int outcome;
};

static int read_answer(const struct question *question, const struct slices *body)
{
	auto_(wire_free) Grpc__Health__V1__HealthCheckResponse *answer = NULL;
	int r = wire_decode(&grpc__health__v1__health_check_response__descriptor, body,
		2 * ANSWER_MAX_BYTES, &answer);

	if (r)
		return reason_code(question->said, HEALTHCHECK_NO_ANSWER,
			"%s gives an answer that no health service gives", question->address);
	if (answer->status == GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING)
		return reason_code(
			question->said, HEALTHCHECK_SERVING, "%s: serving", question->address);
	return reason_code(
		question->said, HEALTHCHECK_NOT_SERVING, "%s: not serving", question->address);
}

static void answered(void *arg, struct rpc_result *result)
{
	struct question *question = arg;

	if (result->outcome == OUTCOME_OK)
		question->outcome = read_answer(question, &result->body);
	else
		question->outcome = reason_code(question->said, HEALTHCHECK_NO_ANSWER,
			"no health service answers at %s: %s: %s", question->address,
			outcome_name(result->outcome), result->details);
	loop_stop(question->loop);
}

int healthcheck(struct loop *loop, struct rpc *rpc, const char *address, int64_t timeout_ms,
	struct reason *said)
{
	/* The check is about this address, not about a proxy on the way there. */
	static const struct rpc_option direct = {.name = "grpc.enable_http_proxy", .number = 0};
	const Grpc__Health__V1__HealthCheckRequest request =
		GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
	struct question question = {.loop = loop, .address = address, .said = said};
	struct rpc_channel *channel = NULL;
	struct slices body = {0};
	int r = wire_encode(&request, &body);

	if (r == 0)
		r = rpc_channel_new(rpc,
			&(struct rpc_channel_options){.target = address,
				.receive_max_bytes = ANSWER_MAX_BYTES,
				.memory_max_bytes = MEMORY_MAX_BYTES,
				.options = &direct,
				.n_options = 1},
			&channel);
	if (r == 0)
		r = rpc_call_start(channel,
			&(struct rpc_call_options){.path = "/grpc.health.v1.Health/Check",
				.timeout_ms = timeout_ms,
				.done = answered,
				.arg = &question},
			&body, NULL);
	if (r == 0)
		r = loop_run(loop);
	rpc_channel_free(channel);
	slices_done(&body);
	return r ? reason_code(said, r, "%s cannot be asked", address) : question.outcome;
}
