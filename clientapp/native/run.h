/*
 * run: one message, from its task to its reply: gives it to the app as libflwr-app has it, and the
 * app's answer back. Main thread; threads of the app's may log meanwhile.
 */
#ifndef FLWR_NATIVE_RUN_H
#define FLWR_NATIVE_RUN_H

#include <flwr/clientapp.h>

struct run_spec {
	const struct flwr_clientapp *app; /* loaded and checked */
	int socket;                       /* to the worker; borrowed */
	int task;                         /* file of the task; taken over */
	int level;                        /* enum flwr_level of the lines that are shown */
};

/* 0: the worker has been told the reply, or of an error in its place; -errno: it could not be. */
int run(const struct run_spec *spec);

#endif
