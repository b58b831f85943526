#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "supernode/link/link_internal.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LONG_BYTES (1 << 20) /* of a request that takes a young signature */

void call_unreadable(struct transport_result *result, int r)
{
	result->outcome = r == -ENOMEM ? OUTCOME_RESOURCE_EXHAUSTED : OUTCOME_INTERNAL;
	result->details = r == -ENOMEM ? "no memory for the SuperLink's answer"
				       : "the SuperLink's answer could not be read";
}

/* ---- the end of it ---- */

/* The call is not under way any more. */
static void call_leave(struct call *call)
{
	LIST_REMOVE(call, entry);
	call->started = false;
	timer_set(call->timer, CLOCK_NEVER);
	slices_done(&call->request);
}

static void say_idle(struct link *link)
{
	if (LIST_EMPTY(&link->calls))
		link->options.news(link->options.arg, LINK_IDLE, NULL);
}

static void call_finish(struct call *call, struct transport_result *result, bool answered)
{
	struct link *link = call->link;

	call_leave(call);
	if (answered)
		tries_worked(link, &call->tries);
	else
		tries_left(link, &call->tries);
	call->kind->done(call, result); /* may free the call */
	say_idle(link);
}

static void call_finish_cancelled(struct call *call)
{
	struct transport_result cancelled = {
		.outcome = OUTCOME_CANCELLED, .details = "cancelled by this node"};

	call_finish(call, &cancelled, false);
}

/* The call is not tried again: the answer counts unless the call was cancelled meanwhile. */
static void call_settle(struct call *call, struct transport_result *result)
{
	bool cancelled = call->cancelled;

	if (cancelled)
		result->outcome = OUTCOME_CANCELLED;
	call_finish(call, result, !cancelled && !call->last);
}

/* The answer to a call that has just been settled may have asked the node to end. */
static void say_told_to_end(struct link *link, bool told_to_end)
{
	if (told_to_end)
		link->options.news(link->options.arg, LINK_TOLD_TO_END, NULL);
}

static void call_failed(struct call *call, struct transport_result *result)
{
	struct link *link = call->link;
	const struct call_kind *kind = call->kind;
	struct transport_result last;
	struct retry retry;
	int64_t next_ms;

	if (result->outcome == OUTCOME_UNAVAILABLE)
		link_look_again(link);
	next_ms = tries_failed(link, &call->tries, kind->endless, kind->method, result);
	if (next_ms != CLOCK_NEVER) {
		timer_set(call->timer, next_ms);
		return;
	}
	last = *result;
	retry = call->tries.retry;
	call_finish(call, result, false);
	/* Without a connection the node itself cannot go on; else only this request is lost. */
	if (!kind->odd_tries || last.outcome == OUTCOME_UNAVAILABLE)
		link->options.news(link->options.arg, LINK_GAVE_UP,
			&(struct link_cause){kind->method, &last, &retry});
}

/* ---- what an outcome means ---- */

static bool is_odd_once_more(struct call *call, enum outcome outcome)
{
	return (outcome == OUTCOME_UNKNOWN || outcome == OUTCOME_INTERNAL) &&
	       ++call->odd >= call->kind->odd_tries;
}

static bool is_final(struct call *call, const struct transport_result *result)
{
	const struct call_kind *kind = call->kind;

	if (result->outcome == OUTCOME_OK || kind->once || call->last ||
		(result->too_large && kind->keeps_head))
		return true;
	if (!kind->odd_tries)
		return false;
	if (!retry_again(result->outcome, kind->what != NULL))
		return true;
	if (kind->final && result->outcome == OUTCOME_UNKNOWN &&
		strstr(result->details, kind->final))
		return true;
	return is_odd_once_more(call, result->outcome);
}

/* Does the SuperLink not know the node? To a poll or a heartbeat one of another release, which has
 * taken its place, answers UNIMPLEMENTED. */
static bool is_lost(const struct call *call, enum outcome outcome)
{
	if (call->kind->once || call->last)
		return false;
	return outcome == OUTCOME_UNAUTHENTICATED ||
	       (outcome == OUTCOME_UNIMPLEMENTED && !call->kind->odd_tries);
}

/*
 * Was the try's signature too old when the SuperLink looked at it? A SuperLink that stood still
 * refuses all calls that came meanwhile, which says nothing about the node. The call is tried once
 * more; a second refusal in a row counts.
 */
static bool is_doubtful(struct call *call, const struct transport_result *result)
{
	int64_t took_ms = clock_now_ms() - call->tries.started_ms;

	if (call->doubted || call->kind->once || call->last || !link_bad_time(result) ||
		took_ms <= call->link->reuse_ms) {
		call->doubted = false;
		return false;
	}
	log_info(call->link->options.log,
		"SuperLink %s: %s was refused after %.1f s, in which its signature grew too old: it is tried again",
		call->link->address, call->kind->method, (double)took_ms / 1000.0);
	call->doubted = true;
	return true;
}

static void digest_run(struct job *job)
{
	struct call *call = container_of(job, struct call, job);

	call->kind->digest(call, &call->body);
}

static void digest_done(struct job *job)
{
	struct call *call = container_of(job, struct call, job);
	struct link *link = call->link;
	bool told_to_end = call->told_to_end;
	auto_(slices_done) struct slices body = slices_take(&call->body);
	struct transport_result result = {.outcome = OUTCOME_OK, .details = "", .body = body};

	body = (struct slices){0};
	call->digesting = false;
	call_settle(call, &result); /* may free the call */
	slices_done(&result.body);
	say_told_to_end(link, told_to_end);
}

/* True: the answer is away, and digest_done() is next. */
static bool digest(struct call *call, struct transport_result *result)
{
	if (result->body.bytes >= CALL_LARGE_BYTES) {
		call->body = slices_take(&result->body);
		call->job = (struct job){.run = digest_run, .done = digest_done};
		call->digesting = loop_job(call->link->options.loop, &call->job) == 0;
		if (call->digesting)
			return true;
		result->body = slices_take(&call->body);
	}
	call->kind->digest(call, &result->body);
	return false;
}

/* False: it will end later, when its answer was digested. */
static bool call_ended(struct call *call, struct transport_result *result)
{
	const struct call_kind *kind = call->kind;
	struct link *link = call->link;
	enum call_answer answer = CALL_ANSWERED;

	if (call->cancelled) {
		call_settle(call, result);
		return true;
	}
	if (result->unreadable && !kind->stores)
		result->outcome = OUTCOME_INTERNAL;
	/* There is no such answer but with OK. */
	if (result->too_large && kind->stores) {
		result->outcome = OUTCOME_OK;
		result->unreadable = true;
	}
	if (result->outcome == OUTCOME_OK && kind->digest && digest(call, result))
		return false;
	if (result->outcome == OUTCOME_OK && kind->read)
		answer = kind->read(call, result);
	if (answer == CALL_UNREADABLE)
		call_unreadable(result, -EBADMSG);
	if (is_doubtful(call, result)) {
		timer_set(call->timer, 0);
	} else if (answer == CALL_NODE_UNKNOWN || is_lost(call, result->outcome)) {
		outage_end(link, true);
		link->options.news(link->options.arg, LINK_LOST,
			&(struct link_cause){kind->method, result, &call->tries.retry});
		assert(call->cancelled);
	} else if (is_final(call, result)) {
		call_settle(call, result);
	} else {
		call_failed(call, result);
	}
	return true;
}

static void call_home(void *arg, struct transport_result *result)
{
	struct call *call = arg;
	struct link *link = call->link;
	bool told_to_end = result->told_to_end;
	char larger[96];

	call->handle = NULL;
	if (result->too_large) {
		snprintf(larger, sizeof larger,
			"the answer is larger than %" PRIu64 " bytes, which is the limit for it",
			call->bound_bytes);
		result->details = larger;
	}
	if (call->transport == link->retired)
		link_retired_home(link);
	/* The answer counts first: it may carry a message. */
	if (!call_ended(call, result))
		call->told_to_end = told_to_end;
	else
		say_told_to_end(link, told_to_end);
}

/* ---- tries ---- */

/* How large may the answer be? */
static uint64_t bound_of(const struct call *call, const struct transport *transport)
{
	uint64_t max_bytes = transport->receive_max_bytes;
	uint64_t bytes =
		call->answer_max_bytes ? call->answer_max_bytes : call->kind->answer_max_bytes;

	if (!bytes)
		bytes = CALL_ANSWER_BYTES;
	return bytes < max_bytes ? bytes : max_bytes;
}

static int send_signed(struct call *call, struct slices *body)
{
	struct link *link = call->link;
	const struct call_kind *kind = call->kind;
	struct transport *transport = link->transport;
	struct auth *key = link->fresh_key ? link->fresh_key : link->key;
	struct transport_call out = {
		.method = kind->method,
		.timeout_ms = kind->timeout_ms,
		.what = kind->what,
		.answer_max_bytes = bound_of(call, transport),
		.keeps_head = kind->keeps_head,
		.kind_max_bytes = kind->answer_max_bytes,
		.auth = key,
		.done = call_home,
		.arg = call,
	};
	int64_t reuse_ms = link->reuse_ms;

	if (!key)
		return -ENOKEY;
	/* A long upload makes a signature older before anybody looks at it. */
	if (body->bytes >= LONG_BYTES && reuse_ms > AUTH_REUSE_LONG_MS)
		reuse_ms = AUTH_REUSE_LONG_MS;
	out.proof = auth_proof(key, call->tries.started_ms, clock_wall_s(), reuse_ms);
	if (!out.proof)
		return -EIO;
	/* When to try again is decided here, not by what the transport learnt from earlier
	 * failures. */
	if (link->outage.failing)
		transport->ops->reconnect(transport);
	call->transport = transport;
	call->bound_bytes = out.answer_max_bytes;
	return transport->ops->call(transport, &out, body, &call->handle);
}

/* error: what preparing the request ended with. */
static void call_try(struct call *call, int error)
{
	struct transport_result failed = {.outcome = OUTCOME_INTERNAL};
	auto_(slices_done) struct slices body = {0};

	tries_begin(&call->tries, clock_now_ms());
	call->broken = false;
	if (!error)
		error = slices_append_refs(&body, &call->request);
	if (!error)
		error = send_signed(call, &body);
	if (!error)
		return;
	failed.details = error == -ENOMEM ? "no memory to send it" : "it could not be sent";
	call_ended(call, &failed);
}

static void call_fire(void *arg)
{
	struct call *call = arg;
	int r = 0;

	if (!call->cancelled && call->kind->prepare)
		r = call->kind->prepare(call);
	if (call->cancelled) {
		call_finish_cancelled(call);
	} else if (r == CALL_NOT_NOW) {
		call_leave(call);
		say_idle(call->link);
	} else if (r != CALL_LATER) {
		call_try(call, r);
	}
}

/* ---- beginning ---- */

int call_init(struct call *call, struct link *link)
{
	*call = (struct call){.link = link};
	tries_init(&call->tries);
	call->timer = timer_new(link->options.loop, call_fire, call);
	return call->timer ? 0 : -ENOMEM;
}

void call_done(struct call *call)
{
	assert(!call->started);
	timer_free(call->timer);
	call->timer = NULL;
	slices_done(&call->request);
}

static void call_enter(struct call *call, const struct call_kind *kind)
{
	call->kind = kind;
	call->odd = 0;
	call->doubted = false;
	call->started = true;
	call->cancelled = false;
	call->last = false;
	LIST_INSERT_HEAD(&call->link->calls, call, entry);
}

void call_start_at(struct call *call, const struct call_kind *kind, int64_t at_ms)
{
	if (call_is_out(call))
		return;
	if (!call->started) {
		call_enter(call, kind);
		call->cancelled = !call->link->open;
	}
	timer_set(call->timer, call->cancelled ? 0 : at_ms);
}

void call_hurry(struct call *call)
{
	if (call->started && !call_is_out(call))
		timer_set(call->timer, 0);
}

void call_start(struct call *call, const struct call_kind *kind, struct slices *request)
{
	assert(!call->started);
	call->request = *request;
	*request = (struct slices){0};
	/* May be called from anywhere: so the first try, too, is made from the loop. */
	call_start_at(call, kind, 0);
}

void call_now(struct call *call, const struct call_kind *kind, int error, struct slices *request)
{
	assert(!call->started);
	call->request = *request;
	*request = (struct slices){0};
	call_enter(call, kind);
	call_try(call, error);
}

/* ---- ending early ---- */

void call_break(struct call *call)
{
	if (!call->handle || call->cancelled || call->broken)
		return;
	call->broken = true;
	call->transport->ops->cancel(call->handle);
}

void call_cancel(struct call *call)
{
	if (!call->started || call->cancelled)
		return;
	call_break(call);
	call->cancelled = true;
	if (!call_is_out(call))
		timer_set(call->timer, 0);
}
