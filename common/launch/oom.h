/*
 * oom: how often the kernel has killed for want of memory, so that a SIGKILL can be told from one
 * that a person sent. Main thread. Private to common/launch.
 */
#ifndef FLWR_LAUNCH_OOM_H
#define FLWR_LAUNCH_OOM_H

#include <stdint.h>

/* The file that counts for us. Zero-initialised: none. */
struct oom_source {
	char *path;
};

/*
 * Find it: the counter of our control group (v2: memory.events, v1: memory.oom_control), which does
 * not count what happens to others; else the machine's. Nothing readable, no memory: none.
 */
void oom_source_init(struct oom_source *source);
void oom_source_done(struct oom_source *source);

/* The count now; 0 when it is not known. */
uint64_t oom_count(const struct oom_source *source);

#endif
