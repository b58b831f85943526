/*
 * process_mark: a text by which another process of this machine finds this one, where the kernel
 * would not tell: it hides the descriptors of processes that are not dumpable, ours among them. Any
 * thread; reads /proc.
 */
#ifndef FLWR_BASE_PROCESS_MARK_H
#define FLWR_BASE_PROCESS_MARK_H

#include <stdint.h>
#include <sys/types.h>

#define PROCESS_MARK_BYTES 64

/* "process=NAMESPACE.PID.START"; empty when /proc does not say it. */
void process_mark_own(char out[PROCESS_MARK_BYTES]);

/*
 * A pidfd (the caller's) of the process with the first mark in text, if it is in our PID namespace;
 * what else text says does not matter. -ESRCH: none. Nothing proves that text comes from there.
 */
int process_mark_open(const char *text);

/* Parent and start time (clock ticks since the machine's start) of a process. 0 or -errno. */
int process_stat(pid_t pid, pid_t *parent_out, uint64_t *start_out);

#endif
