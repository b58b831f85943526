/*
 * leave: telling the SuperLink that the node goes: one try of each call.
 */
#include "common/base/cleanup.h"
#include "common/message/fleet_codec.h"
#include "supernode/fleet/fleet_internal.h"

#include <inttypes.h>

static const struct attempt_call delete_node = {"DeleteNode", FLOW_LEAVE_TIMEOUT_MS, 0, NULL};
static const struct attempt_call deactivate_node = {
	"DeactivateNode", FLOW_LEAVE_TIMEOUT_MS, 0, NULL};
static const struct attempt_call unregister_node = {
	"UnregisterNode", FLOW_LEAVE_TIMEOUT_MS, 0, NULL};

/* The next call; NULL: nothing more is to be said. */
static const struct attempt_call *next_call(const struct fleet *fleet)
{
	if (!fleet->dialect->activates)
		return fleet->left == 0 ? &delete_node : NULL;
	if (fleet->left == 0)
		return &deactivate_node;
	/* Who registered the operator's key also takes it back. */
	return fleet->left == 1 && !fleet->operator_key ? &unregister_node : NULL;
}

static void leave_done(struct attempt *attempt, struct transport_result *result)
{
	struct fleet *fleet = attempt->fleet;
	char cause[FLOW_CAUSE_BYTES];

	fleet->left++;
	if (result->outcome == OUTCOME_OK && !fleet->dialect->activates)
		join_deleted(fleet);
	if (result->outcome != OUTCOME_OK) {
		flow_cause(result, cause);
		log_info(fleet->log, "SuperLink %s: %s of node %" PRIu64 " failed: %s",
			fleet->superlink, attempt->method, fleet->node_id, cause);
	}
	/* Where one is not answered, the next would only take time; a node that was not active can
	 * be taken back all the same. */
	if ((result->outcome != OUTCOME_OK && result->outcome != OUTCOME_FAILED_PRECONDITION) ||
		!next_call(fleet))
		fleet->node_id = 0;
	/* From there the next call is made, or what follows. */
	fleet->state = FLEET_DRAINING;
	timer_set(fleet->phase, 0);
}

void leave_begin(struct fleet *fleet)
{
	const struct attempt_call *call = next_call(fleet);
	auto_(slices_done) struct slices body = {0};
	int r = fleet->dialect->activates ? fleet_encode_node_id(fleet->node_id, &body)
					  : fleet_encode_delete_node(fleet->node_id, &body);

	fleet->state = FLEET_LEAVING;
	attempt_start(&fleet->leave, call, r, &body, leave_done);
}
