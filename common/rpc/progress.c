#include "common/rpc/progress.h"

#include <stdio.h>
#include <string.h>

void progress_tick(
	struct progress *progress, struct progress_look *look, struct log *log, const char *peer)
{
	if (strcmp(look->peer, peer) != 0) {
		snprintf(look->peer, sizeof look->peer, "%s", peer);
		look->found = traffic_with(peer, &look->traffic);
	}
	/* Nobody looks at the connections when a call starts: what passed before the first look, a
	 * second's worth, is not counted. */
	if (look->found)
		progress_count(progress, log, look->traffic.sent, look->traffic.received);
}
