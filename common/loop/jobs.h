/*
 * jobs: the io thread and its queue. Main thread, but for what runs on the io thread itself.
 * Private to this folder.
 */
#ifndef FLWR_LOOP_JOBS_H
#define FLWR_LOOP_JOBS_H

#include "common/loop/loop.h"

struct jobs;

/* Jobs whose end is posted to loop (borrowed). NULL on no memory. No thread yet. */
struct jobs *jobs_new(struct loop *loop);

/* Wait for the job at hand and end the thread. NULL is fine. */
void jobs_free(struct jobs *jobs);

/* loop_job(). */
int jobs_add(struct jobs *jobs, struct job *job);

#endif
