/*
 * app_bounds: what the process of an app is given beside its program, and what is kept from it: its
 * user, its environment, its limits. Filled once, at the start; then only read.
 */
#ifndef FLWR_LAUNCH_APP_BOUNDS_H
#define FLWR_LAUNCH_APP_BOUNDS_H

#include "common/launch/launch_options.h"
#include "common/launch/leases.h"
#include "common/launch/limits.h"
#include "common/launch/reaper.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct app_bounds {
	const char *const *env_hide; /* lists "NAME,PREFIX*" that are left out of the environment of
					workers and apps; borrowed; ends in NULL; may be NULL */
	uint64_t core_bytes;         /* soft limit of core files of apps and of other workers */
	struct app_user *user;       /* NULL: ours */
	mode_t mask;                 /* with a user: the umask of apps */
	struct limits *limits;       /* NULL: none */
	struct leases *leases;       /* GPUs; NULL: apps see those that there are */
	unsigned workers;            /* so many may be at work at a time: each has a lease */
	unsigned max_workers;        /* so many were wanted */
	bool as_root;                /* apps run as root, and nobody has said that they shall */
};

/*
 * options are borrowed for as long as the bounds are there. With --app-user the umask of this
 * program is changed, so that the user can read what is installed. 0: app_bounds_done() is due; as
 * app_user_new(), or with a sentence for a limit or a GPU.
 */
int app_bounds_init(struct app_bounds *bounds, uint64_t core_bytes,
	const struct launch_options *options, struct reason *why);
void app_bounds_done(struct app_bounds *bounds);

/* Have the reaper of this program remove the control groups of apps that this program leaves. */
void app_bounds_tell_reaper(const struct app_bounds *bounds, struct reaper *reaper);

/* The user of apps. */
uid_t app_bounds_uid(const struct app_bounds *bounds);

/* Log a line each: apps run as root; their limits; their GPUs. */
void app_bounds_warn(const struct app_bounds *bounds, struct log *log);

#endif
