/*
 * body_watch: gRPC looks at the size of a message when all of it is there; so the bytes of bodies
 * that the connection has received tell that a small one has become too large.
 */
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/rpc/internal/inbound.h"

#include <errno.h>
#include <grpc/byte_buffer.h>

#define BODY_LOOK_MS     20        /* between looks at how much of a small body has come */
#define BODY_SPARE_BYTES (1 << 20) /* that may come beside it */

static uint64_t connection_received(const struct inbound *call)
{
	const struct peer *peer = call->request.peer;

	return peer->received ? peer->received(peer) : 0;
}

/* Are its messages so small that they do not hide a body that is too large? */
static bool reads_little(const struct inbound *call)
{
	return call->request.method->reads && call->request.method->body_max <= BODY_SPARE_BYTES;
}

/* Is another call on this connection receiving a content? */
static bool content_comes(const struct inbound *call)
{
	const struct inbound *at;

	LIST_FOREACH(at, &call->server->served, served)
	if (at->receiving && !at->body_timer && !reads_little(at) &&
		at->request.peer == call->request.peer)
		return true;
	return false;
}

/*
 * Bytes on the connection up to here were this content's, not those of small calls beside it. Of a
 * small message the length is known.
 */
static void content_over(const struct inbound *call)
{
	size_t bytes = call->body ? grpc_byte_buffer_length(call->body) : 0;
	struct inbound *at;

	LIST_FOREACH(at, &call->server->served, served)
	if (at->receiving && at->body_timer && at->request.peer == call->request.peer)
		at->body_from =
			reads_little(call) ? at->body_from + bytes : connection_received(at);
}

static void body_look(void *arg)
{
	struct inbound *call = arg;
	int64_t now_ms = clock_now_ms();

	if (!call->receiving)
		return;
	if (now_ms >= call->body_end_ms)
		inbound_refuse(
			call, OUTCOME_DEADLINE_EXCEEDED, "the message did not arrive in time");
	else if (connection_received(call) > call->body_from + BODY_SPARE_BYTES &&
		 !content_comes(call))
		inbound_refuse(call, OUTCOME_RESOURCE_EXHAUSTED, "the message is too large");
	else
		timer_set(call->body_timer, clock_after(now_ms, BODY_LOOK_MS));
}

int body_watch_new(struct inbound *call)
{
	call->body_timer = timer_new(rpc_loop(call->server->rpc), body_look, call);
	return call->body_timer ? 0 : -ENOMEM;
}

void body_watch_start(struct inbound *call)
{
	if (!call->body_timer)
		return;
	call->body_end_ms = clock_after(clock_now_ms(), call->request.method->body_ms);
	call->body_from = connection_received(call);
	timer_set(call->body_timer, clock_after(clock_now_ms(), BODY_LOOK_MS));
}

void body_watch_stop(struct inbound *call)
{
	if (call->body_timer)
		timer_set(call->body_timer, CLOCK_NEVER);
	else
		content_over(call);
}
