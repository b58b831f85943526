#include "supernode/fleet/fleet_internal.h"

#include <errno.h>
#include <string.h>

static void attempt_home(void *arg, struct transport_result *result)
{
	struct attempt *attempt = arg;
	struct fleet *fleet = attempt->fleet;

	attempt->out = false;
	attempt->handle = NULL;
	fleet->out--;
	if (attempt->transport == fleet->retired)
		fleet->retired_out--;
	attempt->done(attempt, result);
	fleet_came_home(fleet);
}

static int send_signed(
	struct attempt *attempt, const struct attempt_call *call, struct slices *body)
{
	struct fleet *fleet = attempt->fleet;
	struct transport *transport = fleet->transport;
	struct transport_call out = {
		.method = call->method,
		.timeout_ms = call->timeout_ms,
		.answer_max_bytes =
			call->answer_max_bytes ? call->answer_max_bytes : FLOW_CONTROL_ANSWER_BYTES,
		.what = call->what,
		.auth = fleet->auth,
	};
	int64_t reuse_ms;

	if (!fleet->auth)
		return -ENOKEY;
	/* Who has not told what it speaks may be of the strictest release; and a long upload makes
	 * a signature older before anybody looks at it. */
	reuse_ms = fleet->dialect ? fleet->dialect->proof_ms : dialect_a.proof_ms;
	if (body->bytes >= FLOW_LONG_BYTES && reuse_ms > AUTH_REUSE_LONG_MS)
		reuse_ms = AUTH_REUSE_LONG_MS;
	out.proof = auth_proof(fleet->auth, attempt->started_ms, fleet_wall_s(), reuse_ms);
	if (!out.proof)
		return -EIO;
	/* When to try again is decided here, not by what the transport learnt from earlier
	 * failures. */
	if (fleet->outage.failing)
		transport->ops->reconnect(transport);
	return transport->ops->call(transport, &out, body, attempt_home, attempt, &attempt->handle);
}

void attempt_start(struct attempt *attempt, const struct attempt_call *call, int error,
	struct slices *body, attempt_fn *done)
{
	struct transport_result failed = {.outcome = OUTCOME_INTERNAL};

	attempt->done = done;
	attempt->method = call->method;
	attempt->started_ms = fleet_now_ms();
	attempt->cancelled = false;
	attempt->broken = false;
	if (!error)
		error = send_signed(attempt, call, body);
	if (!error) {
		attempt->transport = attempt->fleet->transport;
		attempt->out = true;
		attempt->fleet->out++;
		return;
	}
	slices_done(body);
	failed.details = error == -ENOMEM ? "no memory to send it" : "it could not be sent";
	done(attempt, &failed);
}

void attempt_break(struct attempt *attempt)
{
	if (!attempt->out || attempt->cancelled || attempt->broken)
		return;
	attempt->broken = true;
	attempt->transport->ops->cancel(attempt->handle);
}

void attempt_cancel(struct attempt *attempt)
{
	attempt_break(attempt);
	attempt->cancelled = attempt->out;
}
