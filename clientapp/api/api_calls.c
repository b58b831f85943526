#include "clientapp/api/api_calls.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/pace.h"
#include "common/base/text.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/queue.h>

#define RETRY_FIRST_MS    50
#define RETRY_MAX_MS      2000
#define RECEIVE_MAX_BYTES 2147483647

struct api_calls {
	struct loop *loop;
	struct log *log;
	struct carrier *carrier;
	char *task_token;
	struct rpc_header token; /* that shows it */
	int64_t retry_ms;
	LIST_HEAD(, pending) pending;
	bool away; /* it cannot be reached, which has been said */
};

struct pending {
	struct api_calls *calls; /* NULL: it was freed; the call's end frees */
	LIST_ENTRY(pending) link;
	struct api_call what;
	struct slices body; /* kept for another try */
	struct timer *retry;
	struct carrier_handle *call;
	int64_t first_ms; /* of its first failure; 0: none yet */
	int64_t wait_ms;
	carrier_done_fn *done;
	void *arg;
};

static void dispose(struct pending *pending)
{
	timer_free(pending->retry);
	slices_done(&pending->body);
	free(pending);
}

/* Shall it be made again, and after how long? */
static bool again(struct pending *pending, enum outcome outcome, int64_t now, int64_t *at_ms_out)
{
	const struct api_calls *calls = pending->calls;
	int64_t retry_ms = outcome == OUTCOME_UNAVAILABLE ? calls->retry_ms : API_CALLS_FULL_MS;
	int64_t wait_ms;

	if (!pending->first_ms)
		pending->first_ms = now;
	if (pending->what.timeout_ms)
		return false;
	if (outcome != OUTCOME_UNAVAILABLE &&
		!(outcome == OUTCOME_RESOURCE_EXHAUSTED && pending->what.again_if_full))
		return false;
	wait_ms = pace_double(&pending->wait_ms, RETRY_FIRST_MS, RETRY_MAX_MS);
	*at_ms_out = clock_after(now, wait_ms);
	return now + wait_ms < clock_after(pending->first_ms, retry_ms);
}

static void tell_away(
	struct api_calls *calls, enum outcome outcome, const char *details, int64_t wait_ms)
{
	log_line(calls->log, calls->away ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN,
		"the SuperNode cannot be reached (%s), again in %lld ms: %s", outcome_name(outcome),
		(long long)wait_ms, details);
	calls->away = true;
}

static void call_done(void *arg, struct carrier_result *result)
{
	struct pending *pending = arg;
	struct api_calls *calls = pending->calls;
	int64_t now = clock_now_ms();
	carrier_done_fn *done = pending->done;
	void *done_arg = pending->arg;
	int64_t at_ms;
	char quoted[512];

	pending->call = NULL;
	if (!calls) {
		dispose(pending);
		return;
	}
	text_quote(result->details, strlen(result->details), quoted, sizeof quoted);
	if (again(pending, result->outcome, now, &at_ms)) {
		tell_away(calls, result->outcome, quoted, at_ms - now);
		carrier_reconnect(calls->carrier);
		timer_set(pending->retry, at_ms);
		return;
	}
	if (result->outcome == OUTCOME_OK)
		calls->away = false;
	LIST_REMOVE(pending, link);
	dispose(pending);
	result->details = quoted;
	done(done_arg, result);
	result->details = "";
}

static int call_start(struct pending *pending)
{
	const struct api_calls *calls = pending->calls;
	const struct carrier_call call = {.path = pending->what.path,
		.timeout_ms = pending->what.timeout_ms,
		.what = pending->what.what,
		.done = call_done,
		.arg = pending};
	struct slices body = {0};
	int r = slices_append_refs(&body, &pending->body);

	return r ? r : carrier_call(calls->carrier, &call, &body, &pending->call);
}

static void call_again(void *arg)
{
	struct pending *pending = arg;
	struct carrier_result result = {
		.outcome = OUTCOME_RESOURCE_EXHAUSTED, .details = "no memory"};

	if (call_start(pending))
		call_done(pending, &result);
}

int api_calls_start(struct api_calls *calls, const struct api_call *call, struct slices *body,
	carrier_done_fn *done, void *arg)
{
	struct pending *pending = calloc(1, sizeof *pending);
	int r;

	if (!pending) {
		slices_done(body);
		return -ENOMEM;
	}
	*pending = (struct pending){.calls = calls,
		.what = *call,
		.body = *body,
		.retry = timer_new(calls->loop, call_again, pending),
		.done = done,
		.arg = arg};
	*body = (struct slices){0};
	r = pending->retry ? call_start(pending) : -ENOMEM;
	if (r) {
		dispose(pending);
		return r;
	}
	LIST_INSERT_HEAD(&calls->pending, pending, link);
	return 0;
}

int api_calls_new(struct loop *loop, struct rpc *rpc, struct log *log,
	const struct api_calls_options *options, struct api_calls **out)
{
	struct api_calls *calls = calloc(1, sizeof *calls);
	int r;

	if (!calls)
		return -ENOMEM;
	calls->loop = loop;
	calls->log = log;
	calls->retry_ms = options->retry_ms;
	calls->task_token = options->task_token ? strdup(options->task_token) : NULL;
	if (calls->task_token)
		calls->token = (struct rpc_header){
			options->token_header, calls->task_token, strlen(calls->task_token)};
	r = carrier_new(&(struct carrier_options){.kind = options->carrier,
				.rpc = rpc,
				.http = options->http,
				.address = options->address,
				.tls = options->tls,
				.receive_max_bytes = RECEIVE_MAX_BYTES,
				.log = log,
				.token = calls->task_token ? &calls->token : NULL},
		&calls->carrier);
	if (r == 0 && !calls->task_token != !options->task_token)
		r = -ENOMEM;
	if (r) {
		api_calls_free(calls);
		return r;
	}
	*out = calls;
	return 0;
}

void api_calls_free(struct api_calls *calls)
{
	if (!calls)
		return;
	while (!LIST_EMPTY(&calls->pending)) {
		struct pending *pending = LIST_FIRST(&calls->pending);

		LIST_REMOVE(pending, link);
		pending->calls = NULL;
		timer_set(pending->retry, CLOCK_NEVER);
		if (pending->call)
			carrier_cancel(pending->call);
		else
			dispose(pending);
	}
	carrier_free(calls->carrier);
	if (calls->task_token)
		explicit_bzero(calls->task_token, strlen(calls->task_token));
	free(calls->task_token);
	free(calls);
}
