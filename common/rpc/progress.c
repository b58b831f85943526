#include "common/rpc/internal/progress.h"

#include <stdio.h>
#include <string.h>

void progress_tick(
	struct progress *progress, struct progress_look *look, struct log *log, const char *peer)
{
	if (strcmp(look->peer, peer) != 0) {
		snprintf(look->peer, sizeof look->peer, "%s", peer);
		look->found = traffic_with(peer, &look->traffic);
	}
	/* Bytes before the first look, a second's worth, are not counted: when a call starts its
	 * connection is not known. */
	if (look->found)
		progress_count(progress, log, look->traffic.sent, look->traffic.received);
}
