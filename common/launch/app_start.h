/*
 * app_start: the command line and the settings with which flwr-app-start starts an app's program.
 * Private to common/launch.
 */
#ifndef FLWR_LAUNCH_APP_START_H
#define FLWR_LAUNCH_APP_START_H

#include "common/launch/app_process.h"
#include "common/launch/limits.h"
#include "common/launch/native_apps.h"

/* This runs in it. */
enum app_start_kind { APP_START_PYTHON, APP_START_NATIVE, APP_START_ZYGOTE };

struct app_program {
	enum app_start_kind kind;
	char *python; /* the interpreter; NULL: the app is native */
	struct native_app native;
};

void app_program_done(struct app_program *program);

#define APP_START_ENV (16 + OPTION_NAMES_MAX)

/* argv and env end in NULL; their texts are borrowed, or in here. */
struct app_start {
	const char *argv[20 + APP_LIMITS_WORDS];
	const char *env[APP_START_ENV];
	const char *const *env_keep; /* as process_spec.env_keep */
	char core[24];
	char mask[8];
	char agent_pid[16];
	char *zygote; /* malloc()ed */
};

/* wanted: whose limits and setting it has; cage: its own; both borrowed; NULL: none. 0:
 * app_start_done() is due; -ENOMEM. */
int app_start_fill(struct app_start *start, const struct agent *agent,
	const struct app_program *program, const struct app_process_spec *wanted,
	const struct sandbox_cage *cage);
void app_start_done(struct app_start *start);

/* Lists for process_spec.env_drop: services that can start programs, or speak, for the user of this
 * program. */
extern const char *const app_start_drops[];

#endif
