/*
 * rig: apps in the native host. APPS, a folder, and HOST, the program, come from CMakeLists.txt.
 */
#ifndef FLWR_TEST_NATIVE_RIG_H
#define FLWR_TEST_NATIVE_RIG_H

#include "kit/app.h"

/* Start the host with this file, a name among the tests' apps or a path, and symbol (NULL: none).
 */
void open_app(struct kit_app *app, const char *file, const char *symbol);

/* A task with an hour of time; content, state: NULL or the records. */
void give_task(struct kit_app *app, const char *type, const struct record_dict *content,
	const struct record_dict *state);

/* Start sample.so, give it a task and wait for its end. */
void run_app(struct kit_app *app, const char *type, const struct record_dict *content,
	const struct record_dict *state);

/* The reply is an error with this code and these words in its reason. */
void assert_error(const struct kit_app *app, int code, const char *words);

#endif
