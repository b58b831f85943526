/*
 * thread: how a thread of this program starts. Any thread.
 */
#ifndef FLWR_BASE_THREAD_H
#define FLWR_BASE_THREAD_H

#include <pthread.h>

/* As pthread_create(), with all signals blocked in the new thread: they are the main thread's,
 * whatever its mask is. 0 or -errno. */
int thread_start(pthread_t *out, void *(*run)(void *arg), void *arg);

#endif
