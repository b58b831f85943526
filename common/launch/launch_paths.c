#include "common/launch/launch_paths.h"

#include "common/base/cleanup.h"
#include "common/base/files.h"
#include "common/base/installed.h"

#include <errno.h>

int launch_paths_find(struct launch_paths *out)
{
	auto_(free_at_exit) char *dir = path_program_dir();
	auto_(launch_paths_done) struct launch_paths paths = {0};

	if (!dir)
		return -ENOMEM;
	paths.worker = path_join(dir, "flwr-clientapp");
	paths.start = path_installed("libexec/flwr-native/flwr-app-start");
	paths.bridge = path_installed("share/flwr-native/flwr_native_bridge/main.py");
	paths.host = path_installed("libexec/flwr-native/flwr-native-host");
	if (!paths.worker || !paths.start || !paths.bridge || !paths.host)
		return -ENOMEM;
	*out = paths;
	paths = (struct launch_paths){0};
	return 0;
}

void launch_paths_done(struct launch_paths *paths)
{
	free(paths->worker);
	free(paths->start);
	free(paths->bridge);
	free(paths->host);
	*paths = (struct launch_paths){0};
}
