/*
 * user_agent: how our workers and launchers call themselves at a SuperNode. Any thread.
 */
#ifndef FLWR_API_USER_AGENT_H
#define FLWR_API_USER_AGENT_H

#include "common/base/process_mark.h"

#include <stdio.h>

#define USER_AGENT_BYTES 128

/* out: name and version, and by which process it is used, for a SuperNode on the same machine. */
static inline const char *user_agent(char out[USER_AGENT_BYTES])
{
	char mark[PROCESS_MARK_BYTES];

	process_mark_own(mark);
	snprintf(out, USER_AGENT_BYTES, "flwr-native/%s %s", FLWR_VERSION, mark);
	return out;
}

#endif
