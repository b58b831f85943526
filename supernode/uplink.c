/*
 * uplink: events of fleet become events of the node, and what
 * the node wants of the SuperLink becomes calls.
 */
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "supernode/run/fab_check.h"
#include "supernode/supernode_internal.h"

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

static void on_registered(void *arg, uint64_t node_id)
{
	struct supernode *supernode = arg;
	const struct transport_kind *kind = fleet_transport(supernode->fleet);

	/* The last words are Flower's, which tools look for. */
	log_info(supernode->log,
		"registered: node_id=%" PRIu64 " superlink=%s speaks=%s SuperNode ID: %" PRIu64,
		node_id, fleet_superlink(supernode->fleet), fleet_speaks(supernode->fleet),
		node_id);
	if (supernode->guess && (!kind->option || strcmp(supernode->guess, kind->option) != 0)) {
		log_warn(supernode->log, "--%s has no effect: SuperLink %s speaks %s",
			supernode->guess, fleet_superlink(supernode->fleet), kind->name);
		supernode->guess = NULL;
	}
	node_registered(supernode->node, supernode_now(), node_id);
	supernode_pump(supernode);
}

static void on_lost(void *arg)
{
	struct supernode *supernode = arg;

	node_lost(supernode->node, supernode_now());
	supernode_pump(supernode);
}

static bool on_wants_message(void *arg)
{
	const struct supernode *supernode = arg;

	return node_wants_message(supernode->node);
}

static uint64_t on_message(void *arg, struct held_message *message, const char *refused)
{
	struct supernode *supernode = arg;
	const struct metadata *metadata = &message->envelope.metadata;
	const uint64_t run_id = metadata->run_id; /* the message is empty afterwards */
	char id[65], type[65], group[65];
	uint64_t number = 0;
	size_t objects = message->objects ? object_set_tree(message->objects)->n : 0;

	text_word(metadata->message_id, id, sizeof id);
	text_word(metadata->message_type, type, sizeof type);
	text_word(metadata->group_id, group, sizeof group);
	log_info(supernode->log,
		"message received: run_id=%" PRIu64 " message_id=%s type=%s group=%s %s=%zu",
		run_id, id, type, group, objects ? "objects" : "bytes",
		objects ? objects : message->envelope.content.bytes);
	if (node_message(supernode->node, supernode_now(), message, refused, &number))
		log_error(supernode->log,
			"no memory for a message of run %" PRIu64
			": it is lost, and its sender waits until its ttl is over",
			run_id);
	supernode_pump(supernode);
	return number;
}

static void on_content(void *arg, uint64_t number, enum outcome outcome, const char *details)
{
	struct supernode *supernode = arg;

	node_content(supernode->node, supernode_now(), number, meanings[outcome].part, details);
	supernode_pump(supernode);
}

static void on_over_budget(void *arg, uint64_t number, const char *details)
{
	struct supernode *supernode = arg;

	node_content(supernode->node, supernode_now(), number, NODE_FETCH_TOO_LARGE, details);
	supernode_pump(supernode);
}

static void on_told_to_end(void *arg)
{
	struct supernode *supernode = arg;

	if (supernode->phase != PHASE_WORKING)
		return;
	supernode_stop(supernode);
	supernode->told = true;
}

static void on_over(void *arg, enum fleet_over over, const char *sentence)
{
	supernode_over(arg, over, sentence);
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

static void run_refused(
	const char *what, enum outcome outcome, const char *details, struct reason *why)
{
	char quoted[256];

	text_quote(details, strlen(details), quoted, sizeof quoted);
	reason_set(
		why, "the SuperLink did not give %s: %s: %s", what, outcome_name(outcome), quoted);
}

static void on_run(
	void *arg, uint64_t run_id, enum outcome outcome, struct run *run, const char *details)
{
	struct supernode *supernode = arg;
	struct reason why = {0};

	if (outcome == OUTCOME_CANCELLED)
		return;
	run_refused("the run's information", outcome, details, &why);
	node_run_fetched(supernode->node, supernode_now(),
		&(struct node_fetched){run_id, meanings[outcome].run, why.text}, run);
	supernode_pump(supernode);
}

/* A FAB on its way: from the SuperLink, through its check, to the node. */
struct fab_fetch {
	struct supernode *supernode;
	char hash[128];
};

static void on_fab_checked(void *arg, uint64_t run_id, struct checked_fab *fab, const char *refused)
{
	struct supernode *supernode = arg;

	if (refused)
		log_warn(supernode->log, "FAB refused: run_id=%" PRIu64 ": %s", run_id, refused);
	node_fab_fetched(supernode->node, supernode_now(),
		&(struct node_fetched){
			run_id, refused ? NODE_FETCH_REFUSED : NODE_FETCHED, refused},
		fab);
	supernode_pump(supernode);
}

static void on_fab(void *arg, uint64_t run_id, struct fleet_fab *fab)
{
	auto_(free_at_exit) struct fab_fetch *fetch = arg;
	struct supernode *supernode = fetch->supernode;
	struct reason why = {0};

	if (fab->outcome == OUTCOME_CANCELLED)
		return;
	if (fab->outcome == OUTCOME_OK) {
		struct unchecked_fab given = {fetch->hash, fab->content, fab->verifications};

		fab->content = (struct slices){0};
		fab->verifications = (struct value_map){0};
		if (fab_checks_start(
			    supernode->fab_checks, run_id, &given, on_fab_checked, supernode) == 0)
			return;
		value_map_done(&given.verifications);
		fab->outcome = OUTCOME_RESOURCE_EXHAUSTED;
		fab->details = "no memory to check it";
	}
	run_refused("the FAB", fab->outcome, fab->details, &why);
	node_fab_fetched(supernode->node, supernode_now(),
		&(struct node_fetched){run_id, meanings[fab->outcome].part, why.text}, NULL);
	supernode_pump(supernode);
}

static void say_pushed(const struct supernode *supernode, uint64_t message, enum outcome outcome,
	const char *details)
{
	char quoted[256];
	char text[512];

	text_quote(details, strlen(details), quoted, sizeof quoted);
	node_describe(supernode->node, message, text, sizeof text);
	switch (meanings[outcome].push) {
	case NODE_PUSHED:
		log_info(supernode->log, "reply sent: %s", text);
		break;
	case NODE_PUSH_OVER:
		log_debug(supernode->log, "reply dropped, its run is over: %s", text);
		break;
	case NODE_PUSH_REFUSED:
		log_warn(supernode->log, "reply %s the SuperLink, an error is sent instead: %s: %s",
			outcome == OUTCOME_RESOURCE_EXHAUSTED ? "too large for"
							      : "not understood by",
			text, quoted);
		break;
	case NODE_PUSH_FAILED:
		if (outcome != OUTCOME_CANCELLED)
			log_warn(supernode->log, "reply lost: %s: %s: %s", text,
				outcome_name(outcome), quoted);
		break;
	}
}

static void on_pushed(void *arg, uint64_t message, enum outcome outcome, const char *details)
{
	struct supernode *supernode = arg;

	if (outcome == OUTCOME_OK)
		supernode->answered_ms = clock_now_ms();
	say_pushed(supernode, message, outcome, details);
	node_reply_pushed(
		supernode->node, supernode_now(), message, meanings[outcome].push, details);
	supernode_pump(supernode);
}

void uplink_fetch_run(struct supernode *supernode, const struct node_action *action)
{
	if (fleet_get_run(supernode->fleet, action->run_id, on_run, supernode))
		node_run_fetched(supernode->node, supernode_now(),
			&(struct node_fetched){action->run_id, NODE_FETCH_REFUSED,
				"no memory to ask for the run's information"},
			NULL);
}

void uplink_fetch_fab(struct supernode *supernode, const struct node_action *action)
{
	struct fab_fetch *fetch = calloc(1, sizeof *fetch);

	if (fetch) {
		fetch->supernode = supernode;
		snprintf(fetch->hash, sizeof fetch->hash, "%s", action->fab_hash);
	}
	if (!fetch ||
		fleet_get_fab(supernode->fleet, action->run_id, action->fab_hash, on_fab, fetch)) {
		free(fetch);
		node_fab_fetched(supernode->node, supernode_now(),
			&(struct node_fetched){
				action->run_id, NODE_FETCH_REFUSED, "no memory to ask for the FAB"},
			NULL);
	}
}

void uplink_push_reply(struct supernode *supernode, const struct node_action *action)
{
	const struct fleet_push push = {
		action->message, action->reply, action->runtime_s, on_pushed, supernode};
	int r;

	/* An error may answer a message whose objects are still on their way. */
	fleet_drop_content(supernode->fleet, action->message);
	r = fleet_push(supernode->fleet, &push);
	if (r)
		node_reply_pushed(supernode->node, supernode_now(), action->message,
			r == -ENOMEM ? NODE_PUSH_FAILED : NODE_PUSH_REFUSED,
			r == -ENOMEM ? "no memory to push the reply" : "it cannot be encoded");
}
