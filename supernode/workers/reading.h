/*
 * reading: the body of a request is taken apart: a large one on the io thread, so that the main
 * thread serves others meanwhile. Main thread. Knows no message.
 */
#ifndef FLWR_WORKERS_READING_H
#define FLWR_WORKERS_READING_H

#include "common/loop/loop.h"
#include "common/service/service.h"

#define READING_LARGE_BYTES (1 << 20)

/* Embedded in what is read into. */
struct reading {
	struct job job; /* private */
	struct request *request;
	int result; /* what read() has returned; or -ENOMEM: it was not called */
	/* Takes request->body apart, touching nothing else of the program; perhaps on the io
	 * thread. */
	int (*read)(struct reading *reading);
	/* From the main thread, once; perhaps inside reading_start(). Owes the request's answer;
	 * its caller may have gone meanwhile. */
	void (*done)(struct reading *reading);
};

/* In a handle(): reading's request, read and done are set. */
void reading_start(struct loop *loop, struct reading *reading);

#endif
