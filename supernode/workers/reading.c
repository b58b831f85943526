#include "supernode/workers/reading.h"

#include "common/base/cleanup.h"

#include <errno.h>

static void run(struct job *job)
{
	struct reading *reading = container_of(job, struct reading, job);

	reading->result = reading->read(reading);
}

static void done(struct job *job)
{
	struct reading *reading = container_of(job, struct reading, job);

	reading->done(reading);
}

void reading_start(struct loop *loop, struct reading *reading)
{
	reading->job = (struct job){.run = run, .done = done};
	if (reading->request->body.bytes < READING_LARGE_BYTES) {
		run(&reading->job);
	} else {
		if (loop_job(loop, &reading->job) == 0)
			return;
		reading->result = -ENOMEM;
	}
	done(&reading->job);
}
