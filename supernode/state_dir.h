/*
 * state_dir: the folder of what must outlive the program, one for each SuperLink and operator's
 * key, locked by the node that uses it. Main thread, at the start; blocks on the file system.
 */
#ifndef FLWR_SUPERNODE_STATE_DIR_H
#define FLWR_SUPERNODE_STATE_DIR_H

#include "common/base/log.h"
#include "common/base/reason.h"
#include "supernode/link/auth.h"

#include <stdbool.h>

struct state_dir_options {
	const char *dir;       /* --state-dir; NULL: $STATE_DIRECTORY, $XDG_STATE_HOME/flwr-native,
				  or flwr-native below the Flower home, the first that can be used */
	const char *flwr_dir;  /* of the Flower home; NULL: the usual one */
	const char *superlink; /* as the option has it; NULL: not given */
	bool none;             /* --no-state */
};

struct state_dir {
	char *path; /* owned; NULL: nothing is kept */
	int lock;   /* -1: none */
};

/*
 * The folder for this key at this SuperLink, made if need be. A folder that others could have made
 * or can change is not used. Where none can be used: path is NULL, and one line says so. 0; -EBUSY
 * with a sentence: another SuperNode uses it; -ENOMEM.
 */
int state_dir_open(const struct state_dir_options *options, const struct auth *key, struct log *log,
	struct state_dir *out, struct reason *why);
void state_dir_close(struct state_dir *state);

#endif
