/*
 * memory_pressure: tells when memory has become short: tasks wait for it (PSI, of a control group
 * where we may ask there, else of the machine), or the kernel has killed one in that group or below
 * it. Main thread. Private to common/launch.
 */
#ifndef FLWR_LAUNCH_MEMORY_PRESSURE_H
#define FLWR_LAUNCH_MEMORY_PRESSURE_H

#include "common/loop/loop.h"

struct memory_pressure;

/*
 * group: the directory of the control group to watch; NULL: that of this process. fn is called from
 * the loop each time, and may free what is returned. NULL: this machine does not tell, or no
 * memory.
 */
struct memory_pressure *memory_pressure_new(
	struct loop *loop, const char *group, void (*fn)(void *arg), void *arg);
/* NULL is fine. */
void memory_pressure_free(struct memory_pressure *pressure);

#endif
