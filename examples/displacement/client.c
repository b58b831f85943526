/*
 * displacement-client TARGET FORCE STIFFNESS: prints the displacement in metres.
 */
#include "common/base/cleanup.h"
#include "common/base/number.h"
#include "common/base/text.h"
#include "common/rpc/call.h"
#include "common/rpc/status.h"
#include "common/wire/message.h"
#include "displacement.pb-c.h"

#define ANSWER_MAX_BYTES 1000

struct asked {
	struct loop *loop;
	bool answered;
};

static void print_answer(void *arg, struct rpc_result *result)
{
	auto_(wire_free) Displacement__Displacement *answer = NULL;
	struct asked *asked = arg;
	char words[256]; /* the peer's, which may be anything: quoted */

	loop_stop(asked->loop);
	text_quote(result->details, strlen(result->details), words, sizeof words);
	asked->answered = result->outcome == OUTCOME_OK &&
			  wire_decode(&displacement__displacement__descriptor, &result->body,
				  ANSWER_MAX_BYTES, &answer) == 0;
	if (asked->answered)
		printf("%.17g\n", answer->length);
	else if (result->outcome == OUTCOME_OK)
		fprintf(stderr, "not a Displacement\n");
	else
		fprintf(stderr, "%s: %s\n", rpc_status_name(result->status), words);
}

/* Start the call; print_answer() gets its end. */
static int ask(struct rpc_channel *channel, const Displacement__Load *load, struct asked *asked)
{
	struct slices body = {0};
	int r = wire_encode(load, &body);

	if (r < 0)
		return r;
	return rpc_call_start(channel,
		&(struct rpc_call_options){.path = "/displacement.Spring/Displace",
			.timeout_ms = 10000,
			.done = print_answer,
			.arg = asked},
		&body, NULL);
}

int main(int argc, char **argv)
{
	struct rpc_channel_options options = {
		.receive_max_bytes = ANSWER_MAX_BYTES, .memory_max_bytes = 64 << 20};
	Displacement__Load load = DISPLACEMENT__LOAD__INIT;
	struct rpc_channel *channel = NULL;
	struct asked asked = {0};
	struct rpc *rpc = NULL;

	if (argc != 4 || number_double(argv[2], &load.force) < 0 ||
		number_double(argv[3], &load.stiffness) < 0) {
		fprintf(stderr, "usage: displacement-client TARGET FORCE STIFFNESS\n");
		return 2;
	}
	options.target = argv[1];
	if (loop_new(&asked.loop) == 0 && rpc_new(asked.loop, &rpc) == 0 &&
		rpc_channel_new(rpc, &options, &channel) == 0 && ask(channel, &load, &asked) == 0)
		loop_run(asked.loop);
	else
		fprintf(stderr, "cannot call %s\n", options.target);
	rpc_channel_free(channel);
	rpc_free(rpc);
	loop_free(asked.loop);
	return asked.answered ? 0 : 1;
}
