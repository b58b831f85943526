#include "supernode/uplink.h"

#include "common/base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/*
 * The meaning of a call's final outcome to the core. A run or a message that the SuperLink does not
 * know is over; a FAB or an object that it does not have is missing.
 */
static const struct {
	enum node_fetch run;
	enum node_fetch part; /* a FAB, objects */
	enum node_push push;
} meanings[OUTCOME_N] = {
	[OUTCOME_OK] = {NODE_FETCHED, NODE_FETCHED, NODE_PUSHED},
	[OUTCOME_CANCELLED] = {NODE_FETCH_REFUSED, NODE_FETCH_REFUSED, NODE_PUSH_FAILED},
	[OUTCOME_UNKNOWN] = {NODE_FETCH_REFUSED, NODE_FETCH_REFUSED, NODE_PUSH_REFUSED},
	[OUTCOME_INVALID_ARGUMENT] = {NODE_FETCH_REFUSED, NODE_FETCH_REFUSED, NODE_PUSH_FAILED},
	[OUTCOME_DEADLINE_EXCEEDED] = {NODE_FETCH_REFUSED, NODE_FETCH_REFUSED, NODE_PUSH_FAILED},
	[OUTCOME_NOT_FOUND] = {NODE_RUN_OVER, NODE_FETCH_REFUSED, NODE_PUSH_OVER},
	[OUTCOME_PERMISSION_DENIED] = {NODE_RUN_OVER, NODE_RUN_OVER, NODE_PUSH_OVER},
	[OUTCOME_UNAUTHENTICATED] = {NODE_FETCH_REFUSED, NODE_FETCH_REFUSED, NODE_PUSH_FAILED},
	[OUTCOME_RESOURCE_EXHAUSTED] = {NODE_FETCH_REFUSED, NODE_FETCH_REFUSED, NODE_PUSH_REFUSED},
	[OUTCOME_FAILED_PRECONDITION] = {NODE_FETCH_REFUSED, NODE_FETCH_REFUSED, NODE_PUSH_FAILED},
	[OUTCOME_UNIMPLEMENTED] = {NODE_FETCH_REFUSED, NODE_FETCH_REFUSED, NODE_PUSH_FAILED},
	[OUTCOME_INTERNAL] = {NODE_FETCH_REFUSED, NODE_FETCH_REFUSED, NODE_PUSH_REFUSED},
	[OUTCOME_UNAVAILABLE] = {NODE_FETCH_REFUSED, NODE_FETCH_REFUSED, NODE_PUSH_FAILED},
};

enum node_fetch uplink_meaning_of_part(enum outcome outcome)
{
	return meanings[outcome].part;
}

static void changed(const struct uplink *uplink)
{
	uplink->ops->changed(uplink->arg);
}

static void on_registered(void *arg, uint64_t node_id)
{
	struct uplink *uplink = arg;
	const struct transport_kind *kind = fleet_transport(uplink->fleet);

	/* The last words are Flower's, which tools look for. */
	log_info(uplink->log,
		"registered: node_id=%" PRIu64 " superlink=%s speaks=%s SuperNode ID: %" PRIu64,
		node_id, fleet_superlink(uplink->fleet), fleet_speaks(uplink->fleet), node_id);
	if (uplink->guess && (!kind->option || strcmp(uplink->guess, kind->option) != 0)) {
		log_warn(uplink->log, "--%s has no effect: SuperLink %s speaks %s", uplink->guess,
			fleet_superlink(uplink->fleet), kind->name);
		uplink->guess = NULL;
	}
	node_registered(uplink->node, uplink_now(), node_id);
	changed(uplink);
}

static void on_lost(void *arg)
{
	struct uplink *uplink = arg;

	node_lost(uplink->node, uplink_now());
	changed(uplink);
}

static bool on_wants_message(void *arg)
{
	const struct uplink *uplink = arg;

	return node_wants_message(uplink->node);
}

static uint64_t on_message(void *arg, struct held_message *message, const char *refused)
{
	struct uplink *uplink = arg;
	const struct metadata *metadata = &message->envelope.metadata;
	const uint64_t run_id = metadata->run_id; /* the message is empty afterwards */
	char id[65], type[65], group[65];
	uint64_t number = 0;
	size_t objects = message->objects ? object_set_tree(message->objects)->n : 0;

	text_word(metadata->message_id, id, sizeof id);
	text_word(metadata->message_type, type, sizeof type);
	text_word(metadata->group_id, group, sizeof group);
	if (refused)
		log_info(uplink->log,
			"message received: run_id=%" PRIu64
			" message_id=%s type=%s group=%s, refused: %s",
			run_id, id, type, group, refused);
	else
		log_info(uplink->log,
			"message received: run_id=%" PRIu64
			" message_id=%s type=%s group=%s %s=%zu",
			run_id, id, type, group, objects ? "objects" : "bytes",
			objects ? objects : message->envelope.content.bytes);
	if (node_message(uplink->node, uplink_now(), message, refused, &number))
		log_error(uplink->log,
			"no memory for a message of run %" PRIu64
			": it is lost, and its sender waits until its ttl is over",
			run_id);
	changed(uplink);
	return number;
}

static void on_content(void *arg, uint64_t number, enum outcome outcome, const char *details)
{
	struct uplink *uplink = arg;

	node_content(uplink->node, uplink_now(), number, meanings[outcome].part, details);
	changed(uplink);
}

static void on_over_budget(void *arg, uint64_t number, const char *details)
{
	struct uplink *uplink = arg;

	node_content(uplink->node, uplink_now(), number, NODE_FETCH_TOO_LARGE, details);
	changed(uplink);
}

static void on_told_to_end(void *arg)
{
	const struct uplink *uplink = arg;

	uplink->ops->told_to_end(uplink->arg);
}

static void on_over(void *arg, enum fleet_over over, const char *sentence)
{
	const struct uplink *uplink = arg;

	uplink->ops->over(uplink->arg, over, sentence);
}

const struct fleet_ops uplink_events = {
	.registered = on_registered,
	.lost = on_lost,
	.wants_message = on_wants_message,
	.message = on_message,
	.content = on_content,
	.over_budget = on_over_budget,
	.told_to_end = on_told_to_end,
	.over = on_over,
};

void uplink_refused(const char *what, enum outcome outcome, const char *details, struct reason *why)
{
	char quoted[256];

	text_quote(details, strlen(details), quoted, sizeof quoted);
	reason_set(
		why, "the SuperLink did not give %s: %s: %s", what, outcome_name(outcome), quoted);
}

static void on_run(
	void *arg, uint64_t run_id, enum outcome outcome, struct run *run, const char *details)
{
	struct uplink *uplink = arg;
	struct reason why = {0};

	if (outcome == OUTCOME_CANCELLED)
		return;
	uplink_refused("the run's information", outcome, details, &why);
	node_run_fetched(uplink->node, uplink_now(),
		&(struct node_fetched){run_id, meanings[outcome].run, why.text}, run);
	changed(uplink);
}

static void say_pushed(
	const struct uplink *uplink, uint64_t message, enum outcome outcome, const char *details)
{
	char quoted[256];
	char text[512];

	text_quote(details, strlen(details), quoted, sizeof quoted);
	node_describe(uplink->node, message, text, sizeof text);
	switch (meanings[outcome].push) {
	case NODE_PUSHED:
		log_info(uplink->log, "reply sent: %s", text);
		break;
	case NODE_PUSH_OVER:
		log_debug(uplink->log, "reply dropped, its run is over: %s", text);
		break;
	case NODE_PUSH_REFUSED:
		log_warn(uplink->log, "reply %s the SuperLink, an error is sent instead: %s: %s",
			outcome == OUTCOME_RESOURCE_EXHAUSTED ? "too large for"
							      : "not understood by",
			text, quoted);
		break;
	case NODE_PUSH_FAILED:
		if (outcome != OUTCOME_CANCELLED)
			log_warn(uplink->log, "reply lost: %s: %s: %s", text, outcome_name(outcome),
				quoted);
		break;
	}
}

static void on_pushed(void *arg, uint64_t message, enum outcome outcome, const char *details)
{
	struct uplink *uplink = arg;

	if (outcome == OUTCOME_OK)
		uplink->answered_ms = clock_now_ms();
	say_pushed(uplink, message, outcome, details);
	node_reply_pushed(uplink->node, uplink_now(), message, meanings[outcome].push, details);
	changed(uplink);
}

void uplink_fetch_run(struct uplink *uplink, const struct node_action *action)
{
	if (fleet_get_run(uplink->fleet, action->run_id, on_run, uplink))
		node_run_fetched(uplink->node, uplink_now(),
			&(struct node_fetched){action->run_id, NODE_FETCH_REFUSED,
				"no memory to ask for the run's information"},
			NULL);
}

void uplink_push_reply(struct uplink *uplink, const struct node_action *action)
{
	const struct fleet_push push = {
		action->message, action->reply, action->runtime_s, on_pushed, uplink};
	int r;

	/* An error may answer a message whose objects are still on their way. */
	fleet_drop_content(uplink->fleet, action->message);
	r = fleet_push(uplink->fleet, &push);
	if (r)
		node_reply_pushed(uplink->node, uplink_now(), action->message,
			r == -ENOMEM ? NODE_PUSH_FAILED : NODE_PUSH_REFUSED,
			r == -ENOMEM ? "no memory to push the reply" : "it cannot be encoded");
}

void uplink_finished(struct uplink *uplink, const struct node_action *action)
{
	char text[512];

	fleet_drop_content(uplink->fleet, action->message);
	node_describe(uplink->node, action->message, text, sizeof text);
	if (action->code < 0)
		log_warn(uplink->log, "message dropped: %s: %s", text, action->text);
	else if (action->code > 0)
		log_warn(uplink->log, "message failed: %s code=%" PRId64 ": %s", text, action->code,
			action->text);
	else
		log_debug(uplink->log, "message finished: %s", text);
}
