/*
 * cage: what the process of an app can reach, settled in that process before any code of the app
 * runs. The process must have one thread. Needs nothing but libc; a part of flwr-app-start, and as
 * a shared object of its own for a process that is an interpreter already.
 *
 * A description is text, one rule a line: a word, and for most of them a path (absolute, no links
 * in it, no line ends):
 *
 *   mounts        what is hidden is covered by mounts, in a namespace of the process's own; without
 *                 this line Landlock grants all that lies beside it
 *   warm          with mounts: no Landlock; the process runs no app, but may fork some, which then
 *                 get cages of their own
 *   hide PATH     a file or directory that cannot be opened; one that is not there is fine
 *   apps DIR      the same for a directory, but for those entries that have a line of their own:
 *   app PATH      an entry of such a directory, read-only
 *   app-rw PATH   one that can be written
 *   keep PATH     with mounts: a file or directory that cannot be changed
 *   strict        nothing can be opened but `app` and what the next two grant; no system call that
 *                 apps do not need, and no core files
 *   read PATH     strict: a file or directory (all below it), to be read and executed
 *   write PATH    strict: one to be written, too
 *   fresh DIR     strict, with mounts: an empty directory of this process alone lies there
 *   network WHAT  strict: "all"; or ports "443,53" that TCP connections may be made to; without
 *                 this line there is no network
 *
 * Node or strict, the process and all that it starts can neither trace, nor (from ABI 6 of
 * Landlock) signal any process outside, nor change mounts, nor gain privileges by programs.
 */
#ifndef FLWR_START_CAGE_H
#define FLWR_START_CAGE_H

#include <stdbool.h>

/* The first half, with the privileges that there are: mounts, if the process has the right to make
 * them. 0; 1: there is nothing to do, or it has not, and cage_close() will try by a user namespace;
 * -errno with a line on stderr. */
int cage_open(const char *description);

/* The second half, as the user of the app: all else. opened: the mounts are made. 0, or -errno with
 * a line on stderr: the app must not run then. */
int cage_close(const char *description, bool opened);

/* Both of them. The shared object has this function and the next one alone. */
__attribute__((visibility("default"))) int cage_apply(const char *description);
/* For a fork of a process that is in the cage of an app, and so in it: from now on it can neither
 * trace (from ABI 2 of Landlock) nor signal (from ABI 6) any process outside the fork. 0, or -errno
 * with a line on stderr. */
__attribute__((visibility("default"))) int cage_again(void);

/* ---- what a kernel can ---- */

/* The version of Landlock's interface; 0: there is none. */
int cage_landlock_abi(void);
/* Can this process have mounts of its own, by its privileges, or else (opened: it has them) by a
 * user namespace? It has them afterwards. */
bool cage_mounts_open(void);
bool cage_mounts_possible(bool opened);
/* Can it have others in their place, as a fork that gets a cage of its own? */
bool cage_mounts_again(void);

#endif
