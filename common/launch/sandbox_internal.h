/*
 * sandbox_internal: what sandbox.c, sandbox_rules.c and sandbox_strict.c share. Private to
 * common/launch.
 */
#ifndef FLWR_LAUNCH_SANDBOX_INTERNAL_H
#define FLWR_LAUNCH_SANDBOX_INTERNAL_H

#include "common/base/text.h"
#include "common/launch/sandbox.h"

#include <stdbool.h>
#include <sys/types.h>

#define SANDBOX_HIDDEN_MAX 16
#define SANDBOX_ENV_MAX    (OPTION_NAMES_MAX + 8)
#define SANDBOX_RUNS_MAX   64
#define SANDBOX_SAID_MAX   16

/* A run that had a message. */
struct sandbox_run {
	uint64_t id;
	/* Hashes of the lines about refusals that the log has; the oldest of them is at said_at. */
	uint64_t said[SANDBOX_SAID_MAX];
	size_t said_at;
};

struct sandbox {
	enum sandbox_kind kind;
	const struct launch_options *launch;
	const char *flwr_home;
	char *older_home; /* where apps are installed, too; NULL: nowhere */
	uid_t uid;        /* of apps */
	gid_t gid;
	bool asked;        /* --sandbox was given */
	bool mounts_again; /* a process that has mounts can fork one with others */
	bool mounts; /* what is hidden is covered; without them Landlock grants all beside it */
	int abi;     /* of Landlock; 0: there is none */
	char *hidden[SANDBOX_HIDDEN_MAX];
	size_t n_hidden;
	/* Runs that had messages last; the oldest is at run_at. */
	struct sandbox_run seen[SANDBOX_RUNS_MAX];
	size_t run_at;
	/* strict */
	const char *dev; /* where device files are */
	char *runs;      /* the directory of the runs' own directories; NULL: none is needed */
	int runs_lock;
	unsigned n_ended, n_swept; /* directories of runs that are over, and those removed */
	unsigned n_refilled;       /* goes in which the next of them has got a new file */
	const char *keep[OPTION_NAMES_MAX + 4]; /* lists of the environment; ends in NULL */
};

/* One rule. 0; -ENOMEM; -EINVAL: path has a line end in it. */
int sandbox_rule(struct text *rules, const char *word, const char *path);
/* The directories that apps are installed in: up to two, malloc()ed, without links; n is how many
 * there are. 0 or -ENOMEM. */
int sandbox_app_dirs(const struct sandbox *sandbox, char *dirs[2], size_t *n);
/* Can path be hidden, without a word to those who use apps that worked before? Without mounts
 * nothing new could be made in the directories above it: so these must be closed to apps. */
bool sandbox_hides(const struct sandbox *sandbox, const char *path);

/* ---- sandbox_runs.c ---- */

/* Note a message of the run. Is it the first one, as far as the sandbox remembers? */
bool sandbox_run_is_new(struct sandbox *sandbox, uint64_t run_id);

/* ---- sandbox_python.c ---- */

/* May the user of apps change nothing of what this Python runs and imports? (What is installed;
 * for what an operator names in PYTHONPATH, too.) */
bool sandbox_python_closed(const struct sandbox *sandbox, const char *interpreter);
/* May the user of apps make something in dir, or put another one in its place? */
bool sandbox_is_open(const struct sandbox *sandbox, const char *dir);

/* ---- sandbox_strict.c ---- */

/* Look at the options of the strict cage; make the place of the runs' directories. */
int sandbox_strict_new(struct sandbox *sandbox, struct reason *why);
void sandbox_strict_done(struct sandbox *sandbox);
/* Say in the log what apps meet in the strict cage of this machine. */
void sandbox_strict_tell(const struct sandbox *sandbox, struct log *log);
/* Hand the directories of a run that is over to sandbox_sweep(), which removes them. */
void sandbox_strict_run_ended(struct sandbox *sandbox, uint64_t run_id);
/* Add what an app is granted, and its directories and environment. */
/* Add the part of the environment that is the same for all runs. */
int sandbox_strict_env(const struct sandbox *sandbox, struct sandbox_cage *out);
int sandbox_strict(const struct sandbox *sandbox, const struct sandbox_app *app, struct text *rules,
	struct sandbox_cage *out, struct reason *why);

#endif
