/*
 * Values of --native-app are read anew for each message: it takes a microsecond, and files may be
 * put into a directory at any time.
 */
#include "common/launch/native_apps.h"

#include "common/base/cleanup.h"
#include "common/base/files.h"
#include "common/base/home.h"
#include "common/base/text.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define COMPONENT   "native:"
#define SHOWN_BYTES 128

static bool is_identifier(const char *text)
{
	if (!isalpha((unsigned char)*text) && *text != '_')
		return false;
	while (isalnum((unsigned char)*text) || *text == '_')
		text++;
	return *text == '\0';
}

/* Is it "PUBLISHER/NAME", of len bytes? */
static bool is_app(const char *text, size_t len)
{
	const char *slash = memchr(text, '/', len);

	return slash && slash > text && slash + 1 < text + len &&
	       !memchr(slash + 1, '/', len - (size_t)(slash + 1 - text));
}

/* The colon before the symbol of "FILE.so:SYMBOL"; NULL: there is none. */
static const char *symbol_colon(const char *text)
{
	const char *slash = strrchr(text, '/');

	return strrchr(slash ? slash : text, ':');
}

/* Split "FILE.so[:SYMBOL]". 0 or -ENOMEM. */
static int split(const char *text, struct native_app *out)
{
	const char *colon = symbol_colon(text);

	out->file = colon ? text_dup(text, (size_t)(colon - text)) : strdup(text);
	out->symbol = colon ? strdup(colon + 1) : NULL;
	return out->file && (out->symbol || !colon) ? 0 : -ENOMEM;
}

/* A path as the operator writes it, made absolute: a file without a slash would be looked for where
 * libraries are. malloc()ed; NULL on no memory. */
static char *path_absolute(const char *text)
{
	auto_(free_at_exit) char *path = path_expand(text);
	char here[PATH_MAX];

	if (!path || path[0] == '/' || !getcwd(here, sizeof here))
		return take_pointer(&path);
	return path_join(here, path);
}

/* ---- the options ---- */

static int check_mapping(const char *value, const char *equals, struct reason *why)
{
	const char *colon = symbol_colon(equals + 1);
	char shown[SHOWN_BYTES];

	text_quote(value, strlen(value), shown, sizeof shown);
	if (!is_app(value, (size_t)(equals - value)))
		return reason_code(why, -EINVAL,
			"--native-app %s: what is before the = must be PUBLISHER/NAME, as in the app's pyproject.toml",
			shown);
	if (!equals[1] || colon == equals + 1)
		return reason_code(why, -EINVAL, "--native-app %s: no file is behind the =", shown);
	if (colon && !is_identifier(colon + 1))
		return reason_code(why, -EINVAL,
			"--native-app %s: what is behind the : must be the name of a function",
			shown);
	return 0;
}

static int check_folder(const char *value, struct reason *why)
{
	auto_(free_at_exit) char *path = path_absolute(value);
	char shown[SHOWN_BYTES];
	struct stat st;
	int r = !*value ? -ENOENT : !path ? -ENOMEM : stat(path, &st) < 0 ? -errno : 0;

	if (r == 0 && S_ISDIR(st.st_mode))
		return 0;
	text_quote(value, strlen(value), shown, sizeof shown);
	return reason_code(why, r ? r : -ENOTDIR,
		"--native-app %s is neither PUBLISHER/NAME=FILE.so nor a directory: %s", shown,
		strerror(r ? -r : ENOTDIR));
}

int native_apps_check(const struct launch_options *options, struct reason *why)
{
	char shown[SHOWN_BYTES];
	int r = 0;

	for (size_t i = 0; r == 0 && options->native_app.v[i]; i++) {
		const char *value = options->native_app.v[i], *equals = strchr(value, '=');

		r = equals ? check_mapping(value, equals, why) : check_folder(value, why);
	}
	for (size_t i = 0; r == 0 && options->allow_native.v[i]; i++) {
		const char *value = options->allow_native.v[i];

		text_quote(value, strlen(value), shown, sizeof shown);
		if (!is_app(value, strlen(value)))
			r = reason_code(why, -EINVAL,
				"--allow-native %s must be PUBLISHER/NAME, as in the app's pyproject.toml",
				shown);
	}
	return r;
}

bool native_apps_any(const struct launch_options *options)
{
	return options->native_app.v[0] || options->allow_native.v[0];
}

static void tell_mapping(const char *value, const char *equals, struct log *log)
{
	auto_(native_app_done) struct native_app app = {0};
	auto_(free_at_exit) char *path = NULL;

	if (split(equals + 1, &app) == 0)
		path = path_absolute(app.file);
	if (path && access(path, R_OK) < 0)
		log_warn(log, "app %.*s cannot run yet: %s: %s", (int)(equals - value), value, path,
			strerror(errno));
	else if (path)
		log_info(log, "app %.*s runs from %s", (int)(equals - value), value, path);
}

void native_apps_tell(const struct launch_options *options, struct log *log)
{
	for (size_t i = 0; options->native_app.v[i]; i++) {
		const char *value = options->native_app.v[i], *equals = strchr(value, '=');

		if (equals)
			tell_mapping(value, equals, log);
		else
			log_info(log,
				"apps that have a file PUBLISHER/NAME.so below %s run from it",
				value);
	}
	for (size_t i = 0; options->allow_native.v[i]; i++)
		log_info(log, "app %s may bring native code", options->allow_native.v[i]);
}

/* ---- an app ---- */

/* The file of a directory, if it has one for this app. 0 (out->file may stay NULL) or -ENOMEM. */
static int find_below(const char *folder, const char *fab_id, struct native_app *out)
{
	auto_(free_at_exit) char *base = path_absolute(folder);
	char *path;

	/* A manifest with other names is refused before; this is for a worker that does not care.
	 */
	if (!is_app(fab_id, strlen(fab_id)) || fab_id[0] == '.' || strstr(fab_id, "/."))
		return 0;
	if (!base || asprintf(&path, "%s/%s.so", base, fab_id) < 0)
		return -ENOMEM;
	if (access(path, F_OK) == 0)
		out->file = path;
	else
		free(path);
	return 0;
}

static int find_given(const char *text, struct native_app *out)
{
	auto_(native_app_done) struct native_app given = {0};
	int r = split(text, &given);

	if (r)
		return r;
	out->file = path_absolute(given.file);
	out->symbol = take_pointer(&given.symbol);
	return out->file ? 0 : -ENOMEM;
}

/* A path that stays in the folder that it is below? */
static bool stays_inside(const char *path)
{
	if (path[0] == '/' || path[0] == '\0')
		return false;
	for (const char *at = path; *at;) {
		size_t len = strcspn(at, "/");

		if (len == 2 && at[0] == '.' && at[1] == '.')
			return false;
		at += len + (at[len] == '/');
	}
	return true;
}

static bool is_allowed(const struct launch_options *options, const char *fab_id)
{
	for (size_t i = 0; options->allow_native.v[i]; i++)
		if (strcmp(options->allow_native.v[i], fab_id) == 0)
			return true;
	return false;
}

static int find_brought(const struct launch_options *options, const struct native_question *app,
	struct native_app *out, struct reason *why)
{
	auto_(native_app_done) struct native_app brought = {0};
	const char *text = app->component + strlen(COMPONENT);
	int r;

	if (!is_allowed(options, app->fab_id))
		return reason_code(why, -EACCES,
			"the app brings native code (%.100s), which this node takes only where its operator allows it: --allow-native %.100s",
			app->component, app->fab_id);
	r = split(text, &brought);
	if (r)
		return r;
	if (!stays_inside(brought.file) || (brought.symbol && !is_identifier(brought.symbol)))
		return reason_code(why, -EINVAL,
			"clientapp = \"%.100s\" of the app's pyproject.toml must be native: and the path of a file of the app, and may have a function's name behind a colon",
			app->component);
	out->file = path_join(app->app_dir, brought.file);
	out->symbol = take_pointer(&brought.symbol);
	return out->file ? 0 : -ENOMEM;
}

bool native_component(const char *component)
{
	return strncmp(component, COMPONENT, strlen(COMPONENT)) == 0;
}

int native_apps_choose(const struct launch_options *options, const struct native_question *app,
	struct native_app *out, struct reason *why)
{
	auto_(native_app_done) struct native_app found = {0};
	size_t len = strlen(app->fab_id);
	int r = 0;

	for (size_t i = 0; r == 0 && !found.file && options->native_app.v[i]; i++) {
		const char *value = options->native_app.v[i], *equals = strchr(value, '=');

		if (!equals)
			r = find_below(value, app->fab_id, &found);
		else if (len == (size_t)(equals - value) && memcmp(value, app->fab_id, len) == 0)
			r = find_given(equals + 1, &found);
	}
	if (r == 0 && !found.file && native_component(app->component))
		r = find_brought(options, app, &found, why);
	if (r)
		return r;
	*out = found;
	found = (struct native_app){0};
	return 0;
}

void native_app_done(struct native_app *app)
{
	free_at_exit(&app->file);
	free_at_exit(&app->symbol);
}
