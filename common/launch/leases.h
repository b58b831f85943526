/*
 * leases: GPUs that workers have for themselves: each gets one value of CUDA_VISIBLE_DEVICES, which
 * no other has until all its processes are gone. Main thread.
 */
#ifndef FLWR_LAUNCH_LEASES_H
#define FLWR_LAUNCH_LEASES_H

#include "common/base/log.h"
#include "common/base/reason.h"

#include <stdbool.h>

struct leases;

#define LEASE_NONE        (-1)
#define LEASES_DRIVER_DIR "/proc/driver/nvidia/gpus"

/*
 * text: the values, "0,1" or "GPU-8f2d,MIG-3a10"; a value that is named twice serves two workers at
 * a time. "auto": those in this program's own CUDA_VISIBLE_DEVICES, else one for each GPU that the
 * driver (an entry each in driver_dir, LEASES_DRIVER_DIR) or nvidia-smi knows of. 0; -EINVAL,
 * -ENODEV (there are none) or another -errno with a sentence that names the option. With auto it
 * may wait some seconds for nvidia-smi.
 */
int leases_new(const char *text, const char *driver_dir, struct leases **out, struct reason *why);
void leases_free(struct leases *leases);

/* How many there are. */
unsigned leases_count(const struct leases *leases);
/* One that nobody has; LEASE_NONE: there is none. */
int lease_take(struct leases *leases);
/* LEASE_NONE is fine. */
void lease_give_back(struct leases *leases, int lease);
/* The setting "CUDA_VISIBLE_DEVICES=VALUE". Borrowed. */
const char *lease_setting(const struct leases *leases, int lease);
/* Log one line: which there are. */
void leases_tell(const struct leases *leases, struct log *log);

#endif
