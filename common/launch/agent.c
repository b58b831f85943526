#include "common/launch/agent_internal.h"

#include "common/base/cleanup.h"
#include "common/base/files.h"
#include "common/launch/app_process.h"

#include <errno.h>

static void agent_free_at_exit(struct agent **agent)
{
	agent_free(*agent);
}

int agent_new(
	struct loop *loop, struct log *log, const struct agent_options *options, struct agent **out)
{
	auto_(agent_free_at_exit) struct agent *agent = calloc(1, sizeof(*agent));
	int r;

	if (!agent)
		return -ENOMEM;
	agent->loop = loop;
	agent->log = log;
	r = agent_options_copy(options, &agent->options);
	if (r < 0)
		return r;
	r = process_set_new(loop, log, &agent->set);
	if (r < 0)
		return r;
	*out = take_pointer(&agent);
	return 0;
}

void agent_free(struct agent *agent)
{
	if (!agent)
		return;
	process_set_free(agent->set);
	while (agent->first)
		worker_free(agent->first);
	agent_options_done(&agent->options);
	free(agent);
}

unsigned agent_count(const struct agent *agent)
{
	return process_set_count(agent->set);
}

int agent_paths(struct agent_options *options)
{
	auto_(free_at_exit) char *dir = path_program_dir();
	struct agent_options found;

	if (!dir)
		return -ENOMEM;
	found = *options;
	found.worker_path = path_join(dir, "flwr-clientapp");
	found.start_path = path_join(dir, "../libexec/flwr-native/flwr-app-start");
	found.bridge_path = path_join(dir, "../share/flwr-native/bridge/main.py");
	if (!found.worker_path || !found.start_path || !found.bridge_path) {
		free((char *)found.worker_path);
		free((char *)found.start_path);
		free((char *)found.bridge_path);
		return -ENOMEM;
	}
	*options = found;
	return 0;
}
