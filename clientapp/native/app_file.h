/*
 * app_file: a shared object with a ClientApp in it: found, looked at, loaded. Main thread, once a
 * process. Knows no message.
 */
#ifndef FLWR_NATIVE_APP_FILE_H
#define FLWR_NATIVE_APP_FILE_H

#include <flwr/clientapp.h>

/* The function that returns the app, unless the operator names another one. */
#define APP_FILE_SYMBOL "flwr_app"

/*
 * Load file (a path with a slash in it) and have its function symbol make the app. 0; negative with
 * flwr_error(), one sentence that calls the file by its name without folders: it goes into a reply.
 * Its constructors and the function are the app's, and may do anything.
 */
int app_file_load(const char *file, const char *symbol, const struct flwr_clientapp **out);

/* The last part of a path. Borrowed. */
const char *app_file_name(const char *file);

#endif
