#include "clientapp/appio/token_source.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/pace.h"
#include "common/base/text.h"
#include "common/message/instruction_codec.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define PATH        "/flwr.proto.ClientAppIo/GetToken"
#define WAIT_HEADER "flwr-native-wait-ms"
#define WAIT_TEXT   "30000"
/* An answer that took so long was worth waiting for; whoever takes longer keeps the question. */
#define WAITED_MS            1000
#define POLL_MIN_MS          100
#define POLL_MAX_MS          1000
#define AWAY_FIRST_MS        100 /* between tries of a SuperNode that cannot be reached, doubled */
#define AWAY_MAX_MS          2000
#define KEEPALIVE_MS         60000
#define KEEPALIVE_TIMEOUT_MS 20000
#define RECEIVE_MAX_BYTES    4096

struct token_source {
	struct log *log;
	char *address;
	struct rpc_channel *channel;
	struct rpc_call *call;
	struct timer *timer; /* of the next question; when stopped, of the end */
	struct pace pace;
	int64_t asked_ms;
	int64_t away_ms; /* the last wait for a SuperNode that is away; 0: it is there */
	token_source_fn *got;
	void *arg;
	bool met; /* it has been there */
	bool asking;
	bool stopped;
	bool orphaned; /* freed while a call is out: its end frees */
};

static void ask_again(void *arg);

int token_source_new(struct loop *loop, struct rpc *rpc, struct log *log, const char *address,
	token_source_fn *got, void *arg, struct token_source **out)
{
	struct token_source *source = calloc(1, sizeof *source);
	int r;

	if (!source)
		return -ENOMEM;
	source->log = log;
	source->got = got;
	source->arg = arg;
	source->pace = (struct pace){POLL_MIN_MS, POLL_MAX_MS, clock_now_ms()};
	source->address = strdup(address);
	source->timer = timer_new(loop, ask_again, source);
	r = rpc_channel_new(rpc,
		&(struct rpc_channel_options){
			.target = address,
			.receive_max_bytes = RECEIVE_MAX_BYTES,
			.keepalive_ms = KEEPALIVE_MS,
			.keepalive_timeout_ms = KEEPALIVE_TIMEOUT_MS,
		},
		&source->channel);
	if (r == 0 && (!source->address || !source->timer))
		r = -ENOMEM;
	if (r) {
		token_source_free(source);
		return r;
	}
	*out = source;
	return 0;
}

static void dispose(struct token_source *source)
{
	free(source->address);
	free(source);
}

static void is_there(struct token_source *source)
{
	if (source->away_ms)
		log_info(source->log, "the SuperNode at %s is there%s", source->address,
			source->met ? " again" : "");
	source->away_ms = 0;
	source->met = true;
}

/* When to ask a SuperNode that cannot answer; said the first time. */
static int64_t is_away(struct token_source *source, const struct rpc_result *result, int64_t now)
{
	char quoted[512];

	if (!source->away_ms) {
		text_quote(result->details, strlen(result->details), quoted, sizeof quoted);
		log_warn(source->log,
			"the SuperNode at %s %s: %s %s; trying again until it is there",
			source->address,
			result->outcome == OUTCOME_UNIMPLEMENTED
				? "hands out no messages (is it Flower 1.15 - 1.18, with "
				  "--isolation process?)"
				: "cannot be reached",
			outcome_name(result->outcome), quoted);
	}
	rpc_channel_reconnect_now(source->channel);
	return clock_after(now, pace_double(&source->away_ms, AWAY_FIRST_MS, AWAY_MAX_MS));
}

static void give(struct token_source *source, uint64_t token)
{
	source->asking = false;
	timer_set(source->timer, CLOCK_NEVER);
	source->got(source->arg, token);
}

static void call_done(void *arg, struct rpc_result *result)
{
	struct token_source *source = arg;
	int64_t now = clock_now_ms();
	uint64_t token = 0;

	source->call = NULL;
	if (source->orphaned) {
		dispose(source);
		return;
	}
	if (!source->asking)
		return;
	if (result->outcome == OUTCOME_OK &&
		(instruction_decode_token(&result->body, &token) || !token)) {
		result->outcome = OUTCOME_INTERNAL;
		result->details = "its answer cannot be decoded";
	}
	if (result->outcome == OUTCOME_OK) {
		is_there(source);
		source->pace.active_ms = now;
		give(source, token);
	} else if (source->stopped) {
		give(source, 0);
	} else if (result->outcome == OUTCOME_FAILED_PRECONDITION) {
		is_there(source);
		/* One that let us wait may be asked at once. */
		timer_set(source->timer,
			now - source->asked_ms >= WAITED_MS ? now : pace_next(&source->pace, now));
	} else {
		timer_set(source->timer, is_away(source, result, now));
	}
}

static void ask_again(void *arg)
{
	static const struct rpc_header header = {WAIT_HEADER, WAIT_TEXT, sizeof WAIT_TEXT - 1};
	struct token_source *source = arg;
	struct rpc_call_options options = {.path = PATH, .headers = &header, .n_headers = 1};
	struct slices body = {0};

	if (source->stopped) {
		if (source->call)
			rpc_call_cancel(source->call);
		else
			give(source, 0);
		return;
	}
	/* One that was away shall say at once that it is there. */
	if (source->away_ms)
		options.n_headers = 0;
	source->asked_ms = clock_now_ms();
	if (rpc_call_start(source->channel, &options, &body, call_done, source, &source->call))
		timer_set(source->timer, clock_after(source->asked_ms, POLL_MAX_MS));
}

void token_source_ask(struct token_source *source)
{
	source->asking = true;
	source->stopped = false;
	source->pace.active_ms = clock_now_ms();
	timer_set(source->timer, 0);
}

void token_source_stop(struct token_source *source)
{
	source->stopped = true;
	timer_set(source->timer, source->call ? clock_after(source->asked_ms, WAITED_MS) : 0);
}

struct rpc_channel *token_source_channel(const struct token_source *source)
{
	return source->channel;
}

void token_source_free(struct token_source *source)
{
	if (!source)
		return;
	timer_free(source->timer);
	source->orphaned = true;
	if (source->call)
		rpc_call_cancel(source->call);
	rpc_channel_free(source->channel);
	if (!source->call)
		dispose(source);
}
