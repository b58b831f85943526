#include "common/launch/app_bounds.h"

#include "common/launch/app_user.h"

#include <sys/stat.h>
#include <unistd.h>

int app_bounds_init(struct app_bounds *bounds, uint64_t core_bytes,
	const struct launch_options *options, struct reason *why)
{
	int r;

	*bounds = (struct app_bounds){.env_hide = options->app_env_hide.v,
		.core_bytes = core_bytes,
		.as_root = geteuid() == 0 && !options->app_user};
	r = options->app_user ? app_user_new(options->app_user, &bounds->user, why) : 0;
	if (r < 0)
		return r;
	if (bounds->user) {
		bounds->mask = umask(0);
		umask(bounds->mask & ~(mode_t)0055);
	}
	return 0;
}

void app_bounds_done(struct app_bounds *bounds)
{
	app_user_free(bounds->user);
	*bounds = (struct app_bounds){.env_hide = NULL};
}

void app_bounds_warn(const struct app_bounds *bounds, struct log *log)
{
	if (bounds->as_root)
		log_warn(log,
			"apps run as root and can do all that root can: give --app-user USER, or run this program as another user");
}
