/*
 * loop: the event loop that owns all state of a program: descriptors, timers, signals, work handed
 * over by other threads, and one io thread for jobs that block. All functions but loop_post()
 * belong to the main thread. libevent stays inside this folder.
 */
#ifndef FLWR_LOOP_LOOP_H
#define FLWR_LOOP_LOOP_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct loop;

/* 0 or -errno. The io thread starts with the first job. */
int loop_new(struct loop **out);
/* Ends the io thread (waits for the job at hand; the others' done() is not called). NULL is fine.
 */
void loop_free(struct loop *loop);

/* Run until loop_stop(). 0 or -errno. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* Run what is ready now, waiting at most wait_ms for something to become so. For tests and
 * shutdown. */
void loop_step(struct loop *loop, int64_t wait_ms);

/* ---- timers: absolute CLOCK_BOOTTIME milliseconds, one shot ---- */
struct timer;
typedef void timer_fn(void *arg);

/* NULL on no memory. Not armed. */
struct timer *timer_new(struct loop *loop, timer_fn *fn, void *arg);
/* Arm for at_ms (clock_now_ms() scale), instead of what was; CLOCK_NEVER disarms. */
void timer_set(struct timer *timer, int64_t at_ms);
void timer_free(struct timer *timer);

/* ---- descriptors ---- */
enum { WATCH_READ = 1, WATCH_WRITE = 2, WATCH_EDGE = 4 };
struct watch;
/* ready is WATCH_READ and/or WATCH_WRITE; an error or hang-up counts as readable. The watch may be
 * freed inside. */
typedef void watch_fn(void *arg, int ready);

/* Watch fd (borrowed, must outlive the watch). NULL on no memory or a descriptor that cannot be
 * watched. */
struct watch *watch_new(struct loop *loop, int fd, int events, watch_fn *fn, void *arg);
void watch_free(struct watch *watch);

/* ---- signals: block them before there are threads; they are read from a signalfd ---- */
/* Blocks those that stop a program (TERM, INT, QUIT) or mean something to daemons (HUP), and
 * returns them, for loop_signals(). CHLD and PIPE are blocked, too: children are watched by pidfd,
 * broken pipes by their errors. */
sigset_t loop_block_signals(void);
typedef void signal_fn(void *arg, int signal);
/* From within signal_fn: who has sent it; 0: the kernel, or a process of another namespace. */
pid_t loop_signal_sender(const struct loop *loop);
/* Take the signals of set, one set for each loop. 0 or -errno. */
int loop_signals(struct loop *loop, const sigset_t *set, signal_fn *fn, void *arg);

/* ---- work handed over by another thread: intrusive, embedded in what it is about ---- */
struct loop_work {
	struct loop_work *next;
	void (*run)(struct loop_work *work);
};
/* Call work->run() on the main thread. Any thread; in the order of posting; never blocks, never
 * fails. */
void loop_post(struct loop *loop, struct loop_work *work);

/* ---- jobs: run() on the io thread, one after the other, then done() on the main thread ---- */
struct job {
	struct loop_work work; /* private */
	void (*run)(struct job *job);
	void (*done)(struct job *job);
};
/* Run a job, which is embedded in its owner. 0, or -errno (the io thread could not be started;
 * nothing is called). */
int loop_job(struct loop *loop, struct job *job);

#endif
