/*
 * python: which interpreter runs the apps. Any thread; looks at the file system. Private to
 * common/launch.
 */
#ifndef FLWR_LAUNCH_PYTHON_H
#define FLWR_LAUNCH_PYTHON_H

#include "common/base/reason.h"

/*
 * given (--python: a path, or a name to look for on PATH), or when NULL $VIRTUAL_ENV/bin/python3,
 * else python3 on PATH. 0: *out is an absolute path, malloc()ed, of a file that can be executed;
 * -ENOENT, -EACCES, -ENOMEM with a sentence that says what to do. Links are left as they are: a
 * virtual environment is found by the name of its interpreter.
 */
int python_find(const char *given, char **out, struct reason *why);

#endif
