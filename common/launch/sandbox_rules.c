/*
 * The description of a cage, made anew for each app: files come and go.
 */
#include "common/launch/sandbox_internal.h"

#include "common/base/cleanup.h"
#include "common/base/files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* An app must not change the limits that it has. */
#define CONTROL_GROUPS "/sys/fs/cgroup"

int sandbox_rule(struct text *rules, const char *word, const char *path)
{
	if (strchr(path, '\n'))
		return -EINVAL;
	return text_printf(rules, "%s%s%s\n", word, path[0] ? " " : "", path);
}

/* Where path really is; what is not there has no place. */
static int add_real(char *path, char **out, size_t *n)
{
	auto_(free_at_exit) char *owned = path;

	if (!owned)
		return -ENOMEM;
	char *real = realpath(owned, NULL);

	if (!real)
		return errno == ENOMEM ? -ENOMEM : 0;
	out[(*n)++] = real;
	return 0;
}

int sandbox_app_dirs(const struct sandbox *sandbox, char *dirs[2], size_t *n)
{
	int r;

	*n = 0;
	dirs[0] = dirs[1] = NULL;
	r = add_real(path_join(sandbox->flwr_home, "apps"), dirs, n);
	return r || !sandbox->older_home
		       ? r
		       : add_real(path_join(sandbox->older_home, "apps"), dirs, n);
}

/* May the user of the apps make something in dir? Groups are taken for his: in doubt he may. */
bool sandbox_is_open(const struct sandbox *sandbox, const char *dir)
{
	struct stat st;

	if (sandbox->uid == geteuid() && sandbox->gid == getegid())
		return access(dir, W_OK) == 0;
	if (stat(dir, &st) < 0)
		return false;
	return sandbox->uid == 0 || (st.st_mode & (S_IWOTH | S_IWGRP)) ||
	       (st.st_uid == sandbox->uid && (st.st_mode & S_IWUSR));
}

bool sandbox_hides(const struct sandbox *sandbox, const char *path)
{
	auto_(free_at_exit) char *above = NULL;
	char *slash;

	if (sandbox->mounts || sandbox->asked)
		return true;
	above = strdup(path);
	while (above && (slash = strrchr(above, '/'))) {
		*slash = '\0';
		if (sandbox_is_open(sandbox, *above ? above : "/"))
			return false;
	}
	return above != NULL;
}

/* Process 1 is looked at by those who want to know where they run. */
static int hide_process(struct text *rules, pid_t pid)
{
	char path[32];

	if (pid <= 1)
		return 0;
	snprintf(path, sizeof path, "/proc/%d", (int)pid);
	return sandbox_rule(rules, "hide", path);
}

static int add_hidden(const struct sandbox *sandbox, struct text *rules)
{
	int r = 0;

	for (size_t i = 0; i < sandbox->n_hidden && r == 0; i++) {
		auto_(free_at_exit) char *path = realpath(sandbox->hidden[i], NULL);

		if (path && sandbox_hides(sandbox, path))
			r = sandbox_rule(rules, "hide", path);
	}
	if (r || !sandbox->mounts)
		return r;
	r = hide_process(rules, getpid());
	/* The reaper has the same command line. */
	return r ? r : hide_process(rules, getppid());
}

/* Is path an entry of dir? */
static bool is_entry(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return strncmp(path, dir, len) == 0 && path[len] == '/' && path[len + 1] &&
	       !strchr(path + len + 1, '/');
}

static int add_apps(
	const struct sandbox *sandbox, const char *app_dir, struct text *rules, struct reason *why)
{
	auto_(free_at_exit) char *app = realpath(app_dir, NULL);
	char *dirs[2];
	size_t n;
	bool found = false;
	int r = sandbox_app_dirs(sandbox, dirs, &n);

	for (size_t i = 0; i < n; i++) {
		auto_(free_at_exit) char *dir = dirs[i];

		found = found || (app && is_entry(app, dir));
		if (r == 0 && sandbox_hides(sandbox, dir))
			r = sandbox_rule(rules, "apps", dir);
	}
	/* Only what is installed there can be somebody's app: the worker, which names it, reads
	 * what the SuperLink sends. */
	if (r == 0 && !found)
		return reason_code(why, -EPERM, "the app is not installed where apps are");
	return r ? r
		 : sandbox_rule(rules, sandbox->launch->app_dir_writable ? "app-rw" : "app", app);
}

/* What the bridge says in the log depends on it. */
static int begin_env(const struct sandbox *sandbox, bool first, struct sandbox_cage *out)
{
	out->env = calloc(SANDBOX_ENV_MAX, sizeof *out->env);
	if (!out->env)
		return -ENOMEM;
	if (asprintf(&out->env[0], "FLWR_APP_SANDBOX=%s%s",
		    sandbox->kind == SANDBOX_STRICT ? "strict" : "node",
		    first ? ":first" : "") < 0) {
		out->env[0] = NULL;
		return -ENOMEM;
	}
	return 0;
}

int sandbox_cage(struct sandbox *sandbox, const struct sandbox_app *app, struct sandbox_cage *out,
	struct reason *why)
{
	auto_(text_done) struct text rules = {0};
	auto_(sandbox_cage_done) struct sandbox_cage cage = {0};
	int r = 0;

	*out = cage;
	if (sandbox_kind(sandbox) == SANDBOX_OFF)
		return 0;
	r = begin_env(sandbox, sandbox_run_is_new(sandbox, app->run_id), &cage);
	if (r == 0 && sandbox->mounts)
		r = sandbox_rule(&rules, "mounts", "");
	if (r == 0)
		r = add_hidden(sandbox, &rules);
	if (r == 0)
		r = add_apps(sandbox, app->dir, &rules, why);
	if (r == 0 && sandbox->mounts)
		r = sandbox_rule(&rules, "keep", CONTROL_GROUPS);
	if (r == 0 && sandbox->kind == SANDBOX_STRICT)
		r = sandbox_strict(sandbox, app, &rules, &cage, why);
	if (r == 0 && !(cage.description = text_take(&rules)))
		r = -ENOMEM;
	if (r) {
		if (!why->text[0])
			reason_set(why, "no cage can be described for it: %s", strerror(-r));
		return r;
	}
	*out = cage;
	cage = (struct sandbox_cage){0};
	return 0;
}

/* ---- of the zygote ---- */

static int zygote_rules(const struct sandbox *sandbox, struct text *rules)
{
	char *dirs[2];
	size_t n;
	int r = sandbox_app_dirs(sandbox, dirs, &n);

	if (r == 0)
		r = sandbox_rule(rules, "mounts", "");
	if (r == 0)
		r = sandbox_rule(rules, "warm", "");
	if (r == 0)
		r = add_hidden(sandbox, rules);
	for (size_t i = 0; i < n; i++) {
		auto_(free_at_exit) char *dir = dirs[i];

		/* Forks could not write to their own then. */
		if (r == 0 && !sandbox->launch->app_dir_writable)
			r = sandbox_rule(rules, "keep", dir);
	}
	return r == 0 ? sandbox_rule(rules, "keep", CONTROL_GROUPS) : r;
}

int sandbox_zygote(struct sandbox *sandbox, const char *interpreter, struct sandbox_cage *out,
	struct reason *why)
{
	auto_(text_done) struct text rules = {0};
	auto_(sandbox_cage_done) struct sandbox_cage cage = {0};
	int r;

	*out = cage;
	if (sandbox_kind(sandbox) == SANDBOX_OFF)
		return 0;
	if (sandbox->mounts && !sandbox->mounts_again)
		return reason_code(why, -EPERM,
			"its forks could not have a cage: the user of apps may make no user namespace");
	if (!sandbox->mounts && sandbox->kind == SANDBOX_NODE &&
		!sandbox_python_closed(sandbox, interpreter))
		return reason_code(why, -EPERM,
			"apps may change the Python that it would run, and it could have no cage: apps cannot have mounts of their own here");
	r = begin_env(sandbox, false, &cage);
	if (r == 0 && sandbox->mounts)
		r = zygote_rules(sandbox, &rules);
	if (r == 0 && rules.data && !(cage.description = text_take(&rules)))
		r = -ENOMEM;
	if (r == 0 && sandbox->kind == SANDBOX_STRICT)
		r = sandbox_strict_env(sandbox, &cage);
	if (r)
		return reason_code(why, r, "no cage can be described for it: %s", strerror(-r));
	*out = cage;
	cage = (struct sandbox_cage){0};
	return 0;
}

/* Both may be NULL. */
static bool same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

bool sandbox_cage_same(const struct sandbox_cage *a, const struct sandbox_cage *b)
{
	return same(a->description, b->description) && same(a->directory, b->directory);
}

void sandbox_cage_done(struct sandbox_cage *cage)
{
	free(cage->description);
	free(cage->directory);
	for (char **each = cage->env; each && *each; each++)
		free(*each);
	free(cage->env);
	*cage = (struct sandbox_cage){0};
}
