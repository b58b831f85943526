/*
 * cage_internal: what the parts of a cage share. Private to clientapp/start.
 */
#ifndef FLWR_START_CAGE_INTERNAL_H
#define FLWR_START_CAGE_INTERNAL_H

#include "clientapp/start/cage.h"

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

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

/* A ruleset of Landlock handles these rights, by the kernel's bits: it refuses all of them that it
 * does not grant. */
struct cage_handled {
	uint64_t fs, net, scopes;
	unsigned int flags; /* of landlock_restrict_self() */
};

/* All of it that a version of the interface knows. tcp: with TCP's ports, from ABI 4 on. */
void cage_landlock_handles(int abi, bool tcp, struct cage_handled *out);

/* Enforce Landlock as a kernel of that ABI has it. covered: what is hidden has been covered. 0, or
 * -errno with a line. */
int cage_landlock(const char *description, bool covered, int abi);

/* Enforce the filter of system calls, as what Landlock of that ABI has not makes it necessary; of
 * the strict cage in any case. 0, or -errno with a line. */
int cage_filter(const char *description, int abi);

/* cage_close() for a kernel of that ABI, which may be an older one than this kernel's. Tests call
 * it; a program has cage_close(). */
int cage_close_as(const char *description, bool opened, int abi);
/* The same of cage_again(). */
int cage_again_as(int abi);

#endif
