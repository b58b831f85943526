/*
 * spool_file: the file of one set, which grows at its end and has no name. Appending belongs to the
 * io thread; mapping to whoever was told (by that thread) that something was appended. Private to
 * this folder.
 */
#ifndef FLWR_STORE_SPOOL_FILE_H
#define FLWR_STORE_SPOOL_FILE_H

#include "common/base/reason.h"
#include "common/base/slice.h"

#include <stdbool.h>

struct spool_users;

/* Embedded by value. */
struct spool_file {
	int fd; /* -1: none yet */
	uint64_t end_bytes;
	struct spool_users *users; /* the file and its mappings */
};

void spool_file_init(struct spool_file *file);

/*
 * Write all of content to the end of the file, which is made in dir when there is none. 0: it is at
 * *offset_out. -ENOSPC, -EDQUOT, -EMFILE, ... with a sentence (without names of files: peers may
 * read it): the file is as before. Blocks.
 */
int spool_file_append(struct spool_file *file, const char *dir, const struct slices *content,
	uint64_t *offset_out, struct reason *why);

/* len bytes (more than none) from offset, which were appended: a mapping that ends with *out. 0 or
 * -errno. */
int spool_file_map(const struct spool_file *file, uint64_t offset, size_t len, struct slice *out);

/* What it takes on the disk: more than end_bytes when it was another set's before. 0: there is
 * none.
 */
uint64_t spool_file_size(const struct spool_file *file);

/* True: the file exists and is not mapped any more, so that its content may be written over.
 * Call from the thread that maps. */
bool spool_file_unused(const struct spool_file *file);
/* The file at from, to be written from its beginning, becomes to's, which has none. */
void spool_file_move(struct spool_file *from, struct spool_file *to);

/* Mappings outlive it. */
void spool_file_done(struct spool_file *file);

#endif
