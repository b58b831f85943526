/*
 * ending: a process that stands in the place of another one ends as that has ended. Links nothing
 * but libc.
 */
#ifndef FLWR_BASE_ENDING_H
#define FLWR_BASE_ENDING_H

/* status: what waitpid() gave. A signal that ended the other one ends this process, too, without a
 * core file; where it cannot (as PID 1) the exit status is 128 and the signal. */
__attribute__((noreturn)) void end_as(int status);

#endif
