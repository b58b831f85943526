#include "common/listen/front_end.h"

#include <string.h>

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
_Static_assert(sizeof preface - 1 == FRONT_END_BYTES, "the preface and its length");

const struct rpc_option front_end_grpc_windows = {.name = "grpc.http2.bdp_probe", .number = 0};

static enum match grpc_matches(const char *bytes, size_t n)
{
	if (memcmp(bytes, preface, n) != 0)
		return MATCH_NONE;
	return n == FRONT_END_BYTES ? MATCH_WHOLE : MATCH_PART;
}

static void grpc_add(void *server, int fd, const struct peer *peer)
{
	rpc_server_add(server, fd, peer);
}

static void grpc_peer_gone(void *server, const struct peer *peer)
{
	rpc_server_peer_gone(server, peer);
}

struct front_end front_end_grpc(struct rpc_server *server)
{
	return (struct front_end){.matches = grpc_matches,
		.add = grpc_add,
		.peer_gone = grpc_peer_gone,
		.server = server,
		.http2 = true};
}

static enum match matches_nothing(const char *bytes, size_t n)
{
	(void)bytes;
	(void)n;
	return MATCH_NONE;
}

static void tell_nobody(void *server, const struct peer *peer)
{
	(void)server;
	(void)peer;
}

void front_end_detach(struct front_end *front_end)
{
	front_end->matches = matches_nothing;
	front_end->peer_gone = tell_nobody;
}
