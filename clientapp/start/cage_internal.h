/*
 * cage_internal: what the parts of a cage share. Private to clientapp/start.
 */
#ifndef FLWR_START_CAGE_INTERNAL_H
#define FLWR_START_CAGE_INTERNAL_H

#include "clientapp/start/cage.h"

#include <limits.h>
#include <stddef.h>

/* A line of a description. */
struct cage_rule {
	char word[16];
	char path[PATH_MAX]; /* or another value; "": none */
};

/* Read the line at *text and move *text behind it. 1; 0: there is none; -EINVAL. */
int cage_rule_next(const char **text, struct cage_rule *out);
/* Has the description a line with that word? value (PATH_MAX bytes, may be NULL) is that of the
 * first one. */
bool cage_has(const char *description, const char *word, char *value);
/* Does path lie right in dir? */
bool cage_is_entry(const char *path, const char *dir);

/* A line on stderr; returns -error. */
int cage_failed(const char *what, const char *path, int error);

/* A mount namespace of this process alone, by its privileges or (as_user, not as root) by a user
 * namespace in which it has them until cage_mounts_drop(). 0 or -errno, without a line. */
int cage_mounts_begin(bool as_user);
/* Cover what the description hides. 0, or -errno with a line. */
int cage_mounts_make(const char *description);
/* Give up all capabilities of the user namespace, for good. 0, or -errno with a line. */
int cage_mounts_drop(void);

/* Enforce Landlock. covered: what is hidden has been covered. 0, or -errno with a line. */
int cage_landlock(const char *description, bool covered);

/* Enforce the filter of system calls of the strict cage. 0, or -errno with a line. */
int cage_filter(const char *description);

#endif
