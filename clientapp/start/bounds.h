/*
 * bounds: what flwr-app-start settles in the process of an app before its program: user, limits,
 * privileges. Needs nothing but libc.
 */
#ifndef FLWR_START_BOUNDS_H
#define FLWR_START_BOUNDS_H

#include <stdbool.h>

enum { EXIT_NOT_BEGUN = 125, EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127 };

/* Bounds, as they stand on the command line; NULL: one is left as it is. */
struct bounds {
	bool no_new_privileges;
	const char *cage;      /* a description (cage.h) */
	const char *directory; /* the working directory */
	const char *core;      /* soft limit of core files, in bytes */
	const char *mask;      /* umask, octal */
	const char *user;      /* "UID:GID[,GROUP...]" */
};

/* Apply all of them. The kernel forgets a PDEATHSIG when the user changes: set it afterwards. 0, or
 * EXIT_NOT_BEGUN with a line on stderr. */
int bounds_apply(const struct bounds *bounds);

/* Become user; can it read each file, enter each directory, execute each program? 0: all of them;
 * N: not the Nth of paths, which end in NULL; EXIT_NOT_BEGUN with a line on stderr. */
int bounds_check(const char *user, char *const *paths);

/* What cages can there be for user (NULL: ours)? The version of Landlock's interface, at most
 * BOUNDS_ABI_MAX, and more where there can be mounts, and where a process that has some can fork
 * one with others; EXIT_NOT_BEGUN with a line on stderr. */
enum { BOUNDS_ABI_MAX = 28, BOUNDS_MOUNTS_AGAIN = 32, BOUNDS_MOUNTS = 64 };
int bounds_probe(const char *user);

#endif
