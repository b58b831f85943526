/*
 * reaper: the process that this program was started by (reaper/main.c), and which ends all that is
 * left when this program has ended. Main thread. A program that is started without one works all
 * the same.
 */
#ifndef FLWR_LAUNCH_REAPER_H
#define FLWR_LAUNCH_REAPER_H

#include "common/loop/loop.h"

#include <sys/types.h>

/* How long a program without its reaper may take to answer for what is at work, before it ends. */
#define REAPER_GONE_MS 300

struct reaper {
	pid_t pid;  /* 0: there is none */
	int pidfd;  /* -1: none, or it has ended already */
	int letter; /* where the reaper reads; -1: nowhere */
	struct watch *watch;
	struct loop_work ended_before; /* this program had a look */
	void (*gone)(void *arg);
	void *arg;
	int signal; /* the last one, who sent it and when */
	pid_t sender;
	int64_t signal_ms;
};

/* At the start of main(): find it by the environment, which is cleared of that. */
void reaper_find(struct reaper *out);

/* Have gone() called, once, when the reaper has ended: then this program is to end, within
 * REAPER_GONE_MS and what it takes to kill what it has started. 0 (also without a reaper) or
 * -errno. */
int reaper_watch(struct reaper *reaper, struct loop *loop, void (*gone)(void *arg), void *arg);

/* Ask to be started again when this program ends with an error or is killed. false: there is no
 * reaper. */
bool reaper_ask_restart(struct reaper *reaper);
/* Name a directory that is to be removed, with its files, if this program cannot do it any more. */
void reaper_name_dir(struct reaper *reaper, const char *dir);
/* The same of all control groups whose paths begin so. */
void reaper_name_groups(struct reaper *reaper, const char *prefix);

/*
 * Has this signal come already, a moment ago, and once from the reaper? So it is when a service
 * manager or pkill sends it to all processes: the reaper hands its own on. Asked once for each
 * signal.
 */
bool reaper_repeats(struct reaper *reaper, int signal, pid_t sender, int64_t now_ms);

/* All zero, or after reaper_find(). */
void reaper_done(struct reaper *reaper);

#endif
