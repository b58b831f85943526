/*
 * thread: the start of a thread. Any thread.
 */
#ifndef FLWR_BASE_THREAD_H
#define FLWR_BASE_THREAD_H

#include <pthread.h>

/* Start a thread with all signals blocked: signals are the main thread's, whatever its mask is. 0
 * or -errno. */
int thread_start(pthread_t *out, void *(*run)(void *arg), void *arg);

#endif
