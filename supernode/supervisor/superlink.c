/*
 * The supervisor's side towards the SuperLink: events of fleet become events of the node, and what
 * the node wants of the SuperLink becomes calls.
 */
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "supernode/supervisor/bundle.h"
#include "supernode/supervisor/supervisor_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void on_registered(void *arg, uint64_t node_id)
{
	struct supervisor *supervisor = arg;

	/* The last words are Flower's, which tools look for. */
	log_info(supervisor->log,
		"registered: node_id=%" PRIu64 " superlink=%s speaks=%s SuperNode ID: %" PRIu64,
		node_id, fleet_superlink(supervisor->fleet), fleet_speaks(supervisor->fleet),
		node_id);
	if (supervisor->grpc_wanted && fleet_speaks_http(supervisor->fleet)) {
		log_warn(supervisor->log, "--grpc-rere has no effect: SuperLink %s speaks HTTP",
			fleet_superlink(supervisor->fleet));
		supervisor->grpc_wanted = false;
	}
	node_registered(supervisor->node, supervisor_now(), node_id);
	supervisor_pump(supervisor);
}

static void on_lost(void *arg)
{
	struct supervisor *supervisor = arg;

	node_lost(supervisor->node, supervisor_now());
	supervisor_pump(supervisor);
}

static bool on_wants_message(void *arg)
{
	const struct supervisor *supervisor = arg;

	return node_wants_message(supervisor->node);
}

static uint64_t on_message(void *arg, struct held_message *message, const char *refused)
{
	struct supervisor *supervisor = arg;
	const struct metadata *metadata = &message->envelope.metadata;
	const uint64_t run_id = metadata->run_id; /* the message is empty afterwards */
	char id[65], type[65], group[65];
	uint64_t number = 0;
	size_t objects = message->objects ? object_set_tree(message->objects)->n : 0;

	text_word(metadata->message_id, id, sizeof id);
	text_word(metadata->message_type, type, sizeof type);
	text_word(metadata->group_id, group, sizeof group);
	log_info(supervisor->log,
		"message received: run_id=%" PRIu64 " message_id=%s type=%s group=%s %s=%zu",
		run_id, id, type, group, objects ? "objects" : "bytes",
		objects ? objects : message->envelope.content.bytes);
	if (node_message(supervisor->node, supervisor_now(), message, refused, &number))
		log_error(supervisor->log,
			"no memory for a message of run %" PRIu64
			": it is lost, and its sender waits until its ttl is over",
			run_id);
	supervisor_pump(supervisor);
	return number;
}

static void on_content(void *arg, uint64_t number, enum outcome outcome, const char *details)
{
	struct supervisor *supervisor = arg;

	node_content(supervisor->node, supervisor_now(), number,
		outcome == OUTCOME_OK                  ? NODE_FETCHED
		: outcome == OUTCOME_PERMISSION_DENIED ? NODE_RUN_OVER
						       : NODE_FETCH_REFUSED,
		details);
	supervisor_pump(supervisor);
}

static void on_over(void *arg, enum fleet_over over, const char *sentence)
{
	supervisor_over(arg, over, sentence);
}

const struct fleet_ops superlink_events = {
	.registered = on_registered,
	.lost = on_lost,
	.wants_message = on_wants_message,
	.message = on_message,
	.content = on_content,
	.over = on_over,
};

/* How the node takes the final outcome of asking for a run or a FAB. */
static enum node_fetch fetch_of(enum outcome outcome)
{
	if (outcome == OUTCOME_OK)
		return NODE_FETCHED;
	if (outcome == OUTCOME_PERMISSION_DENIED || outcome == OUTCOME_NOT_FOUND)
		return NODE_RUN_OVER;
	return NODE_FETCH_REFUSED;
}

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
	struct supervisor *supervisor = arg;
	struct reason why = {0};

	if (outcome == OUTCOME_CANCELLED)
		return;
	run_refused("the run's information", outcome, details, &why);
	node_run_fetched(
		supervisor->node, supervisor_now(), run_id, fetch_of(outcome), run, why.text);
	supervisor_pump(supervisor);
}

/* A FAB on its way: from the SuperLink, through its check, to the node. */
struct fab_fetch {
	struct supervisor *supervisor;
	char hash[128];
};

static void on_fab_checked(void *arg, uint64_t run_id, const char *hash, struct slices *content,
	struct manifest *manifest, const char *refused)
{
	struct supervisor *supervisor = arg;

	if (refused)
		log_warn(supervisor->log, "FAB refused: run_id=%" PRIu64 ": %s", run_id, refused);
	node_fab_fetched(supervisor->node, supervisor_now(), run_id,
		refused ? NODE_FETCH_REFUSED : NODE_FETCHED, hash, content, manifest, refused);
	supervisor_pump(supervisor);
}

static void on_fab(void *arg, uint64_t run_id, enum outcome outcome, struct slices *content,
	struct value_map *verifications, const char *details)
{
	auto_(free_at_exit) struct fab_fetch *fetch = arg;
	struct supervisor *supervisor = fetch->supervisor;
	struct reason why = {0};

	if (outcome == OUTCOME_CANCELLED)
		return;
	if (outcome == OUTCOME_OK) {
		if (bundles_check(supervisor->bundles, run_id, fetch->hash, content, verifications,
			    on_fab_checked, supervisor) == 0)
			return;
		outcome = OUTCOME_RESOURCE_EXHAUSTED;
		details = "no memory to check it";
	}
	run_refused("the FAB", outcome, details, &why);
	/* A SuperLink that has the run, but not its FAB. */
	node_fab_fetched(supervisor->node, supervisor_now(), run_id,
		outcome == OUTCOME_NOT_FOUND ? NODE_FETCH_REFUSED : fetch_of(outcome), NULL, NULL,
		NULL, why.text);
	supervisor_pump(supervisor);
}

static void on_pushed(void *arg, uint64_t message, enum outcome outcome, const char *details)
{
	struct supervisor *supervisor = arg;
	enum node_push push = NODE_PUSH_FAILED;
	char quoted[256];
	char text[512];

	text_quote(details, strlen(details), quoted, sizeof quoted);
	node_describe(supervisor->node, message, text, sizeof text);
	if (outcome == OUTCOME_OK) {
		push = NODE_PUSHED;
		if (supervisor->phase != PHASE_WORKING)
			supervisor->answered_ms = clock_now_ms();
		log_info(supervisor->log, "reply sent: %s", text);
	} else if (outcome == OUTCOME_PERMISSION_DENIED || outcome == OUTCOME_NOT_FOUND) {
		push = NODE_PUSH_OVER;
		log_debug(supervisor->log, "reply dropped, its run is over: %s", text);
	} else if (outcome == OUTCOME_RESOURCE_EXHAUSTED || outcome == OUTCOME_INTERNAL ||
		   outcome == OUTCOME_UNKNOWN) {
		push = NODE_PUSH_REFUSED;
		log_warn(supervisor->log,
			"reply %s the SuperLink, an error is sent instead: %s: %s",
			outcome == OUTCOME_RESOURCE_EXHAUSTED ? "too large for"
							      : "not understood by",
			text, quoted);
	} else if (outcome != OUTCOME_CANCELLED) {
		log_warn(supervisor->log, "reply lost: %s: %s: %s", text, outcome_name(outcome),
			quoted);
	}
	node_reply_pushed(supervisor->node, supervisor_now(), message, push, details);
	supervisor_pump(supervisor);
}

void superlink_fetch_run(struct supervisor *supervisor, const struct node_action *action)
{
	if (fleet_get_run(supervisor->fleet, action->run_id, on_run, supervisor))
		node_run_fetched(supervisor->node, supervisor_now(), action->run_id,
			NODE_FETCH_REFUSED, NULL, "no memory to ask for the run's information");
}

void superlink_fetch_fab(struct supervisor *supervisor, const struct node_action *action)
{
	struct fab_fetch *fetch = calloc(1, sizeof *fetch);

	if (fetch) {
		fetch->supervisor = supervisor;
		snprintf(fetch->hash, sizeof fetch->hash, "%s", action->fab_hash);
	}
	if (!fetch ||
		fleet_get_fab(supervisor->fleet, action->run_id, action->fab_hash, on_fab, fetch)) {
		free(fetch);
		node_fab_fetched(supervisor->node, supervisor_now(), action->run_id,
			NODE_FETCH_REFUSED, NULL, NULL, NULL, "no memory to ask for the FAB");
	}
}

void superlink_push_reply(struct supervisor *supervisor, const struct node_action *action)
{
	int r = fleet_push(supervisor->fleet, action->message, action->reply, action->runtime_s,
		on_pushed, supervisor);

	if (r)
		node_reply_pushed(supervisor->node, supervisor_now(), action->message,
			r == -ENOMEM ? NODE_PUSH_FAILED : NODE_PUSH_REFUSED,
			r == -ENOMEM ? "no memory to push the reply" : "it cannot be encoded");
}
