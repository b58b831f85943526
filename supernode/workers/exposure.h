/*
 * exposure: what a worker API at an address that other machines reach lets them do, in a line of
 * the log. Any thread.
 */
#ifndef FLWR_WORKERS_EXPOSURE_H
#define FLWR_WORKERS_EXPOSURE_H

#include "common/base/log.h"

#include <stdbool.h>

/* tls: nobody on the way can read along. guarded: whoever asks for work must prove that he may. */
void exposure_tell(struct log *log, const char *address, bool tls, bool guarded);

#endif
