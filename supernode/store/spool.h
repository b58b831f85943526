/*
 * spool: how much of all objects may lie in memory, and where the files are that take the rest.
 * Main thread. One for a program.
 */
#ifndef FLWR_STORE_SPOOL_H
#define FLWR_STORE_SPOOL_H

#include "common/loop/loop.h"

#include <stddef.h>

struct spool;

/*
 * loop (borrowed) has the io thread that writes. dir: where files are made (copied; they are
 * unlinked at once, so that nothing stays behind); it is not touched before a file is needed, and
 * made then. memory_max_bytes: objects in memory, of all sets together. 0 or -ENOMEM.
 */
int spool_new(struct loop *loop, const char *dir, uint64_t memory_max_bytes, struct spool **out);
void spool_free(struct spool *spool); /* after all sets; NULL is fine */

/* Objects in files, of all sets together. 0, as it is at first: half of what is free on their file
 * system, looked at when the first of them goes there. */
void spool_set_file_max(struct spool *spool, uint64_t bytes);

/*
 * When a set with a file goes, the file is kept for the next set that needs one: to write over what
 * is in the page cache takes a fraction of the time that new pages do, and the reply to a large
 * message is large, as that of the next round. This gives it back: now, or when no set has taken it
 * within after_ms, at once if it lies in memory (tmpfs). (A full disk does so, too.)
 */
void spool_trim(struct spool *spool);
void spool_trim_later(struct spool *spool, int64_t after_ms);

/* Bytes of the objects in sets. Memory also counts the objects that are on their way there. */
uint64_t spool_memory_bytes(const struct spool *spool);
uint64_t spool_file_bytes(const struct spool *spool);

/* Bytes of all objects that ever came to a set, in memory or in the file: this much memory was
 * used and given back. */
uint64_t spool_passed_bytes(const struct spool *spool);

#endif
