#include "common/base/cleanup.h"
#include "common/message/fleet_a_codec.h"
#include "supernode/fleet/flow.h"

#include <errno.h>

struct errand_kind {
	struct attempt_call call;
	bool content;  /* too large is final */
	int odd_tries; /* until UNKNOWN and INTERNAL are final: a handler of the SuperLink has
			  raised, or the request cannot be read there */
	void (*deliver)(struct errand *errand, struct transport_result *result);
};

struct errand {
	LIST_ENTRY(errand) link;
	struct attempt attempt;
	const struct errand_kind *kind;
	struct slices request; /* for every try */
	struct retry retry;
	struct failing failing;
	struct timer *timer; /* the next try; or to end, when cancelled between tries */
	bool cancelled;
	int odd;         /* tries that ended so */
	uint64_t number; /* run, or the owner's number of a reply */
	union {
		fleet_run_fn *run;
		fleet_fab_fn *fab;
		fleet_push_fn *push;
	} done;
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

/* ---- what each kind makes of its answer ---- */

static void unreadable(struct transport_result *result, int rc)
{
	result->outcome = rc == -ENOMEM ? OUTCOME_RESOURCE_EXHAUSTED : OUTCOME_INTERNAL;
	result->details = rc == -ENOMEM ? "no memory for the SuperLink's answer"
					: "the SuperLink's answer could not be read";
}

static void deliver_run(struct errand *errand, struct transport_result *result)
{
	struct run run = {0};
	int rc;

	/* Flower answers with an empty message for a run that it does not know. */
	if (result->outcome == OUTCOME_OK && result->body.bytes == 0) {
		result->outcome = OUTCOME_NOT_FOUND;
		result->details = "the SuperLink knows no such run";
	} else if (result->outcome == OUTCOME_OK) {
		rc = fleet_a_decode_get_run(&result->body, &run);
		if (rc)
			unreadable(result, rc);
	}
	errand->done.run(errand->arg, errand->number, result->outcome,
		result->outcome == OUTCOME_OK ? &run : NULL, result->details);
}

static void deliver_fab(struct errand *errand, struct transport_result *result)
{
	auto_(free_at_exit) char *hash = NULL;
	struct slices content = {0};
	int rc;

	if (result->outcome == OUTCOME_OK) {
		rc = fleet_a_decode_get_fab(&result->body, &hash, &content);
		if (rc)
			unreadable(result, rc);
	}
	errand->done.fab(errand->arg, errand->number, result->outcome,
		result->outcome == OUTCOME_OK ? &content : NULL, result->details);
}

static void deliver_push(struct errand *errand, struct transport_result *result)
{
	struct fleet *fleet = errand->attempt.fleet;
	bool dropped = false;

	/* An answer that cannot be read is no reason to push again: the reply is there. */
	if (result->outcome == OUTCOME_OK && fleet_a_decode_push_messages(&result->body, &dropped))
		log_warn(fleet->log,
			"SuperLink %s: the answer to a reply could not be read; taken as delivered",
			fleet->superlink);
	else if (dropped)
		log_warn(fleet->log,
			"SuperLink %s: dropped the reply: the message's time is over, or it is "
			"unknown there",
			fleet->superlink);
	errand->done.push(errand->arg, errand->number, result->outcome, result->details);
	if (result->outcome == OUTCOME_CANCELLED)
		return;
	if (fleet->state == FLEET_CLOSING && fleet->reply_expected) {
		fleet->reply_expected = false;
		fleet_closed(fleet);
	} else {
		poll_now(fleet);
	}
}

static const struct errand_kind get_run = {
	{"GetRun", FLOW_CALL_TIMEOUT_MS, false, NULL}, false, 3, deliver_run};
static const struct errand_kind get_fab = {{"GetFab", 0, false, "a FAB"}, true, 3, deliver_fab};
static const struct errand_kind push_messages = {
	{"PushMessages", 0, false, "a reply"}, true, 5, deliver_push};

/* ---- tries ---- */

static void errand_finish(struct errand *errand, struct transport_result *result)
{
	struct fleet *fleet = errand->attempt.fleet;

	LIST_REMOVE(errand, link);
	errand->kind->deliver(errand, result);
	errand_free(errand);
	fleet_came_home(fleet);
}

static void errand_failed(struct errand *errand, struct transport_result *result)
{
	struct fleet *fleet = errand->attempt.fleet;
	const char *method = errand->kind->call.method;
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
		fleet_lost(fleet, errand->kind->call.method, result);
		return;
	}
	if (retry_again(result->outcome, errand->kind->content) &&
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
	int rc;

	if (errand->cancelled) {
		errand_finish(errand, &cancelled);
		return;
	}
	rc = slices_append_refs(&body, &errand->request);
	attempt_start(&errand->attempt, &errand->kind->call, rc, &body, errand_done);
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

/* ---- beginning ---- */

/* May be called from anywhere: so the first try, too, is made from the loop. */
static int errand_begin(struct fleet *fleet, struct errand **taken)
{
	auto_(errand_free_at_exit) struct errand *errand = take_pointer(taken);

	errand->timer = timer_new(fleet->loop, errand_fire, errand);
	if (!errand->timer)
		return -ENOMEM;
	errand->attempt.fleet = fleet;
	errand->cancelled = fleet->state != FLEET_ONLINE &&
			    !(fleet->state == FLEET_CLOSING && fleet->reply_expected);
	retry_init(&errand->retry);
	timer_set(errand->timer, 0);
	LIST_INSERT_HEAD(&fleet->errands, errand, link);
	take_pointer(&errand); /* the list's from here on */
	return 0;
}

int fleet_get_run(struct fleet *fleet, uint64_t run_id, fleet_run_fn *done, void *arg)
{
	auto_(errand_free_at_exit) struct errand *errand = calloc(1, sizeof(*errand));
	int rc;

	if (!errand)
		return -ENOMEM;
	errand->kind = &get_run;
	errand->number = run_id;
	errand->done.run = done;
	errand->arg = arg;
	rc = fleet_a_encode_get_run(fleet->node_id, run_id, &errand->request);
	return rc ? rc : errand_begin(fleet, &errand);
}

int fleet_get_fab(
	struct fleet *fleet, uint64_t run_id, const char *hash, fleet_fab_fn *done, void *arg)
{
	auto_(errand_free_at_exit) struct errand *errand = calloc(1, sizeof(*errand));
	int rc;

	if (!errand)
		return -ENOMEM;
	errand->kind = &get_fab;
	errand->number = run_id;
	errand->done.fab = done;
	errand->arg = arg;
	rc = fleet_a_encode_get_fab(fleet->node_id, hash, run_id, &errand->request);
	return rc ? rc : errand_begin(fleet, &errand);
}

int errand_push(struct fleet *fleet, uint64_t number, const struct envelope *reply,
	fleet_push_fn *done, void *arg)
{
	auto_(errand_free_at_exit) struct errand *errand = calloc(1, sizeof(*errand));
	int rc;

	if (!errand)
		return -ENOMEM;
	errand->kind = &push_messages;
	errand->number = number;
	errand->done.push = done;
	errand->arg = arg;
	rc = fleet_a_encode_push_messages(fleet->node_id, reply, &errand->request);
	return rc ? rc : errand_begin(fleet, &errand);
}

int fleet_push(struct fleet *fleet, uint64_t number, const struct envelope *reply,
	fleet_push_fn *done, void *arg)
{
	return errand_push(fleet, number, reply, done, arg);
}
