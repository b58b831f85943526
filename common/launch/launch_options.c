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

bool launch_options_preloads(const struct launch_options *options)
{
	return options->preload.v[0] && strcmp(options->preload.v[0], "none") != 0;
}

/* "MODULE,MODULE": names as Python has them, in ASCII. */
static bool modules_valid(const char *list)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";

	for (;;) {
		if (!*list || !strchr(first, *list))
			return false;
		list += strspn(list, first);
		list += strspn(
			list, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
		if (!*list)
			return true;
		if (*list != '.' && *list != ',')
			return false;
		list++;
	}
}

/* Is one of these modules, with commas between, called none? */
static bool has_none(const char *modules)
{
	for (const char *name = modules; name; name = strchr(name, ',')) {
		name += *name == ',';
		if (strncmp(name, "none", 4) == 0 && (name[4] == ',' || name[4] == '\0'))
			return true;
	}
	return false;
}

static int preload_check(struct launch_options *options, struct reason *why)
{
	const char *const *list = options->preload.v;

	options->no_preload = list[0] && strcmp(list[0], "none") == 0;
	if (options->no_preload)
		return list[1] ? reason_code(why, -EINVAL,
					 "--preload none and --preload %s: leave one out", list[1])
			       : 0;
	for (; *list; list++)
		if (!modules_valid(*list) || has_none(*list))
			return reason_code(why, -EINVAL,
				"--preload %s: it takes names of Python modules with commas between, or none alone",
				*list);
	if (options->preload.v[0] && options->installs_dependencies)
		return reason_code(why, -EINVAL,
			"--preload %s and --allow-runtime-dependency-installation: an app that asks for another version of a module would find the one that was imported ahead; leave one out",
			options->preload.v[0]);
	return 0;
}

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
	r = preload_check(options, why);
	if (r == 0)
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
