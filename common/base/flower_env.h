/*
 * flower_env: the environment variables of Flower's own programs of 1.15 to 1.42, and those of them
 * that hold here. Main thread, at the start.
 */
#ifndef FLWR_BASE_FLOWER_ENV_H
#define FLWR_BASE_FLOWER_ENV_H

#include "common/base/log.h"

enum flower_program {
	FLOWER_SUPERNODE = 1,
	FLOWER_CLIENTAPP = 2, /* and the launcher */
};

/* The level of a log: what the option says (NULL: not given), else $FLWR_LOG_LEVEL, else info. 0,
 * or -EINVAL: the option's text is no level. */
int flower_env_log_level(const char *option, enum log_level *out);

/* A warning for each variable that is set, would matter to this program, and has no effect. */
void flower_env_tell(struct log *log, enum flower_program program);

#endif
