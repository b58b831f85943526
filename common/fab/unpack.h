/*
 * unpack: a FAB's files into an empty directory, each checked against the FAB's list. One thread;
 * blocks on the file system; knows nothing about where the directory is.
 */
#ifndef FLWR_FAB_UNPACK_H
#define FLWR_FAB_UNPACK_H

#include "common/fab/bundle.h"
#include "common/fab/content.h"
#include "common/fab/fab.h"

/*
 * Read the list and compare it with the archive's directory: each file listed once and there once,
 * sizes equal, all within limits. Nothing is written. 0; -EBADMSG with a sentence; -ENOMEM. The
 * caller owns *out. Rewinds the bundle.
 */
int unpack_check(struct bundle *bundle, const struct fab_limits *limits, struct content_list *out,
	struct reason *why);

/*
 * Unpack into the directory fd dir, which is empty and nobody else's. Files get 0644, directories
 * 0755, less the umask; .info is left out. 0; -EBADMSG with a sentence (another hash, damaged, a
 * file that is also a directory, more than dirs_max directories); -errno of the file system with a
 * sentence. What is there then is of no use.
 */
int unpack_files(struct bundle *bundle, const struct content_list *list, int dir, uint64_t dirs_max,
	struct reason *why);

#endif
