/*
 * rig: apps in Python, run by the bridge. The app's own folder is kit_dir.
 */
#ifndef FLWR_TEST_RUN_RIG_H
#define FLWR_TEST_RUN_RIG_H

#include "kit/app.h"

enum { SKIPPED = 77 }; /* ctest knows it */

/* The Python of the release under test (FLWR_TEST_APP_PYTHON), else of the oldest release. */
char *app_python(void);

/* Is that one there? If not, a line says so. */
bool app_python_installed(void);

/* Start the bridge, with extra (NULL: none) in its environment, in the place of the tests'
 * PYTHONPATH, if it is one. keep_output: for kit_app_printed(). */
void open_python(struct kit_app *app, const char *extra, bool keep_output);

/* Give the bridge a task for this clientapp (module:attribute, from PYTHONPATH). content, state:
 * NULL or the records. */
void give_task(struct kit_app *app, const char *clientapp, const char *type,
	const struct record_dict *content, const struct record_dict *state);

/* The same, and wait for the end of it. */
void run_task(struct kit_app *app, const char *clientapp, const char *type,
	const struct record_dict *content, const struct record_dict *state);

/* All of it: start the bridge, give it a task and wait for its end. */
void run_app(struct kit_app *app, const char *clientapp, const char *type,
	const struct record_dict *content, const struct record_dict *state);

#endif
