#include "supernode/fleet/heartbeat.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/message/fleet_codec.h"

#define TIMEOUT_MS   5000
#define SHARE_MIN    0.7 /* of the interval without the time-out: 0.8 - 0.1 ... */
#define SHARE_VARIES 0.2 /* ... to 0.8 + 0.1 */

int64_t heartbeat_next(int64_t now_ms, double random01)
{
	double pause_ms = HEARTBEAT_INTERVAL_S * 1000.0 - TIMEOUT_MS;
	double share = SHARE_MIN + SHARE_VARIES * random01;

	return clock_after(now_ms, (int64_t)(pause_ms * share));
}

static struct heartbeat *heartbeat_of(struct call *call)
{
	return container_of(call, struct heartbeat, call);
}

static int prepare(struct call *call)
{
	return call->request.bytes ? 0
				   : fleet_encode_ping(heartbeat_of(call)->node_id,
					     HEARTBEAT_INTERVAL_S, &call->request);
}

static enum call_answer read_answer(struct call *call, struct transport_result *result)
{
	bool success = false;

	(void)call;
	if (fleet_decode_ping(&result->body, &success))
		return CALL_UNREADABLE;
	if (success)
		return CALL_ANSWERED;
	result->details = "success=false";
	return CALL_NODE_UNKNOWN;
}

static void answered(struct call *call, struct transport_result *result)
{
	int64_t now_ms = clock_now_ms();

	if (result->outcome != OUTCOME_OK)
		return;
	heartbeat_of(call)->answered_ms = now_ms;
	call_start_at(call, call->kind, heartbeat_next(now_ms, link_random01(call->link)));
}

#define HEARTBEAT_KIND(name)                                                                       \
	{                                                                                          \
		.method = (name), .timeout_ms = TIMEOUT_MS, .endless = true, .prepare = prepare,   \
		.read = read_answer, .done = answered                                              \
	}

const struct call_kind heartbeat_ping = HEARTBEAT_KIND("Ping");
const struct call_kind heartbeat_send = HEARTBEAT_KIND("SendNodeHeartbeat");

void heartbeat_begin(struct heartbeat *heartbeat, const struct call_kind *kind, uint64_t node_id)
{
	heartbeat->node_id = node_id;
	heartbeat->answered_ms = clock_now_ms();
	call_start_at(&heartbeat->call, kind, 0);
}

void heartbeat_hurry(struct heartbeat *heartbeat)
{
	call_start_at(&heartbeat->call, heartbeat->call.kind, 0);
}

bool heartbeat_is_fresh(const struct heartbeat *heartbeat)
{
	return clock_now_ms() - heartbeat->answered_ms < 2 * (int64_t)(HEARTBEAT_INTERVAL_S * 1000);
}
