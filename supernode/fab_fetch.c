/*
 * fab_fetch: gets the FAB that the core asks for from the SuperLink, has it checked, and gives it
 * to the core.
 */
#include "common/base/cleanup.h"
#include "supernode/run/fab_check.h"
#include "supernode/supernode_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

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
	uplink_refused("the FAB", fab->outcome, fab->details, &why);
	node_fab_fetched(supernode->node, supernode_now(),
		&(struct node_fetched){run_id, uplink_meaning_of_part(fab->outcome), why.text},
		NULL);
	supernode_pump(supernode);
}

void fab_fetch(struct supernode *supernode, const struct node_action *action)
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
