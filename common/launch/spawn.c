#include "common/launch/spawn.h"

#include "common/base/cleanup.h"
#include "common/launch/environment.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>

struct plan {
	posix_spawnattr_t attributes;
	posix_spawn_file_actions_t actions;
};

static void plan_done(struct plan *plan)
{
	posix_spawnattr_destroy(&plan->attributes);
	posix_spawn_file_actions_destroy(&plan->actions);
}

static int plan_attributes(posix_spawnattr_t *attributes)
{
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	r = posix_spawnattr_setsigmask(attributes, &none);
	if (!r)
		r = posix_spawnattr_setsigdefault(attributes, &all);
	if (!r)
		r = posix_spawnattr_setflags(attributes,
			POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	return -r;
}

/* The descriptors handed in lie above PROCESS_FD, so that none is overwritten before its turn. */
static int plan_actions(posix_spawn_file_actions_t *actions, int out_fd, int err_fd, int fd)
{
	int r = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);

	if (!r)
		r = posix_spawn_file_actions_adddup2(actions, out_fd, STDOUT_FILENO);
	if (!r)
		r = posix_spawn_file_actions_adddup2(actions, err_fd, STDERR_FILENO);
	if (!r && fd >= 0)
		r = posix_spawn_file_actions_adddup2(actions, fd, PROCESS_FD);
	if (!r)
		r = posix_spawn_file_actions_addclosefrom_np(
			actions, fd >= 0 ? PROCESS_FD + 1 : PROCESS_FD);
	return -r;
}

/* A copy of fd with a number above PROCESS_FD, or -errno. */
static int lift(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, PROCESS_FD + 1);

	return copy < 0 ? -errno : copy;
}

static int spawn_planned(
	const struct process_spec *spec, struct plan *plan, int out_fd, int err_fd, pid_t *pid_out)
{
	auto_(close_at_exit) int out = lift(out_fd);
	auto_(close_at_exit) int err = lift(err_fd);
	auto_(close_at_exit) int fd = spec->fd < 0 ? -1 : lift(spec->fd);
	auto_(free_at_exit) char **environment =
		environment_new(spec->env, spec->env_drop, spec->env_hide, spec->env_keep);
	pid_t pid;
	int r;

	if (out < 0 || err < 0)
		return out < 0 ? out : err;
	if (spec->fd >= 0 && fd < 0)
		return fd;
	if (!environment)
		return -ENOMEM;
	r = plan_attributes(&plan->attributes);
	if (!r)
		r = plan_actions(&plan->actions, out, err, fd);
	if (!r)
		r = -posix_spawn(&pid, spec->argv[0], &plan->actions, &plan->attributes,
			(char *const *)spec->argv, environment);
	if (r)
		return r;
	*pid_out = pid;
	return 0;
}

int spawn(
	const struct process_spec *spec, int out_fd, int err_fd, pid_t *pid_out, struct reason *why)
{
	struct plan plan;
	int r = -posix_spawnattr_init(&plan.attributes);

	if (r)
		return reason_code(why, r, "no memory to start %s", spec->argv[0]);
	r = -posix_spawn_file_actions_init(&plan.actions);
	if (r) {
		posix_spawnattr_destroy(&plan.attributes);
		return reason_code(why, r, "no memory to start %s", spec->argv[0]);
	}
	r = spawn_planned(spec, &plan, out_fd, err_fd, pid_out);
	plan_done(&plan);
	if (r)
		return reason_code(why, r, "cannot start %s: %s", spec->argv[0], strerror(-r));
	return 0;
}
