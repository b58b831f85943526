/*
 * sandbox_rig: a sandbox whose kernel can do all, and the app of a run in it. For the tests of
 * sandboxes' descriptions.
 */
#ifndef FLWR_TEST_SANDBOX_RIG_H
#define FLWR_TEST_SANDBOX_RIG_H

#include "kit/dir.h"

#include "common/launch/sandbox_internal.h"

#include <unistd.h>

/* launch gets the option for that kind, and is borrowed; dev: where device files are. */
static inline struct sandbox sandbox_rig(
	enum sandbox_kind kind, struct launch_options *launch, const char *dev)
{
	*launch = (struct launch_options){.sandbox = kind == SANDBOX_STRICT ? "strict" : "node"};
	return (struct sandbox){.kind = kind,
		.launch = launch,
		.flwr_home = kit_dir,
		.uid = geteuid(),
		.gid = getegid(),
		.asked = true,
		.mounts = true,
		.abi = 7,
		.dev = dev,
		.runs_lock = -1};
}

static inline struct sandbox_app sandbox_rig_app(const char *dir)
{
	return (struct sandbox_app){.dir = dir,
		.interpreter = "/usr/bin/python3",
		.bridge = "/usr/share/bridge/main.py",
		.host = "/usr/libexec/flwr-native/host",
		.run_id = 7};
}

#endif
