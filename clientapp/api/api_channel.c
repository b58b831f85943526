#include "clientapp/api/api_channel.h"

#include "common/base/process_mark.h"
#include "common/message/worker_api.h"
#include "common/rpc/interceptor.h"

#include <stdio.h>
#include <string.h>

#define KEEPALIVE_MS         60000
#define KEEPALIVE_TIMEOUT_MS 20000
#define USER_AGENT_BYTES     128

int api_channel_new(
	struct rpc *rpc, const struct api_channel_options *options, struct rpc_channel **out)
{
	char mark[PROCESS_MARK_BYTES], agent[USER_AGENT_BYTES];
	const struct rpc_interceptor token = rpc_show_header(options->token);
	const struct rpc_channel_options channel = {
		.target = options->address,
		.tls = options->tls,
		.receive_max_bytes = options->receive_max_bytes,
		.keepalive_ms = KEEPALIVE_MS,
		.keepalive_timeout_ms = KEEPALIVE_TIMEOUT_MS,
		.user_agent = agent,
		.own_connection = options->own_connection,
		.log = options->log,
		.interceptors = &token,
		.n_interceptors = options->token ? 1 : 0,
	};

	/* A SuperNode on the same machine learns which process calls. */
	process_mark_own(mark);
	snprintf(agent, sizeof agent, "flwr-native/%s %s", FLWR_RELEASE, mark);
	return rpc_channel_new(rpc, &channel, out);
}

void api_call_show_token(
	struct rpc_call_options *call, const char *task_token, struct rpc_header *header)
{
	if (!task_token)
		return;
	*header = (struct rpc_header){WORKER_API_TASK_TOKEN, task_token, strlen(task_token)};
	call->headers = header;
	call->n_headers = 1;
}
