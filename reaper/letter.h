/*
 * letter: what the program has said to its reaper, by a pipe: 'r' that it wants to be started again
 * when it ends by itself, "dPATH\0" that this directory with its files is to go when it has not
 * removed it, "gPATH\0" that control groups whose paths begin so are to go. Links nothing but libc.
 */
#ifndef FLWR_REAPER_LETTER_H
#define FLWR_REAPER_LETTER_H

#include <limits.h>
#include <stdbool.h>

struct letter {
	bool restarts;
	char dir[PATH_MAX];    /* "": none */
	char groups[PATH_MAX]; /* "": none */
};

/* Read all that is in fd, which is not blocking. What is none of these is passed over. */
void letter_read(int fd, struct letter *out);

/* Remove the directory and the files in it; directories in it stay, and then so does it. */
void letter_remove(const char *dir);

/* Remove the control groups, which are directories, whose paths begin so; one with a process in it
 * stays. */
void letter_remove_groups(const char *prefix);

#endif
