#include "common/launch/app_bounds.h"

#include "common/base/cleanup.h"
#include "common/launch/app_user.h"

#include <stdlib.h>
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
	bounds->max_workers = bounds->workers = (unsigned)options->max_workers;
	r = limits_new(options, &bounds->limits, why);
	if (r == 0 && options->gpu_slots)
		r = leases_new(options->gpu_slots, LEASES_DRIVER_DIR, &bounds->leases, why);
	if (r < 0) {
		app_bounds_done(bounds);
		return r;
	}
	if (bounds->leases && leases_count(bounds->leases) < bounds->workers)
		bounds->workers = leases_count(bounds->leases);
	if (bounds->user) {
		bounds->mask = umask(0);
		umask(bounds->mask & ~(mode_t)0055);
	}
	return 0;
}

void app_bounds_done(struct app_bounds *bounds)
{
	app_user_free(bounds->user);
	limits_free(bounds->limits);
	leases_free(bounds->leases);
	*bounds = (struct app_bounds){.env_hide = NULL};
}

void app_bounds_tell_reaper(const struct app_bounds *bounds, struct reaper *reaper)
{
	auto_(free_at_exit) char *prefix =
		bounds->limits ? limits_groups_prefix(bounds->limits) : NULL;

	if (prefix)
		reaper_name_groups(reaper, prefix);
}

uid_t app_bounds_uid(const struct app_bounds *bounds)
{
	return bounds->user ? (uid_t)strtoul(bounds->user->ids, NULL, 10) : geteuid();
}

void app_bounds_warn(const struct app_bounds *bounds, struct log *log)
{
	if (bounds->limits)
		limits_tell(bounds->limits, app_bounds_uid(bounds), log);
	if (bounds->leases)
		leases_tell(bounds->leases, log);
	if (bounds->workers < bounds->max_workers)
		log_warn(log,
			"--max-workers %u: %u messages are worked on at a time, since there are no more --gpu-slots",
			bounds->max_workers, bounds->workers);
	if (bounds->as_root)
		log_warn(log,
			"apps run as root and can do all that root can: give --app-user USER, or run this program as another user");
}
