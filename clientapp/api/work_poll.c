/*
 * Two questions are out at a time, at most: for an inline message (GetToken), and for one that is
 * objects, in one way after the other until the SuperNode knows one. GetToken's is the first: its
 * answers tell whether the SuperNode is there, as long as it knows that question. A task is claimed
 * only when no token can come any more, for that would be lost.
 */
#include "clientapp/api/work_poll.h"

#include "clientapp/api/finder.h"
#include "clientapp/api/work_ways.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/pace.h"
#include "common/base/text.h"
#include "common/message/instruction_codec.h"
#include "common/message/worker_api.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define WAIT_TEXT "30000"
/* An answer that took so long was worth waiting for; whoever takes longer keeps the question. */
#define WAITED_MS 1000
#define CLAIM_MS  30000 /* for the answer to a claim */
/* For the answer to a question over HTTP, which has no keepalive: longer than a SuperNode that
 * keeps the question lets it wait. */
#define HTTP_ANSWER_MS    90000
#define POLL_MIN_MS       100
#define POLL_MAX_MS       1000
#define AWAY_FIRST_MS     100 /* between tries of a SuperNode that cannot be reached, doubled */
#define AWAY_MAX_MS       2000
#define RECEIVE_MAX_BYTES 65536

enum { ASK_TOKEN, ASK_TASK, ASK_N };

struct question {
	struct work_poll *poll;
	struct carrier_handle *call;
	struct timer *timer; /* of the next time; of the giver's, when stopped, of the end */
	bool due;            /* to be asked when its last call has come home */
	int64_t asked_ms;
	bool unknown; /* the SuperNode does not know it */
};

struct work_poll {
	struct log *log;
	char *address;
	struct finder *finder;
	const struct launcher_auth *auth; /* NULL: calls are not signed */
	const struct work_way *way;       /* in which a task is asked for */
	struct question questions[ASK_N];
	struct carrier_handle *claim;
	uint64_t task; /* to be claimed; 0: none */
	struct pace pace;
	int64_t away_ms; /* the last wait for a SuperNode that is away; 0: it is there */
	work_poll_fn *got;
	void (*channel)(void *arg, bool there); /* may be NULL */
	void *arg;
	bool left;                 /* channel() was told that it goes */
	bool refused;              /* in one of the ways: it knows that, but not us */
	bool looking;              /* for another carrier */
	enum outcome lost_outcome; /* of the call that was not answered, and its words: told when */
	char lost[256];            /* there is none */
	bool met;                  /* it has been there */
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
static void looked(void *arg, bool found);

/* The question whose answers tell whether the SuperNode is there. */
static struct question *leader(struct work_poll *poll)
{
	return &poll->questions[finder_kind(poll->finder) == CARRIER_GRPC ? ASK_TOKEN : ASK_TASK];
}

/* The question whose answer may have a token in it, which must not be lost. */
static struct question *giver(struct work_poll *poll)
{
	return &poll->questions[poll->way->claim ? ASK_TOKEN : ASK_TASK];
}

/* Nothing is known of the SuperNode, but what carries the calls to it. */
static void begin_anew(struct work_poll *poll)
{
	enum carrier_kind kind = finder_kind(poll->finder);

	poll->questions[ASK_TOKEN].unknown = kind != CARRIER_GRPC;
	poll->questions[ASK_TASK].unknown = false;
	poll->way = work_way_first(kind);
	poll->refused = false;
}

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
	poll->channel = options->channel;
	poll->arg = options->arg;
	poll->pace = (struct pace){POLL_MIN_MS, POLL_MAX_MS, clock_now_ms()};
	poll->address = strdup(options->address);
	r = finder_new(&(struct carrier_options){.rpc = rpc,
			       .http = options->http,
			       .address = options->address,
			       .tls = options->tls,
			       .receive_max_bytes = RECEIVE_MAX_BYTES},
		looked, poll, &poll->finder);
	if (r == 0)
		begin_anew(poll);
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
	finder_settle(poll->finder);
	/* The leading question waited for the look, which has ended. */
	if (poll->looking && !leader(poll)->call)
		timer_set(leader(poll)->timer, clock_after(clock_now_ms(), POLL_MAX_MS));
	poll->looking = false;
	poll->refused = false;
	if (poll->away_ms)
		log_info(poll->log, "the SuperNode at %s is there%s", poll->address,
			poll->met ? " again" : "");
	poll->away_ms = 0;
	poll->met = true;
	if (poll->left && poll->channel)
		poll->channel(poll->arg, true);
	poll->left = false;
}

static const char *away_because(const struct work_poll *poll, enum outcome outcome)
{
	if (poll->refused && spelling_is_unknown(outcome))
		return poll->auth
			       ? "takes no message requests of ours (has it another secret than --superexec-auth-secret-file, or another clock?)"
			       : "takes no message requests of ours (does it want --superexec-auth-secret-file?)";
	if (outcome == OUTCOME_UNIMPLEMENTED)
		return "hands out no messages (does it have --isolation process?)";
	return "cannot be reached";
}

/* Ask a SuperNode that cannot answer later; said the first time. */
static void is_away(struct work_poll *poll, enum outcome outcome, const char *details)
{
	int64_t now = clock_now_ms();
	char quoted[512];

	if (!poll->away_ms) {
		text_quote(details, strlen(details), quoted, sizeof quoted);
		log_warn(poll->log, "the SuperNode at %s %s: %s %s; trying again until it is there",
			poll->address, away_because(poll, outcome), outcome_name(outcome), quoted);
	}
	begin_anew(poll);
	carrier_reconnect(finder_carrier(poll->finder));
	timer_set(leader(poll)->timer,
		clock_after(now, pace_double(&poll->away_ms, AWAY_FIRST_MS, AWAY_MAX_MS)));
}

/* The leading question was not answered as it should be. Over HTTP, which says little about who
 * answers, it may be another release by now: gRPC is looked for again, whatever has come. */
static void no_answer(struct work_poll *poll, const struct carrier_result *result)
{
	if (poll->looking)
		return;
	if (result->outcome != OUTCOME_UNAVAILABLE && finder_kind(poll->finder) == CARRIER_GRPC) {
		is_away(poll, result->outcome, result->details);
		return;
	}
	poll->looking = true;
	poll->lost_outcome = result->outcome;
	poll->left = true;
	if (poll->channel)
		poll->channel(poll->arg, false);
	snprintf(poll->lost, sizeof poll->lost, "%s", result->details);
	finder_look(poll->finder);
}

/* Something else carries the calls now, or nothing does. */
static void looked(void *arg, bool found)
{
	struct work_poll *poll = arg;

	poll->looking = false;
	if (!poll->asking) {
		begin_anew(poll);
	} else if (found) {
		begin_anew(poll);
		for (size_t i = 0; i < ASK_N; i++) {
			/* The call goes by the carrier that was. */
			poll->questions[i].due =
				poll->questions[i].call && !poll->questions[i].unknown;
			timer_set(poll->questions[i].timer, CLOCK_NEVER);
		}
		if (!leader(poll)->call)
			timer_set(leader(poll)->timer, 0);
	} else {
		is_away(poll, poll->lost_outcome, poll->lost);
	}
}

/* ---- the end of asking ---- */

static void give(struct work_poll *poll, const struct work *work)
{
	poll->asking = false;
	poll->task = 0;
	for (size_t i = 0; i < ASK_N; i++) {
		poll->questions[i].due = false;
		timer_set(poll->questions[i].timer, CLOCK_NEVER);
		if (poll->questions[i].call)
			carrier_cancel(poll->questions[i].call);
	}
	poll->pace.active_ms = clock_now_ms();
	poll->got(poll->arg, work);
}

static void give_nothing(struct work_poll *poll)
{
	if (!giver(poll)->call && !poll->claim)
		give(poll, &(struct work){0});
}

/* task_token is wiped. */
static void give_task(struct work_poll *poll, char *task_token)
{
	give(poll, &(struct work){.task_token = task_token, .spelling = poll->way->spelling});
	explicit_bzero(task_token, strlen(task_token));
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

static void claim_done(void *arg, struct carrier_result *result)
{
	struct work_poll *poll = arg;
	auto_(free_at_exit) char *token = NULL;
	int64_t now = clock_now_ms();

	poll->claim = NULL;
	if (orphaned(poll))
		return;
	poll->task = 0;
	if (result->outcome == OUTCOME_OK && poll->way->token(&result->body, &token))
		result->outcome = OUTCOME_INTERNAL;
	if (result->outcome == OUTCOME_OK && token) {
		give_task(poll, token);
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
	struct carrier_call options = {.path = poll->way->claim,
		.timeout_ms = CLAIM_MS,
		.headers = heading.v,
		.done = claim_done,
		.arg = poll};
	struct question *token = &poll->questions[ASK_TOKEN];
	struct slices body = {0};
	int r;

	timer_set(token->timer, CLOCK_NEVER);
	if (token->call) {
		carrier_cancel(token->call);
		return;
	}
	r = poll->way->claim_request(poll->task, &body);
	if (r == 0)
		r = heading_sign(&heading, poll, options.path, &body);
	options.n_headers = heading.n;
	if (r || carrier_call(finder_carrier(poll->finder), &options, &body, &poll->claim)) {
		slices_done(&body);
		poll->task = 0;
		timer_set(leader(poll)->timer, clock_after(clock_now_ms(), POLL_MAX_MS));
	}
}

/* The SuperNode does not know this question, which is no news when it knows another one. */
static void is_unknown(struct question *question, const struct carrier_result *result)
{
	struct work_poll *poll = question->poll;
	const struct work_way *next = work_way_next(poll->way);
	bool all = true;

	poll->refused = poll->refused || result->outcome == OUTCOME_UNAUTHENTICATED;
	if (question == &poll->questions[ASK_TASK] && next) {
		poll->way = next;
		timer_set(question->timer, 0);
		return;
	}
	question->unknown = true;
	for (size_t i = 0; i < ASK_N; i++)
		all = all && poll->questions[i].unknown;
	if (all)
		no_answer(poll, result);
	else if (question == &poll->questions[ASK_TOKEN])
		ask_for_task(poll);
}

static void token_answered(struct question *question, struct carrier_result *result)
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
		give(poll, &(struct work){.token = token});
	} else if (poll->stopped) {
		give_nothing(poll);
	} else if (poll->task) {
		claim(poll);
	} else if (result->outcome == OUTCOME_FAILED_PRECONDITION) {
		is_there(poll);
		timer_set(question->timer, again_ms(question, now));
		ask_for_task(poll);
	} else if (spelling_is_unknown(result->outcome)) {
		is_unknown(question, result);
	} else {
		no_answer(poll, result);
	}
}

/* Read what was answered: a token, where there is no claim, or what can be claimed. */
static int read_task(struct work_poll *poll, const struct carrier_result *result, char **token_out)
{
	return poll->way->claim ? poll->way->offered(&result->body, &poll->task)
				: poll->way->token(&result->body, token_out);
}

static void task_answered(struct question *question, struct carrier_result *result)
{
	struct work_poll *poll = question->poll;
	auto_(free_at_exit) char *token = NULL;
	int64_t now = clock_now_ms();
	bool leads = poll->questions[ASK_TOKEN].unknown; /* it speaks for the SuperNode */

	if (poll->stopped && poll->way->claim)
		return;
	if (result->outcome == OUTCOME_OK && read_task(poll, result, &token)) {
		result->outcome = OUTCOME_INTERNAL;
		result->details = "its answer cannot be decoded";
	}
	if (result->outcome == OUTCOME_OK) {
		is_there(poll);
		if (token)
			give_task(poll, token);
		else if (poll->stopped)
			give_nothing(poll);
		else if (poll->task)
			claim(poll);
		else
			timer_set(question->timer, again_ms(question, now));
	} else if (poll->stopped) {
		give_nothing(poll);
	} else if (spelling_is_unknown(result->outcome)) {
		is_unknown(question, result);
	} else if (leads) {
		no_answer(poll, result);
	}
}

static void call_done(void *arg, struct carrier_result *result)
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
	bool task = question == &poll->questions[ASK_TASK];
	struct carrier_call options = {
		.path = task ? poll->way->ask : "/" WORKER_API_CLIENT_APP_IO "/GetToken",
		.headers = heading.v,
		.timeout_ms = finder_kind(poll->finder) == CARRIER_HTTP ? HTTP_ANSWER_MS : 0,
		.done = call_done,
		.arg = question};
	struct slices body = {0};
	int r = 0;

	if (poll->stopped) {
		if (question->call)
			carrier_cancel(question->call);
		else
			give_nothing(poll);
		return;
	}
	/* A SuperNode that was away shall say at once that it is there. */
	if (!poll->away_ms)
		heading_add(&heading, WORKER_API_WAIT_MS, WAIT_TEXT);
	question->asked_ms = clock_now_ms();
	if (task && poll->way->request)
		r = poll->way->request(&body);
	if (r == 0)
		r = heading_sign(&heading, poll, options.path, &body);
	options.n_headers = heading.n;
	if (r || carrier_call(finder_carrier(poll->finder), &options, &body, &question->call))
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
	struct question *last = giver(poll);

	poll->stopped = true;
	for (size_t i = 0; i < ASK_N; i++) {
		struct question *question = &poll->questions[i];

		timer_set(question->timer, CLOCK_NEVER);
		if (question != last && question->call)
			carrier_cancel(question->call);
	}
	timer_set(last->timer, last->call ? clock_after(last->asked_ms, WAITED_MS) : 0);
}

struct rpc_channel *work_poll_channel(const struct work_poll *poll)
{
	return carrier_channel(finder_carrier(poll->finder));
}

void work_poll_free(struct work_poll *poll)
{
	if (!poll)
		return;
	poll->orphaned = true;
	for (size_t i = 0; i < ASK_N; i++) {
		timer_free(poll->questions[i].timer);
		if (poll->questions[i].call)
			carrier_cancel(poll->questions[i].call);
	}
	if (poll->claim)
		carrier_cancel(poll->claim);
	finder_free(poll->finder);
	if (!calls_out(poll)) {
		free(poll->address);
		free(poll);
	}
}
