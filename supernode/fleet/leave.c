#include "supernode/fleet/leave.h"

#include "common/base/cleanup.h"
#include "common/message/fleet_codec.h"

#include <inttypes.h>

#define TIMEOUT_MS 2000

static void answered(struct call *call, struct transport_result *result);

#define LEAVE_KIND(name)                                                                           \
	{                                                                                          \
		.method = (name), .timeout_ms = TIMEOUT_MS, .once = true, .done = answered         \
	}

static const struct call_kind delete_node = LEAVE_KIND("DeleteNode");
static const struct call_kind deactivate_node = LEAVE_KIND("DeactivateNode");
static const struct call_kind unregister_node = LEAVE_KIND("UnregisterNode");

static const struct call_kind *const ways[LEAVE_WAYS][3] = {
	[LEAVE_CREATED] = {&delete_node},
	[LEAVE_ACTIVATED] = {&deactivate_node},
	[LEAVE_OWN_KEY] = {&deactivate_node, &unregister_node},
	[LEAVE_INACTIVE] = {&unregister_node},
};

static void send_next(struct leave *leave)
{
	const struct call_kind *kind = *leave->next++;
	auto_(slices_done) struct slices body = {0};
	int r = kind == &delete_node ? fleet_encode_delete_node(leave->node_id, &body)
				     : fleet_encode_node_id(leave->node_id, &body);

	call_now(&leave->call, kind, r, &body);
}

static void answered(struct call *call, struct transport_result *result)
{
	struct leave *leave = container_of(call, struct leave, call);
	bool ok = result->outcome == OUTCOME_OK;
	char cause[LINK_CAUSE_BYTES];

	if (!ok) {
		link_cause(result, cause);
		log_info(link_options(call->link)->log,
			"SuperLink %s: %s of node %" PRIu64 " failed: %s", link_address(call->link),
			call->kind->method, leave->node_id, cause);
	}
	/* After a call that is not answered the next would only take time; a node that was not
	 * active can be unregistered all the same. */
	if (*leave->next && (ok || result->outcome == OUTCOME_FAILED_PRECONDITION))
		send_next(leave);
	else
		leave->left(leave->arg, ok && call->kind == &delete_node);
}

void leave_begin(struct leave *leave, enum leave_way way, uint64_t node_id)
{
	leave->node_id = node_id;
	leave->next = ways[way];
	send_next(leave);
}
