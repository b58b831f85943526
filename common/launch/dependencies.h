/*
 * dependencies: whether app processes install what their app's pyproject.toml asks for, and what
 * they are told about it; the bridge does it (clientapp/run/bridge/dependencies.py). At the start;
 * then only read.
 */
#ifndef FLWR_LAUNCH_DEPENDENCIES_H
#define FLWR_LAUNCH_DEPENDENCIES_H

#include "common/launch/app_user.h"
#include "common/launch/launch_options.h"

struct dependencies {
	char *env[4]; /* settings of an app process; ends in NULL; empty: nothing is installed */
};

/*
 * Make, with --allow-runtime-dependency-installation, <flwr_home>/dependencies/<uid>, which belongs
 * to the user of the apps (user; NULL: ours) and nobody else may enter. 0: dependencies_done() is
 * due; -EPERM: a directory on the way is somebody else's, or -errno, with a sentence.
 */
int dependencies_init(struct dependencies *dependencies, const struct launch_options *options,
	const char *flwr_home, const struct app_user *user, struct reason *why);
/* Where they are installed; NULL: nowhere. Borrowed. */
const char *dependencies_folder(const struct dependencies *dependencies);
void dependencies_done(struct dependencies *dependencies);

/* Log one line of level WARN, if they are installed. */
void dependencies_warn(const struct launch_options *options, struct log *log);

/* For launch_options_check(): the three options together. 0; -EINVAL or another -errno with a
 * sentence. */
int dependencies_check(struct launch_options *options, struct reason *why);

#endif
