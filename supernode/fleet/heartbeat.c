#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/message/fleet_codec.h"
#include "supernode/fleet/fleet_internal.h"

#define HEARTBEAT_SHARE_MIN    0.7 /* of the interval without the time-out: 0.8 - 0.1 ... */
#define HEARTBEAT_SHARE_VARIES 0.2 /* ... to 0.8 + 0.1 */
#define HEARTBEAT_GAP_MS       50

int64_t heartbeat_next(int64_t now_ms, double random01)
{
	double pause_ms = HEARTBEAT_INTERVAL_S * 1000.0 - HEARTBEAT_TIMEOUT_MS;
	double share = HEARTBEAT_SHARE_MIN + HEARTBEAT_SHARE_VARIES * random01;

	return clock_after(now_ms, (int64_t)(pause_ms * share));
}

/* Heartbeats go on without end: whether to give up is seen from the calls that matter. */
static void heartbeat_failed(struct fleet *fleet, const struct transport_result *result)
{
	static const struct retry_policy endless = {-1, -1};
	int64_t now_ms = fleet_now_ms();
	int64_t next_ms;

	/* Counted from the beginning of the try: a time-out has waited long enough already. */
	next_ms = retry_next(
		&fleet->beat_retry, &endless, fleet->beat.started_ms, fleet_random01(fleet));
	if (next_ms < now_ms + HEARTBEAT_GAP_MS)
		next_ms = now_ms + HEARTBEAT_GAP_MS;
	outage_failed(fleet, &fleet->beat_failing, fleet->dialect->heartbeat, result, next_ms);
	timer_set(fleet->beat_timer, next_ms);
}

static void heartbeat_done(struct attempt *attempt, struct transport_result *result)
{
	struct fleet *fleet = attempt->fleet;
	bool success = false;

	if (attempt->cancelled || fleet->state != FLEET_ONLINE)
		return;
	if (result->outcome == OUTCOME_OK && fleet_decode_ping(&result->body, &success)) {
		result->outcome = OUTCOME_INTERNAL;
		result->details = "the answer could not be read";
	} else if (result->outcome == OUTCOME_OK && !success) {
		result->details = "success=false";
		fleet_lost(fleet, attempt->method, result);
		return;
	}
	switch ((int)result->outcome) {
	case OUTCOME_OK:
		fleet->beaten_ms = fleet_now_ms();
		join_forget_retired(fleet);
		outage_worked(fleet, &fleet->beat_failing);
		retry_init(&fleet->beat_retry);
		timer_set(fleet->beat_timer, heartbeat_next(fleet_now_ms(), fleet_random01(fleet)));
		break;
	case OUTCOME_UNAUTHENTICATED:
	case OUTCOME_UNIMPLEMENTED: /* replaced by one of another release */
		fleet_lost(fleet, attempt->method, result);
		break;
	default:
		heartbeat_failed(fleet, result);
		break;
	}
}

void heartbeat_begin(struct fleet *fleet)
{
	retry_init(&fleet->beat_retry);
	timer_set(fleet->beat_timer, 0);
}

void heartbeat_fire(void *arg)
{
	struct fleet *fleet = arg;
	auto_(slices_done) struct slices body = {0};
	struct attempt_call call = {.timeout_ms = HEARTBEAT_TIMEOUT_MS};
	int r;

	if (fleet->state != FLEET_ONLINE || fleet->beat.out)
		return;
	call.method = fleet->dialect->heartbeat;
	r = fleet_encode_ping(fleet->node_id, HEARTBEAT_INTERVAL_S, &body);
	attempt_start(&fleet->beat, &call, r, &body, heartbeat_done);
}
