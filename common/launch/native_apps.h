/*
 * native_apps: which apps run from a shared object, as the operator says (--native-app,
 * --allow-native). Any thread; looks at the file system. Knows no process.
 */
#ifndef FLWR_LAUNCH_NATIVE_APPS_H
#define FLWR_LAUNCH_NATIVE_APPS_H

#include "common/launch/launch_options.h"

/* An installed app, as its manifest has it. Borrowed. */
struct native_question {
	const char *fab_id;    /* "PUBLISHER/NAME" */
	const char *component; /* what pyproject.toml names as its clientapp */
	const char *app_dir;   /* where its files are */
};

/* Texts are malloc()ed. */
struct native_app {
	char *file;   /* absolute; NULL: the app is one of Python */
	char *symbol; /* NULL: the usual one */
};

/* At the start: each value of the two options. 0; -EINVAL with a sentence that names the option.
 * Files that do not exist yet are fine. */
int native_apps_check(const struct launch_options *options, struct reason *why);

/* Is any app native here, or may become it? */
bool native_apps_any(const struct launch_options *options);

/* Log one line for each app that the options name. */
void native_apps_tell(const struct launch_options *options, struct log *log);

/*
 * Choose the file that app runs from. 0: native_app_done(out) is due; -EACCES: it brings a shared
 * object and may not, -EINVAL: it names one outside of its own folder, both with a sentence for the
 * reply; -ENOMEM.
 */
int native_apps_choose(const struct launch_options *options, const struct native_question *app,
	struct native_app *out, struct reason *why);
void native_app_done(struct native_app *app);

/* Is a component one that brings native code? */
bool native_component(const char *component);

#endif
