/*
 * objects_in: the objects of one message, on their way here: several at a time, each tried again by
 * itself. Each is checked when it comes (object_set_put()); what has come stays, whatever becomes
 * of the others.
 *
 * An object's size is not known before it is here. So each is asked for with a bound of its answer,
 * for which there is room in the memory budget: first that of a piece of an array as SuperLinks of
 * this dialect have it, and the largest that has come; one that is larger is asked for once more,
 * alone, with the largest bound that there is.
 */
#include "supernode/fleet/contents_objects.h"

#include "common/base/cleanup.h"
#include "common/message/object_calls_codec.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define INTAKE_SLOTS       8
#define INTAKE_BYTES       (32 << 20)    /* on their way at a time */
#define INTAKE_MIN_BYTES   (1 << 20)     /* of the budget, for one object */
#define INTAKE_HEAD_BYTES  (64 << 10)    /* around an object, and of its head */
#define INTAKE_BAD_TRIES   3             /* of an object that is not what it is called */
#define INTAKE_WAIT_MS     100           /* for one that the SuperLink does not have yet ... */
#define INTAKE_WAIT_MAX    10000         /* ... doubled to this ... */
#define INTAKE_PATIENCE_MS (7200 * 1000) /* ... in all */

/* One object on its way. */
struct arrival {
	struct intake *intake;
	size_t index;
	bool busy;
	uint64_t bound;    /* of the answer */
	bool cut;          /* bound is what was left of the budget */
	uint64_t reserved; /* in the budget */
	bool waiting;      /* for wait */
	int bad;           /* so often it was not what it is called */
	int64_t first_ms;  /* when it was asked for first */
	int64_t wait_ms;
	struct timer *wait;
};

struct intake {
	LIST_ENTRY(intake) link;
	struct fleet *fleet;
	uint64_t number; /* the owner's of the message */
	uint64_t run_id;
	struct object_set *set;
	size_t next; /* what was not asked for yet */
	/* These were larger than their bound; at most one for each that is on its way. */
	size_t again[INTAKE_SLOTS];
	unsigned n_again;
	unsigned busy;
	uint64_t largest; /* an object may be, as far as is known */
	bool over;        /* no more is asked for */
	enum outcome outcome;
	struct reason why;
	struct timer *go;
	struct arrival arrivals[INTAKE_SLOTS];
};

static void intake_free(struct intake *intake)
{
	if (!intake)
		return;
	for (size_t i = 0; i < INTAKE_SLOTS; i++)
		timer_free(intake->arrivals[i].wait);
	timer_free(intake->go);
	object_set_unref(intake->set);
	free(intake);
}

static void confirmed(void *arg, struct transport_result *result)
{
	(void)arg;
	(void)result;
}

/* The SuperLink need not keep the objects any more. */
static void confirm(const struct intake *intake)
{
	const struct object_tree *tree = object_set_tree(intake->set);
	struct object_request request = {.node_id = intake->fleet->node_id,
		.run_id = intake->run_id,
		.id = tree->v[tree->n - 1].id};
	struct slices body = {0};

	if (object_request_encode(&request, &body) == 0)
		(void)errand_start(intake->fleet, ERRAND_CONFIRM, &body, confirmed, NULL);
	slices_done(&body);
}

static void intake_end(struct intake *intake)
{
	struct fleet *fleet = intake->fleet;
	bool told = intake->outcome != OUTCOME_CANCELLED;

	LIST_REMOVE(intake, link);
	if (fleet->state == FLEET_ONLINE || fleet->state == FLEET_CLOSING) {
		confirm(intake);
		if (told)
			fleet->ops.content(
				fleet->arg, intake->number, intake->outcome, intake->why.text);
	}
	intake_free(intake);
	fleet_came_home(fleet);
}

/* No more of it: the first reason counts. */
static void intake_fail(struct intake *intake, enum outcome outcome, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void intake_fail(struct intake *intake, enum outcome outcome, const char *format, ...)
{
	va_list args;

	if (intake->over)
		return;
	intake->over = true;
	intake->outcome = outcome;
	va_start(args, format);
	vsnprintf(intake->why.text, sizeof intake->why.text, format, args);
	va_end(args);
	for (size_t i = 0; i < INTAKE_SLOTS; i++)
		if (intake->arrivals[i].waiting)
			timer_set(intake->arrivals[i].wait, 0);
}

/* ---- the budget ---- */

/* Of the answer that is asked for next. */
static uint64_t next_bound(const struct intake *intake)
{
	uint64_t bytes = intake->largest + INTAKE_HEAD_BYTES;

	return intake->n_again || bytes > FLOW_OBJECT_ANSWER_BYTES ? FLOW_OBJECT_ANSWER_BYTES
								   : bytes;
}

static void release(struct arrival *arrival)
{
	struct budget *budget = arrival->intake->fleet->options.budget;

	if (budget)
		budget_release(budget, arrival->reserved);
	arrival->reserved = 0;
}

/* Does no other object of the message have room that was reserved for it? */
static bool is_alone(const struct arrival *arrival)
{
	const struct intake *intake = arrival->intake;

	for (size_t i = 0; i < INTAKE_SLOTS; i++)
		if (&intake->arrivals[i] != arrival && intake->arrivals[i].reserved)
			return false;
	return true;
}

/*
 * Room for the arrival's object; one that is alone may have what there is. A quarter of what is
 * left stays for the message's run, FAB and reply. False: there is no room.
 */
static bool reserve(struct arrival *arrival)
{
	struct budget *budget = arrival->intake->fleet->options.budget;
	uint64_t bytes = next_bound(arrival->intake);
	uint64_t left = bytes;

	if (budget) {
		left = budget->limit_bytes > budget->used_bytes
			       ? budget->limit_bytes - budget->used_bytes
			       : 0;
		left -= left / 4;
	}
	arrival->cut = left < bytes && left >= INTAKE_MIN_BYTES && is_alone(arrival);
	if (arrival->cut)
		bytes = left;
	if (bytes > left || (budget && budget_reserve(budget, bytes) < 0))
		return false;
	arrival->bound = arrival->reserved = bytes;
	return true;
}

/* Go on, from the loop. */
static void arrival_over(struct arrival *arrival)
{
	release(arrival);
	arrival->busy = false;
	arrival->intake->busy--;
	timer_set(arrival->intake->go, 0);
}

static void ask(struct arrival *arrival);

static void kept(void *arg, size_t index, int r, const struct reason *why)
{
	struct arrival *arrival = arg;
	struct intake *intake = arrival->intake;

	(void)index;
	if (r == -EBADMSG && !intake->over && ++arrival->bad < INTAKE_BAD_TRIES) {
		log_warn(intake->fleet->log,
			"SuperLink %s: an object is not what it is called: %s; asking again",
			intake->fleet->superlink, why->text);
		ask(arrival);
		return;
	}
	if (r)
		intake_fail(intake, OUTCOME_INTERNAL,
			r == -EBADMSG ? "an object of the message is broken at the SuperLink: %s"
				      : "an object of the message could not be kept: %s",
			why->text);
	arrival_over(arrival);
}

/* Nobody wants the objects any more when the message was answered. */
static void look_who_wants(struct intake *intake)
{
	if (!intake->over && object_set_is_last_ref(intake->set))
		intake_fail(intake, OUTCOME_CANCELLED, "%s", "");
}

static void wait_for(struct arrival *arrival);

static void wait_fire(void *arg)
{
	struct arrival *arrival = arg;

	arrival->waiting = false;
	look_who_wants(arrival->intake);
	if (arrival->intake->over)
		arrival_over(arrival);
	else if (!reserve(arrival))
		wait_for(arrival);
	else
		ask(arrival);
}

/* The SuperLink knows it, but whoever made it has not sent it yet. */
static void wait_for(struct arrival *arrival)
{
	struct intake *intake = arrival->intake;
	int64_t now_ms = fleet_now_ms();

	if (now_ms - arrival->first_ms > INTAKE_PATIENCE_MS) {
		intake_fail(intake, OUTCOME_NOT_FOUND,
			"an object of the message did not reach the SuperLink within two hours");
		arrival_over(arrival);
		return;
	}
	release(arrival);
	timer_set(intake->go, 0); /* another object may have its room */
	arrival->waiting = true;
	timer_set(arrival->wait, clock_after(now_ms, pace_double(&arrival->wait_ms, INTAKE_WAIT_MS,
							     INTAKE_WAIT_MAX)));
}

static bool is_not_yet(const struct transport_result *result, const struct object_pulled *pulled)
{
	if (result->outcome == OUTCOME_OK)
		return pulled->found && !pulled->available;
	return result->outcome == OUTCOME_UNKNOWN && strstr(result->details, FLOW_NOT_YET);
}

/* Larger than its bound: it is asked for again, with the largest one. False: it had that, or there
 * is no more room. */
static bool ask_again(struct arrival *arrival)
{
	struct intake *intake = arrival->intake;

	if (arrival->cut || arrival->bound == FLOW_OBJECT_ANSWER_BYTES)
		return false;
	intake->again[intake->n_again++] = arrival->index;
	return true;
}

static void arrived(void *arg, struct transport_result *result)
{
	auto_(object_pulled_done) struct object_pulled pulled = {0};
	struct arrival *arrival = arg;
	struct intake *intake = arrival->intake;
	char cause[FLOW_CAUSE_BYTES];
	int r = 0;

	if (result->outcome == OUTCOME_OK)
		r = object_pulled_decode(&result->body, &pulled);
	if (r)
		errand_unreadable(result, r);
	flow_cause(result, cause);
	slices_done(&result->body);
	if (is_not_yet(result, &pulled) && !intake->over) {
		wait_for(arrival);
		return;
	}
	if (result->too_large && !intake->over && ask_again(arrival)) {
		arrival_over(arrival);
		return;
	}
	if (result->too_large && arrival->cut)
		intake_fail(intake, result->outcome,
			"an object of the message is larger than the %" PRIu64
			" bytes that are left for it in the SuperNode's memory budget",
			arrival->bound);
	else if (result->outcome != OUTCOME_OK)
		intake_fail(intake, result->outcome, "an object of the message did not come: %s",
			cause);
	else if (!pulled.found)
		intake_fail(intake, OUTCOME_NOT_FOUND,
			"the SuperLink has lost an object of the message");
	if (intake->over) {
		arrival_over(arrival);
		return;
	}
	if (pulled.content.bytes > intake->largest)
		intake->largest = pulled.content.bytes;
	r = object_set_put(intake->set, arrival->index, &pulled.content, kept, arrival);
	if (r) {
		intake_fail(intake, OUTCOME_RESOURCE_EXHAUSTED,
			"the SuperNode has no memory for an object of the message");
		arrival_over(arrival);
	}
}

static void ask(struct arrival *arrival)
{
	struct intake *intake = arrival->intake;
	struct object_request request = {.node_id = intake->fleet->node_id,
		.run_id = intake->run_id,
		.id = object_set_tree(intake->set)->v[arrival->index].id};
	struct slices body = {0};
	int r = object_request_encode(&request, &body);

	if (!r)
		r = errand_start_bounded(
			intake->fleet, ERRAND_PULL_OBJECT, arrival->bound, &body, arrived, arrival);
	slices_done(&body);
	if (!r)
		return;
	intake_fail(intake, OUTCOME_RESOURCE_EXHAUSTED,
		"the SuperNode has no memory to ask for an object of the message");
	arrival_over(arrival);
}

/* May one more be on its way? */
static bool has_room(const struct intake *intake)
{
	uint64_t each = next_bound(intake) - INTAKE_HEAD_BYTES;

	return intake->busy == 0 ||
	       (intake->busy < INTAKE_SLOTS && (intake->busy + 1) * each <= INTAKE_BYTES);
}

static struct arrival *free_arrival(struct intake *intake)
{
	struct arrival *arrival = intake->arrivals;

	while (arrival->busy)
		arrival++;
	return arrival;
}

/* Is there one more to be asked for? It is not begun yet. */
static bool next_index(struct intake *intake, size_t *out)
{
	size_t n = object_set_tree(intake->set)->n;

	while (intake->next < n && object_set_has(intake->set, intake->next))
		intake->next++;
	*out = intake->n_again ? intake->again[intake->n_again - 1] : intake->next;
	return *out < n;
}

static void go(void *arg)
{
	struct intake *intake = arg;
	size_t index;

	look_who_wants(intake);
	while (!intake->over && has_room(intake) && next_index(intake, &index)) {
		struct arrival *arrival = free_arrival(intake);

		if (!reserve(arrival)) {
			if (intake->busy == 0)
				intake_fail(intake, OUTCOME_RESOURCE_EXHAUSTED,
					"there is no room in the SuperNode's memory budget for an object of the message");
			break;
		}
		if (intake->n_again)
			intake->n_again--;
		else
			intake->next++;
		arrival->index = index;
		arrival->busy = true;
		arrival->bad = 0;
		arrival->wait_ms = 0;
		arrival->first_ms = fleet_now_ms();
		intake->busy++;
		ask(arrival);
	}
	if (intake->busy == 0 && (intake->over || !next_index(intake, &index)))
		intake_end(intake);
}

int intake_start(struct fleet *fleet, uint64_t number, uint64_t run_id, struct object_set *set)
{
	struct intake *intake = calloc(1, sizeof *intake);
	bool made = intake != NULL;

	if (!made)
		return -ENOMEM;
	intake->go = timer_new(fleet->loop, go, intake);
	for (size_t i = 0; i < INTAKE_SLOTS; i++) {
		intake->arrivals[i].intake = intake;
		intake->arrivals[i].wait = timer_new(fleet->loop, wait_fire, &intake->arrivals[i]);
		made = made && intake->arrivals[i].wait;
	}
	if (!made || !intake->go) {
		intake_free(intake);
		return -ENOMEM;
	}
	intake->fleet = fleet;
	intake->number = number;
	intake->run_id = run_id;
	intake->set = object_set_ref(set);
	intake->largest = fleet->dialect->object_bytes;
	LIST_INSERT_HEAD(&fleet->intakes, intake, link);
	timer_set(intake->go, 0);
	return 0;
}

void intake_cancel_all(struct fleet *fleet)
{
	struct intake *intake;

	LIST_FOREACH(intake, &fleet->intakes, link)
	{
		intake_fail(intake, OUTCOME_CANCELLED, "%s", "");
		timer_set(intake->go, 0);
	}
}
