/*
 * errand: one call about a message, tried again by itself until its outcome is final.
 */
#include "common/base/cleanup.h"
#include "supernode/fleet/fleet_internal.h"

#include <errno.h>
#include <string.h>

struct errand_kind {
	struct attempt_call call;
	bool content;      /* too large is final */
	const char *final; /* UNKNOWN with these words in it is an answer; NULL: none */
	int odd_tries;     /* until UNKNOWN and INTERNAL are final: a handler of the SuperLink has
			      raised, or the request cannot be read there */
};

static const struct errand_kind kinds[ERRAND_N] = {
	[ERRAND_GET_RUN] = {{"GetRun", FLOW_CALL_TIMEOUT_MS, FLOW_RUN_ANSWER_BYTES, NULL}, false,
		NULL, 3},
	[ERRAND_GET_FAB] = {{"GetFab", 0, FLOW_FAB_ANSWER_BYTES, "a FAB"}, true, NULL, 3},
	[ERRAND_PUSH_MESSAGES] = {{"PushMessages", 0, 0, "a reply"}, true, NULL, 5},
	[ERRAND_PULL_OBJECT] = {{"PullObject", 0, FLOW_OBJECT_ANSWER_BYTES, "an object"}, true,
		FLOW_NOT_YET, 3},
	[ERRAND_PUSH_OBJECT] = {{"PushObject", 0, 0, "an object"}, true, NULL, 5},
	[ERRAND_CONFIRM] = {{"ConfirmMessageReceived", FLOW_CALL_TIMEOUT_MS, 0, NULL}, false, NULL,
		3},
};

struct errand {
	LIST_ENTRY(errand) link;
	struct attempt attempt;
	const struct errand_kind *kind;
	struct attempt_call call; /* kind's, with the answer's own bound */
	struct slices request;    /* for every try */
	struct retry retry;
	struct failing failing;
	struct timer *timer; /* the next try; or to end, when cancelled between tries */
	bool cancelled;
	int odd; /* tries that ended so */
	errand_fn *done;
	void *arg;
};

static void errand_free(struct errand *errand)
{
	if (!errand)
		return;
	timer_free(errand->timer);
	slices_done(&errand->request);
	free(errand);
}

static void errand_free_at_exit(struct errand **errand)
{
	errand_free(*errand);
}

void errand_unreadable(struct transport_result *result, int r)
{
	result->outcome = r == -ENOMEM ? OUTCOME_RESOURCE_EXHAUSTED : OUTCOME_INTERNAL;
	result->details = r == -ENOMEM ? "no memory for the SuperLink's answer"
				       : "the SuperLink's answer could not be read";
}

/* ---- tries ---- */

static void errand_finish(struct errand *errand, struct transport_result *result)
{
	struct fleet *fleet = errand->attempt.fleet;

	LIST_REMOVE(errand, link);
	errand->done(errand->arg, result);
	errand_free(errand);
	fleet_came_home(fleet);
}

static void errand_failed(struct errand *errand, struct transport_result *result)
{
	struct fleet *fleet = errand->attempt.fleet;
	const char *method = errand->call.method;
	struct retry retry = errand->retry;
	struct transport_result last = *result;
	int64_t next_ms;

	if (retry.first_ms < 0)
		retry.first_ms = errand->attempt.started_ms;
	next_ms = retry_next(&retry, &fleet->options.retry, fleet_now_ms(), fleet_random01(fleet));
	errand->retry = retry;
	if (next_ms != CLOCK_NEVER) {
		outage_failed(fleet, &errand->failing, method, result, next_ms);
		timer_set(errand->timer, next_ms);
		return;
	}
	outage_left(fleet, &errand->failing);
	errand_finish(errand, result);
	/* Without a connection the node itself cannot go on; else only this message is lost. */
	if (last.outcome == OUTCOME_UNAVAILABLE)
		fleet_gave_up(fleet, method, &retry, &last);
}

static bool is_odd(enum outcome outcome)
{
	return outcome == OUTCOME_UNKNOWN || outcome == OUTCOME_INTERNAL;
}

static bool is_answer(const struct errand *errand, const struct transport_result *result)
{
	const char *words = errand->kind->final;

	return words && result->outcome == OUTCOME_UNKNOWN && strstr(result->details, words);
}

static void errand_done(struct attempt *attempt, struct transport_result *result)
{
	struct errand *errand = container_of(attempt, struct errand, attempt);
	struct fleet *fleet = attempt->fleet;

	if (errand->cancelled) {
		result->outcome = OUTCOME_CANCELLED;
		errand_finish(errand, result);
		return;
	}
	if (result->outcome == OUTCOME_UNAUTHENTICATED) {
		/* Cancels all errands, this one too. */
		fleet_lost(fleet, errand->call.method, result);
		return;
	}
	if (retry_again(result->outcome, errand->kind->content) && !is_answer(errand, result) &&
		!(is_odd(result->outcome) && ++errand->odd >= errand->kind->odd_tries)) {
		errand_failed(errand, result);
		return;
	}
	outage_worked(fleet, &errand->failing);
	errand_finish(errand, result);
}

static void errand_fire(void *arg)
{
	struct errand *errand = arg;
	struct transport_result cancelled = {
		.outcome = OUTCOME_CANCELLED, .details = "cancelled by this node"};
	auto_(slices_done) struct slices body = {0};
	int r;

	if (errand->cancelled) {
		errand_finish(errand, &cancelled);
		return;
	}
	r = slices_append_refs(&body, &errand->request);
	attempt_start(&errand->attempt, &errand->call, r, &body, errand_done);
}

void errand_cancel_all(struct fleet *fleet)
{
	struct errand *errand;

	LIST_FOREACH(errand, &fleet->errands, link)
	{
		errand->cancelled = true;
		if (errand->attempt.out)
			attempt_cancel(&errand->attempt);
		else
			timer_set(errand->timer, 0);
	}
}

void errand_break_all(struct fleet *fleet)
{
	struct errand *errand;

	LIST_FOREACH(errand, &fleet->errands, link)
	attempt_break(&errand->attempt);
}

/* ---- beginning ---- */

/* Answered with the ids of the objects that are wanted of those in the request. */
static uint64_t announcement_bound(const struct slices *request)
{
	uint64_t ids =
		request->bytes < OBJECT_TREE_BYTES_MAX ? request->bytes : OBJECT_TREE_BYTES_MAX;

	return FLOW_CONTROL_ANSWER_BYTES + ids;
}

int errand_start(struct fleet *fleet, enum errand_name name, struct slices *request,
	errand_fn *done, void *arg)
{
	uint64_t answer_max_bytes = name == ERRAND_PUSH_MESSAGES
					    ? announcement_bound(request)
					    : kinds[name].call.answer_max_bytes;

	return errand_start_bounded(fleet, name, answer_max_bytes, request, done, arg);
}

int errand_start_bounded(struct fleet *fleet, enum errand_name name, uint64_t answer_max_bytes,
	struct slices *request, errand_fn *done, void *arg)
{
	auto_(errand_free_at_exit) struct errand *errand = calloc(1, sizeof *errand);

	if (errand)
		errand->timer = timer_new(fleet->loop, errand_fire, errand);
	if (!errand || !errand->timer) {
		slices_done(request);
		return -ENOMEM;
	}
	errand->attempt.fleet = fleet;
	errand->kind = &kinds[name];
	errand->call = kinds[name].call;
	errand->call.answer_max_bytes = answer_max_bytes;
	errand->request = *request;
	*request = (struct slices){0};
	errand->done = done;
	errand->arg = arg;
	errand->cancelled = fleet->state != FLEET_ONLINE &&
			    !(fleet->state == FLEET_CLOSING && fleet->reply_expected);
	retry_init(&errand->retry);
	/* May be called from anywhere: so the first try, too, is made from the loop. */
	timer_set(errand->timer, 0);
	LIST_INSERT_HEAD(&fleet->errands, errand, link);
	take_pointer(&errand); /* the list's from here on */
	return 0;
}
