/*
 * spool_internal: what sets do with the spool. Main thread. Private to this folder.
 */
#ifndef FLWR_STORE_SPOOL_INTERNAL_H
#define FLWR_STORE_SPOOL_INTERNAL_H

#include "common/base/reason.h"
#include "supernode/store/spool.h"
#include "supernode/store/spool_file.h"

struct spool {
	struct loop *loop;
	char *dir; /* never changes: the io thread reads it, too */
	uint64_t memory_max_bytes;
	uint64_t memory_bytes;
	uint64_t file_bytes;
	uint64_t file_coming_bytes;    /* of puts that are out */
	uint64_t file_room_bytes;      /* of files that sets have taken over, and nothing is
					  written over yet */
	uint64_t file_max_bytes;       /* 0: half of what is free */
	uint64_t file_max_found_bytes; /* that, as it was found */
	uint64_t passed_bytes;
	struct spool_file spare; /* of a set that has gone, for the next */
	struct timer *trim;
};

/* May so many bytes more lie in memory? They are counted then. */
bool spool_take_memory(struct spool *spool, uint64_t bytes);

/*
 * May so many bytes more lie in files? They are counted as coming then. room: of the set's file,
 * which grows only when there is none left. A spare file gives way. 0; -EDQUOT with a sentence
 * (without names of files: peers may read it).
 */
int spool_take_file(struct spool *spool, uint64_t bytes, uint64_t *room, struct reason *why);

/* The spare file for a set that has none; one that is still read goes when it is not any more. The
 * room that is in it. */
uint64_t spool_take_spare(struct spool *spool, struct spool_file *file);
/* A set with a file of so much room goes. */
void spool_leave_room(struct spool *spool, uint64_t room);
/* The file of a set that goes, if it has one: kept for the next, unless there is a spare already.
 * Who still sends from it (the last of its bytes are often on their way) goes on with that. */
void spool_give_spare(struct spool *spool, struct spool_file *file);

#endif
