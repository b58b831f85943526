/*
 * private_dir: the node's directory for what must be found in the file system, as the worker API's
 * socket. Blocks on the file system; start and end of the program only.
 */
#ifndef FLWR_RUN_PRIVATE_DIR_H
#define FLWR_RUN_PRIVATE_DIR_H

#include "common/base/reason.h"

struct private_dir {
	char *path; /* NULL: not there */
	int lock;   /* on the directory, for as long as its owner lives */
};

/*
 * Make it (see dir_make_private()), and remove those beside it whose owner was killed. 0, or -errno
 * with a sentence.
 */
int private_dir_open(const char *flwr_dir, struct private_dir *out, struct reason *why);

/* Remove it. One that was never opened (path NULL) is fine. */
void private_dir_close(struct private_dir *dir);

#endif
