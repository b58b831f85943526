/*
 * timers: the timers of one loop, earliest first, behind one timerfd on CLOCK_BOOTTIME: time that
 * the machine slept counts. Main thread. Private to this folder; knows no libevent.
 */
#ifndef FLWR_LOOP_TIMERS_H
#define FLWR_LOOP_TIMERS_H

#include "common/loop/loop.h"

struct timers;

/* 0 or -errno. The caller owns a reference of *out; each timer has one, too. */
int timers_new(struct timers **out);
void timers_unref(struct timers *timers);

/* Readable when a timer is due; stays the timers'. */
int timers_fd(const struct timers *timers);

/* Run what is due, in the order of time. A timer that is set anew while they run waits for the next
 * call. */
void timers_run(struct timers *timers);

/* timer_new(). NULL on no memory. */
struct timer *timers_add(struct timers *timers, timer_fn *fn, void *arg);

#endif
