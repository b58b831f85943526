#include "common/launch/launch_options.h"

#include "common/base/files.h"
#include "common/base/flower_env.h"
#include "common/launch/dependencies.h"
#include "common/launch/native_apps.h"
#include "common/launch/sandbox_options.h"

#include <errno.h>
#include <string.h>

const char *const launch_outputs[] = {"log", "pass", NULL};
const char *const launch_sandboxes[] = {"node", "strict", "off", NULL};
const char *const launch_log_levels[] = {"error", "warn", "info", "debug", NULL};

int launch_options_check(struct launch_options *options, struct reason *why)
{
	struct reason cause = {0};
	int r = flower_env_log_level(options->log_level_text, &options->log_level);

	if (r)
		return r;
	options->passes_output = options->app_output && strcmp(options->app_output, "pass") == 0;
	/* Nothing of what is handed through is kept for replies. */
	if (options->passes_output && options->stderr_in_replies)
		return reason_code(why, -EINVAL,
			"--stderr-in-replies has no effect with --app-output pass, which keeps nothing of it: leave one out");
	r = native_apps_check(options, why);
	if (r == 0)
		r = dependencies_check(options, why);
	if (r == 0)
		r = sandbox_options_check(options, why);
	if (r)
		return r;
	r = options->flwr_dir ? dir_check(options->flwr_dir, &cause) : 0;
	return r ? reason_code(why, r, "--flwr-dir %s", cause.text) : 0;
}
