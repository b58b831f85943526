/*
 * Two questions are out at a time, at most. GetToken's is the first: its answers tell whether the
 * SuperNode is there, as long as it knows that question. A task is claimed only when no token can
 * come any more, for that would be lost.
 */
#include "clientapp/api/work_poll.h"

#include "clientapp/api/api_channel.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/pace.h"
#include "common/base/text.h"
#include "common/message/instruction_codec.h"
#include "common/message/task_codec.h"
#include "common/message/worker_api.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define WAIT_TEXT "30000"
/* An answer that took so long was worth waiting for; whoever takes longer keeps the question. */
#define WAITED_MS         1000
#define CLAIM_MS          30000 /* for the answer to a claim */
#define POLL_MIN_MS       100
#define POLL_MAX_MS       1000
#define AWAY_FIRST_MS     100 /* between tries of a SuperNode that cannot be reached, doubled */
#define AWAY_MAX_MS       2000
#define RECEIVE_MAX_BYTES 65536

enum { ASK_TOKEN, ASK_TASK, ASK_N };

static const char *const paths[ASK_N] = {
	[ASK_TOKEN] = "/" WORKER_API_CLIENT_APP_IO "/GetToken",
	[ASK_TASK] = "/" WORKER_API_RUNTIME "/PullPendingTasks",
};

struct question {
	struct work_poll *poll;
	struct rpc_call *call;
	struct timer *timer; /* of the next time; of GetToken's, when stopped, of the end */
	bool due;            /* to be asked when its last call has come home */
	int64_t asked_ms;
	bool unknown; /* the SuperNode does not know it */
};

struct work_poll {
	struct log *log;
	char *address;
	struct rpc_channel *channel;
	const struct launcher_auth *auth; /* NULL: calls are not signed */
	struct question questions[ASK_N];
	struct rpc_call *claim;
	uint64_t task; /* to be claimed; 0: none */
	struct pace pace;
	int64_t away_ms; /* the last wait for a SuperNode that is away; 0: it is there */
	work_poll_fn *got;
	void *arg;
	bool met; /* it has been there */
	bool asking;
	bool stopped;
	bool orphaned; /* freed while a call is out: its end frees */
};

/* The headers of a call. */
struct heading {
	char proof[PROOF_N][PROOF_TEXT_BYTES];
	struct rpc_header v[PROOF_N + 1];
	size_t n;
};

static void ask_again(void *arg);

static void heading_add(struct heading *heading, const char *name, const char *value)
{
	heading->v[heading->n++] = (struct rpc_header){name, value, strlen(value)};
}

/* Sign a call if that is wanted. 0 or -ENOMEM. */
static int heading_sign(struct heading *heading, const struct work_poll *poll, const char *path,
	const struct slices *body)
{
	int r = 0;

	if (!poll->auth)
		return 0;
	r = launcher_auth_sign(poll->auth, path, body, clock_wall_s(), heading->proof);
	for (size_t i = 0; r == 0 && i < PROOF_N; i++)
		heading_add(heading, launcher_headers[i], heading->proof[i]);
	return r;
}

int work_poll_new(struct loop *loop, struct rpc *rpc, struct log *log,
	const struct work_poll_options *options, struct work_poll **out)
{
	struct work_poll *poll = calloc(1, sizeof *poll);
	int r;

	if (!poll)
		return -ENOMEM;
	poll->log = log;
	poll->auth = options->auth;
	poll->got = options->got;
	poll->arg = options->arg;
	poll->pace = (struct pace){POLL_MIN_MS, POLL_MAX_MS, clock_now_ms()};
	poll->address = strdup(options->address);
	r = api_channel_new(rpc,
		&(struct api_channel_options){.address = options->address,
			.tls = options->tls,
			.receive_max_bytes = RECEIVE_MAX_BYTES},
		&poll->channel);
	for (size_t i = 0; i < ASK_N; i++) {
		struct question *question = &poll->questions[i];

		question->poll = poll;
		question->timer = timer_new(loop, ask_again, question);
		if (r == 0 && !question->timer)
			r = -ENOMEM;
	}
	if (r == 0 && !poll->address)
		r = -ENOMEM;
	if (r) {
		work_poll_free(poll);
		return r;
	}
	*out = poll;
	return 0;
}

static bool calls_out(const struct work_poll *poll)
{
	return poll->claim || poll->questions[ASK_TOKEN].call || poll->questions[ASK_TASK].call;
}

/* A call has come home after work_poll_free(). */
static bool orphaned(struct work_poll *poll)
{
	if (!poll->orphaned)
		return false;
	if (!calls_out(poll)) {
		free(poll->address);
		free(poll);
	}
	return true;
}

/* ---- is the SuperNode there? ---- */

static void is_there(struct work_poll *poll)
{
	if (poll->away_ms)
		log_info(poll->log, "the SuperNode at %s is there%s", poll->address,
			poll->met ? " again" : "");
	poll->away_ms = 0;
	poll->met = true;
}

static const char *away_because(const struct work_poll *poll, enum outcome outcome)
{
	if (outcome == OUTCOME_UNAUTHENTICATED)
		return poll->auth
			       ? "takes no message requests of ours (has it another secret than --superexec-auth-secret-file, or another clock?)"
			       : "takes no message requests of ours (does it want --superexec-auth-secret-file?)";
	if (outcome == OUTCOME_UNIMPLEMENTED)
		return "hands out no messages (is it Flower 1.15 - 1.18 or 1.34, with --isolation process?)";
	return "cannot be reached";
}

/* When to ask a SuperNode that cannot answer; said the first time. */
static int64_t is_away(struct work_poll *poll, const struct rpc_result *result, int64_t now)
{
	char quoted[512];

	if (!poll->away_ms) {
		text_quote(result->details, strlen(result->details), quoted, sizeof quoted);
		log_warn(poll->log, "the SuperNode at %s %s: %s %s; trying again until it is there",
			poll->address, away_because(poll, result->outcome),
			outcome_name(result->outcome), quoted);
	}
	for (size_t i = 0; i < ASK_N; i++)
		poll->questions[i].unknown = false;
	rpc_channel_reconnect_now(poll->channel);
	return clock_after(now, pace_double(&poll->away_ms, AWAY_FIRST_MS, AWAY_MAX_MS));
}

/* ---- the end of asking ---- */

static void give(struct work_poll *poll, uint64_t token, const char *task_token)
{
	poll->asking = false;
	poll->task = 0;
	for (size_t i = 0; i < ASK_N; i++) {
		poll->questions[i].due = false;
		timer_set(poll->questions[i].timer, CLOCK_NEVER);
		if (poll->questions[i].call)
			rpc_call_cancel(poll->questions[i].call);
	}
	poll->pace.active_ms = clock_now_ms();
	poll->got(poll->arg, token, task_token);
}

static void give_nothing(struct work_poll *poll)
{
	if (!poll->questions[ASK_TOKEN].call && !poll->claim)
		give(poll, 0, NULL);
}

/* ---- questions ---- */

/* Ask at at_ms, at once when the last call is not home yet. */
static void ask_at(struct question *question, int64_t at_ms)
{
	if (question->call)
		question->due = true;
	else
		timer_set(question->timer, at_ms);
}

/* When to ask one that had nothing: one that let us wait may be asked at once. */
static int64_t again_ms(const struct question *question, int64_t now)
{
	return now - question->asked_ms >= WAITED_MS ? now : pace_next(&question->poll->pace, now);
}

/* The SuperNode has answered GetToken: the other question may be asked, too. */
static void ask_for_task(struct work_poll *poll)
{
	struct question *task = &poll->questions[ASK_TASK];

	if (!task->unknown && !task->call && !poll->task)
		timer_set(task->timer, 0);
}

static void claim_done(void *arg, struct rpc_result *result)
{
	struct work_poll *poll = arg;
	auto_(free_at_exit) char *token = NULL;
	int64_t now = clock_now_ms();

	poll->claim = NULL;
	if (orphaned(poll))
		return;
	poll->task = 0;
	if (result->outcome == OUTCOME_OK && task_decode_claimed(&result->body, &token))
		result->outcome = OUTCOME_INTERNAL;
	if (result->outcome == OUTCOME_OK && token) {
		give(poll, 0, token);
		explicit_bzero(token, strlen(token));
	} else if (poll->stopped) {
		give_nothing(poll);
	} else {
		/* Somebody else was quicker, or it is away. */
		for (size_t i = 0; i < ASK_N; i++)
			if (!poll->questions[i].unknown)
				ask_at(&poll->questions[i], pace_next(&poll->pace, now));
	}
}

/* Claim the task that was offered, unless a token may be on its way. */
static void claim(struct work_poll *poll)
{
	struct heading heading = {0};
	struct rpc_call_options options = {.path = "/" WORKER_API_RUNTIME "/ClaimTask",
		.timeout_ms = CLAIM_MS,
		.headers = heading.v,
		.done = claim_done,
		.arg = poll};
	struct question *token = &poll->questions[ASK_TOKEN];
	struct slices body = {0};
	int r;

	timer_set(token->timer, CLOCK_NEVER);
	if (token->call) {
		rpc_call_cancel(token->call);
		return;
	}
	r = task_encode_claim(poll->task, &body);
	if (r == 0)
		r = heading_sign(&heading, poll, options.path, &body);
	options.n_headers = heading.n;
	if (r || rpc_call_start(poll->channel, &options, &body, &poll->claim)) {
		slices_done(&body);
		poll->task = 0;
		timer_set(token->timer, clock_after(clock_now_ms(), POLL_MAX_MS));
	}
}

/* The SuperNode does not know this question, which is no news when it knows the other one. */
static void is_unknown(struct question *question, const struct rpc_result *result, int64_t now)
{
	struct work_poll *poll = question->poll;
	bool all = true;

	question->unknown = true;
	for (size_t i = 0; i < ASK_N; i++)
		all = all && poll->questions[i].unknown;
	if (all) {
		timer_set(poll->questions[ASK_TOKEN].timer, is_away(poll, result, now));
		return;
	}
	if (question == &poll->questions[ASK_TOKEN])
		ask_for_task(poll);
}

static bool says_unknown(const struct rpc_result *result)
{
	/* Flower's since 1.29 answer so to whoever calls what they do not have. */
	return result->outcome == OUTCOME_UNIMPLEMENTED ||
	       result->outcome == OUTCOME_UNAUTHENTICATED;
}

static void token_answered(struct question *question, struct rpc_result *result)
{
	struct work_poll *poll = question->poll;
	int64_t now = clock_now_ms();
	uint64_t token = 0;

	if (result->outcome == OUTCOME_OK &&
		(instruction_decode_token(&result->body, &token) || !token)) {
		result->outcome = OUTCOME_INTERNAL;
		result->details = "its answer cannot be decoded";
	}
	if (result->outcome == OUTCOME_OK) {
		is_there(poll);
		give(poll, token, NULL);
	} else if (poll->stopped) {
		give_nothing(poll);
	} else if (poll->task) {
		claim(poll);
	} else if (result->outcome == OUTCOME_FAILED_PRECONDITION) {
		is_there(poll);
		timer_set(question->timer, again_ms(question, now));
		ask_for_task(poll);
	} else if (says_unknown(result)) {
		is_unknown(question, result, now);
	} else {
		timer_set(question->timer, is_away(poll, result, now));
	}
}

static void task_answered(struct question *question, struct rpc_result *result)
{
	struct work_poll *poll = question->poll;
	int64_t now = clock_now_ms();
	bool first = poll->questions[ASK_TOKEN].unknown; /* it speaks for the SuperNode */

	if (poll->stopped)
		return;
	if (result->outcome == OUTCOME_OK && task_decode_pending(&result->body, &poll->task)) {
		result->outcome = OUTCOME_INTERNAL;
		result->details = "its answer cannot be decoded";
	}
	if (result->outcome == OUTCOME_OK) {
		is_there(poll);
		if (poll->task)
			claim(poll);
		else
			timer_set(question->timer, again_ms(question, now));
	} else if (says_unknown(result)) {
		is_unknown(question, result, now);
	} else if (first) {
		timer_set(poll->questions[ASK_TOKEN].timer, is_away(poll, result, now));
	}
}

static void call_done(void *arg, struct rpc_result *result)
{
	struct question *question = arg;
	struct work_poll *poll = question->poll;

	question->call = NULL;
	if (orphaned(poll) || !poll->asking)
		return;
	if (question->due) {
		/* The answer is to a call of the time before: it is old. */
		question->due = false;
		timer_set(question->timer, 0);
	} else if (question == &poll->questions[ASK_TOKEN]) {
		token_answered(question, result);
	} else {
		task_answered(question, result);
	}
}

static void ask_again(void *arg)
{
	struct question *question = arg;
	struct work_poll *poll = question->poll;
	struct heading heading = {0};
	struct rpc_call_options options = {.path = paths[question - poll->questions],
		.headers = heading.v,
		.done = call_done,
		.arg = question};
	struct slices body = {0};
	int r;

	if (poll->stopped) {
		if (question->call)
			rpc_call_cancel(question->call);
		else
			give_nothing(poll);
		return;
	}
	/* A SuperNode that was away shall say at once that it is there. */
	if (!poll->away_ms)
		heading_add(&heading, WORKER_API_WAIT_MS, WAIT_TEXT);
	question->asked_ms = clock_now_ms();
	r = heading_sign(&heading, poll, options.path, &body);
	options.n_headers = heading.n;
	if (r || rpc_call_start(poll->channel, &options, &body, &question->call))
		timer_set(question->timer, clock_after(question->asked_ms, POLL_MAX_MS));
}

void work_poll_ask(struct work_poll *poll)
{
	poll->asking = true;
	poll->stopped = false;
	poll->task = 0;
	poll->pace.active_ms = clock_now_ms();
	for (size_t i = 0; i < ASK_N; i++)
		if (!poll->questions[i].unknown)
			ask_at(&poll->questions[i], 0);
}

void work_poll_stop(struct work_poll *poll)
{
	struct question *token = &poll->questions[ASK_TOKEN];
	struct question *task = &poll->questions[ASK_TASK];

	poll->stopped = true;
	timer_set(task->timer, CLOCK_NEVER);
	if (task->call)
		rpc_call_cancel(task->call);
	timer_set(token->timer, token->call ? clock_after(token->asked_ms, WAITED_MS) : 0);
}

struct rpc_channel *work_poll_channel(const struct work_poll *poll)
{
	return poll->channel;
}

void work_poll_free(struct work_poll *poll)
{
	if (!poll)
		return;
	poll->orphaned = true;
	for (size_t i = 0; i < ASK_N; i++) {
		timer_free(poll->questions[i].timer);
		if (poll->questions[i].call)
			rpc_call_cancel(poll->questions[i].call);
	}
	if (poll->claim)
		rpc_call_cancel(poll->claim);
	rpc_channel_free(poll->channel);
	if (!calls_out(poll)) {
		free(poll->address);
		free(poll);
	}
}
