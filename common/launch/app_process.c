#include "common/launch/app_process.h"

#include "common/base/cleanup.h"
#include "common/launch/app_user.h"
#include "common/launch/end.h"
#include "common/launch/python.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define STRING_OF_(x) #x
#define STRING_OF(x)  STRING_OF_(x)

/* *out is NULL when text is. */
static int copy(const char *text, const char **out)
{
	*out = text ? strdup(text) : NULL;
	return text && !*out ? -ENOMEM : 0;
}

int agent_options_copy(const struct agent_options *from, struct agent_options *out)
{
	struct agent_options copied = {.log_level = from->log_level,
		.passes_output = from->passes_output,
		.bounds = from->bounds,
		.exit_grace_ms = from->exit_grace_ms};

	if (copy(from->worker_path, &copied.worker_path) ||
		copy(from->start_path, &copied.start_path) ||
		copy(from->bridge_path, &copied.bridge_path) ||
		copy(from->python, &copied.python)) {
		agent_options_done(&copied);
		return -ENOMEM;
	}
	*out = copied;
	return 0;
}

void agent_options_done(struct agent_options *options)
{
	free((char *)options->worker_path);
	free((char *)options->start_path);
	free((char *)options->bridge_path);
	free((char *)options->python);
	*options =
		(struct agent_options){.log_level = options->log_level, .bounds = options->bounds};
}

/* What is behind these can start programs, or speak, for the user of this program. */
static const char *const doors[] = {"SSH_AUTH_SOCK,SSH_AGENT_PID,GPG_AGENT_INFO,DBUS_*",
	"XDG_RUNTIME_DIR,TMUX,TMUX_PANE,STY", NULL};

/* The words before the interpreter, and the app's settings of the environment. Texts of numbers. */
struct app_start {
	const char *argv[16];
	const char *env[8];
	char core[24];
	char mask[8];
	char agent_pid[16];
};

static void app_start_fill(
	struct app_start *start, const struct agent_options *options, const char *python)
{
	const struct app_bounds *bounds = options->bounds;
	const char **word = start->argv, **setting = start->env;

	*word++ = options->start_path;
	*word++ = "-n";
	if (bounds) {
		snprintf(start->core, sizeof start->core, "%" PRIu64, bounds->core_bytes);
		*word++ = "-c";
		*word++ = start->core;
	}
	if (bounds && bounds->user) {
		snprintf(start->mask, sizeof start->mask, "%03o", (unsigned int)bounds->mask);
		*word++ = "-m";
		*word++ = start->mask;
		*word++ = "-u";
		*word++ = bounds->user->ids;
		for (char *const *each = bounds->user->env; *each; each++)
			*setting++ = *each;
	}
	snprintf(start->agent_pid, sizeof start->agent_pid, "%d", (int)getpid());
	*word++ = start->agent_pid;
	*word++ = python;
	*word++ = "-u";
	*word++ = options->bridge_path;
	*word = NULL;
	*setting++ = "FLWR_APP_FD=" STRING_OF(PROCESS_FD);
	*setting = NULL;
}

static int app_start(struct process_set *set, const struct agent_options *options, const char *name,
	const char *python, const struct process_ops *ops, void *arg, struct process **out,
	int *fd_out, struct reason *why)
{
	struct app_start start;
	struct process_spec spec = {.name = name,
		.argv = start.argv,
		.env = start.env,
		.env_drop = doors,
		.env_hide = options->bounds ? options->bounds->env_hide : NULL,
		.inherits_output = options->passes_output};
	int ends[2];
	int r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return reason_code(why, -errno, "no socketpair for it: %s", strerror(errno));
	auto_(close_at_exit) int ours = ends[0];
	auto_(close_at_exit) int theirs = ends[1];
	app_start_fill(&start, options, python);
	spec.fd = theirs;
	r = process_start(set, &spec, ops, arg, out, why);
	if (r < 0)
		return r;
	*fd_out = take_fd(&ours);
	return 0;
}

int app_process_start(struct process_set *set, struct log *log, const struct agent_options *options,
	const char *name, const struct process_ops *ops, void *arg, struct process **out,
	int *fd_out, struct process_end *failed_out)
{
	auto_(free_at_exit) char *python = NULL;
	struct reason why = {.text = ""};
	int r = python_find(options->python, &python, &why);
	bool no_python = r < 0;

	if (!r)
		r = app_start(set, options, name, python, ops, arg, out, fd_out, &why);
	if (!r)
		return 0;
	log_error(log, "%s: could not be started: %s", name, why.text);
	*failed_out = (struct process_end){.kind = PROCESS_NOT_STARTED, .value = -r};
	if (no_python)
		reason_set(&failed_out->why,
			"no python3 that can be executed on this node: give --python or install python3 with the flwr package");
	else
		reason_set(&failed_out->why, "no process for it could be started on this node: %s",
			strerror(-r));
	return r;
}

void app_process_tell_cut(
	struct log *log, const char *name, const char *why, const struct process_end *end)
{
	char how[128];

	end_describe(end, how, sizeof how);
	log_warn(log,
		"%s: cut off at its end, %s: %s; what its threads, exit handlers and open files still had to do is lost",
		name, why, how);
}
