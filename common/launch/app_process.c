#include "common/launch/app_process.h"

#include "common/base/cleanup.h"
#include "common/launch/agent_internal.h"
#include "common/launch/app_user.h"
#include "common/launch/dependencies.h"
#include "common/launch/end.h"
#include "common/launch/native_apps.h"
#include "common/launch/python.h"
#include "common/launch/sandbox.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define STRING_OF_(x) #x
#define STRING_OF(x)  STRING_OF_(x)

/* Behind these are services that can start programs, or speak, for the user of this program. */
static const char *const user_services[] = {"SSH_AUTH_SOCK,SSH_AGENT_PID,GPG_AGENT_INFO,DBUS_*",
	"XDG_RUNTIME_DIR,TMUX,TMUX_PANE,STY", NULL};

/* The program of an app. */
struct app_program {
	char *python; /* the interpreter; NULL: the app is native */
	struct native_app native;
};

/* The words of the command, and the app's settings of the environment. Texts of numbers. */
struct app_start {
	const char *argv[20];
	const char *env[12 + OPTION_NAMES_MAX];
	char core[24];
	char mask[8];
	char agent_pid[16];
};

static void app_program_done(struct app_program *program)
{
	free_at_exit(&program->python);
	native_app_done(&program->native);
}

static const char *level_word(enum log_level level)
{
	return launch_log_levels[level > LOG_LEVEL_ERROR ? level - LOG_LEVEL_ERROR : 0];
}

static void app_start_fill(struct app_start *start, const struct agent *agent,
	const struct app_program *program, const struct sandbox_cage *cage)
{
	const struct app_bounds *bounds = agent->bounds;
	const char **word = start->argv, **setting = start->env;

	*word++ = agent->paths->start;
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
	if (cage->description) {
		*word++ = "-k";
		*word++ = cage->description;
	}
	if (cage->directory) {
		*word++ = "-d";
		*word++ = cage->directory;
	}
	for (char *const *each = cage->env; each && *each; each++)
		*setting++ = *each;
	snprintf(start->agent_pid, sizeof start->agent_pid, "%d", (int)getpid());
	*word++ = start->agent_pid;
	if (program->python) {
		*word++ = program->python;
		*word++ = "-u";
		*word++ = agent->paths->bridge;
		for (char *const *each = agent->dependencies ? agent->dependencies->env : NULL;
			each && *each; each++)
			*setting++ = *each;
	} else {
		*word++ = agent->paths->host;
		*word++ = "-l";
		*word++ = level_word(agent->options->log_level);
		*word++ = program->native.file;
		*word++ = program->native.symbol;
	}
	*word = NULL;
	*setting++ = "FLWR_APP_FD=" STRING_OF(PROCESS_FD);
	*setting = NULL;
}

static int socketpair_open(int *ours_out, int *theirs_out, struct reason *why)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return reason_code(why, -errno, "no socketpair for it: %s", strerror(errno));
	*ours_out = ends[0];
	*theirs_out = ends[1];
	return 0;
}

/* Find what runs the app. 0; -errno with a sentence for the log and one for the reply. */
static int program_find(struct agent *agent, const struct control_app *app, struct app_program *out,
	struct reason *why, struct reason *told)
{
	int r = 0;

	if (app->fab_id)
		r = native_apps_choose(agent->options,
			&(struct native_question){.fab_id = app->fab_id,
				.component = app->component,
				.app_dir = app->dir},
			&out->native, told);
	if (r) {
		*why = *told;
		return r;
	}
	if (out->native.file)
		return 0;
	r = python_find(agent->options->python, &out->python, why);
	if (r)
		reason_set(told,
			"no python3 that can be executed on this node: give --python or install python3 with the flwr package");
	return r;
}

static int cage_make(const struct agent *agent, const struct control_app *app,
	const struct app_program *program, struct sandbox_cage *out, struct reason *why)
{
	if (sandbox_kind(agent->sandbox) == SANDBOX_OFF)
		return 0;
	if (!app->dir)
		return reason_code(why, -EPERM, "the worker has not said which app it is for");
	return sandbox_cage(agent->sandbox,
		&(struct sandbox_app){.dir = app->dir,
			.interpreter = program->python,
			.file = program->native.file,
			.bridge = agent->paths->bridge,
			.host = agent->paths->host,
			.writable = dependencies_folder(agent->dependencies),
			.run_id = app->run_id},
		out, why);
}

int app_process_start(
	struct agent *agent, const struct app_process_spec *wanted, struct app_process *out)
{
	auto_(app_program_done) struct app_program program = {0};
	auto_(sandbox_cage_done) struct sandbox_cage cage = {0};
	auto_(close_at_exit) int theirs = -1;
	auto_(close_at_exit) int ours = -1;
	struct app_start start;
	struct process_spec spec = {.name = wanted->name,
		.argv = start.argv,
		.env = start.env,
		.env_drop = user_services,
		.env_hide = agent->bounds ? agent->bounds->env_hide : NULL,
		.inherits_output = agent->options->passes_output,
		.ops = wanted->ops,
		.arg = wanted->arg};
	struct reason why = {.text = ""}, told = {.text = ""};
	int r = program_find(agent, wanted->app, &program, &why, &told);

	if (!r)
		r = cage_make(agent, wanted->app, &program, &cage, &why);
	if (!r)
		r = socketpair_open(&ours, &theirs, &why);
	if (!r) {
		app_start_fill(&start, agent, &program, &cage);
		spec.env_keep = cage.env_keep;
		spec.fd = theirs;
		/* Lines of flwr_log() have levels. */
		out->native = program.native.file != NULL;
		spec.logs = out->native;
		r = process_start(agent->set, &spec, &out->process, &why);
	}
	if (!r) {
		out->fd = take_fd(&ours);
		return 0;
	}
	log_error(agent->log, "%s: could not be started: %s", wanted->name, why.text);
	out->failed = (struct process_end){.kind = PROCESS_NOT_STARTED, .value = -r};
	if (told.text[0])
		out->failed.why = told;
	else
		reason_set(&out->failed.why, "no process for it could be started on this node: %s",
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
