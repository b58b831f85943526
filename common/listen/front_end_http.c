#include "common/listen/front_end_http.h"

#include <string.h>

/* A request begins with its method, in capitals, and a space; so does HTTP/2, with PRI. */
static enum match http_matches(const char *bytes, size_t n)
{
	size_t letters = 0;

	while (letters < n && bytes[letters] >= 'A' && bytes[letters] <= 'Z')
		letters++;
	if (letters == n)
		return n == FRONT_END_BYTES ? MATCH_NONE : MATCH_PART;
	if (letters == 0 || bytes[letters] != ' ' || (letters == 3 && memcmp(bytes, "PRI", 3) == 0))
		return MATCH_NONE;
	return MATCH_WHOLE;
}

static void http_add(void *server, int fd, const struct peer *peer)
{
	http_server_add(server, fd, peer);
}

static void http_peer_gone(void *server, const struct peer *peer)
{
	http_server_peer_gone(server, peer);
}

struct front_end front_end_http(struct http_server *server)
{
	return (struct front_end){.matches = http_matches,
		.add = http_add,
		.peer_gone = http_peer_gone,
		.server = server};
}
