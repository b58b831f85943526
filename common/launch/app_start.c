#include "common/launch/app_start.h"

#include "common/base/cleanup.h"
#include "common/launch/agent_internal.h"
#include "common/launch/app_user.h"
#include "common/launch/dependencies.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define STRING_OF_(x) #x
#define STRING_OF(x)  STRING_OF_(x)

const char *const app_start_drops[] = {"SSH_AUTH_SOCK,SSH_AGENT_PID,GPG_AGENT_INFO,DBUS_*",
	"XDG_RUNTIME_DIR,TMUX,TMUX_PANE,STY", NULL};

void app_program_done(struct app_program *program)
{
	free_at_exit(&program->python);
	native_app_done(&program->native);
}

static const char *level_word(enum log_level level)
{
	return launch_log_levels[level > LOG_LEVEL_ERROR ? level - LOG_LEVEL_ERROR : 0];
}

static const char **add_all(const char **setting, char *const *list)
{
	for (; list && *list; list++)
		*setting++ = *list;
	return setting;
}

static const char **add_word(const char **word, const char *option, const char *value)
{
	if (!value)
		return word;
	*word++ = option;
	*word++ = value;
	return word;
}

int app_start_fill(struct app_start *start, const struct agent *agent,
	const struct app_program *program, const struct app_process_spec *wanted,
	const struct sandbox_cage *cage)
{
	const struct app_bounds *bounds = agent->bounds;
	const char **word = start->argv, **setting = start->env;

	start->zygote = NULL;
	start->env_keep = cage ? cage->env_keep : NULL;
	*word++ = agent->paths->start;
	/* The zygote has no parent but this program, which so becomes that of its forks. */
	if (program->kind == APP_START_ZYGOTE)
		*word++ = "-e";
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
		setting = add_all(setting, bounds->user->env);
	}
	if (cage) {
		word = add_word(word, "-s", cage->description);
		word = add_word(word, "-w", cage->directory);
		setting = add_all(setting, cage->env);
	}
	if (wanted && wanted->limits)
		word = app_limits_words(wanted->limits, word);
	if (wanted && wanted->setting)
		*setting++ = wanted->setting;
	snprintf(start->agent_pid, sizeof start->agent_pid, "%d", (int)getpid());
	*word++ = start->agent_pid;
	if (program->kind == APP_START_NATIVE) {
		*word++ = agent->paths->host;
		*word++ = "-l";
		*word++ = level_word(agent->options->log_level);
		*word++ = program->native.file;
		*word++ = program->native.symbol;
	} else {
		*word++ = program->python;
		*word++ = "-u";
		*word++ = agent->paths->bridge;
		setting = add_all(setting, agent->dependencies ? agent->dependencies->env : NULL);
	}
	*word = NULL;
	*setting++ = "FLWR_APP_FD=" STRING_OF(PROCESS_FD);
	if (program->kind == APP_START_ZYGOTE) {
		if (asprintf(&start->zygote, "FLWR_APP_ZYGOTE=%s", agent->paths->start) < 0) {
			start->zygote = NULL;
			return -ENOMEM;
		}
		*setting++ = start->zygote;
	}
	*setting = NULL;
	return 0;
}

void app_start_done(struct app_start *start)
{
	free_at_exit(&start->zygote);
}
