#include "common/rpc/progress.h"

#include "common/rpc/traffic.h"

void progress_tick(struct progress *progress, struct log *log, const char *peer)
{
	struct traffic traffic;

	/* Nobody looks at the connections when a call starts: what passed before the first look, a
	 * second's worth, is not counted. */
	if (traffic_with(peer, &traffic))
		progress_count(progress, log, traffic.sent, traffic.received);
}
