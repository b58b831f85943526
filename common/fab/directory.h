/*
 * directory: the zip directory of a FAB, read and checked before anything is unpacked: every entry
 * is listed, and none of them is a trick. One thread; knows nothing about Flower, and unpacks
 * nothing.
 */
#ifndef FLWR_FAB_DIRECTORY_H
#define FLWR_FAB_DIRECTORY_H

#include "common/base/reason.h"
#include "common/base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIRECTORY_NAME_MAX_BYTES 1024 /* an entry's whole path */

struct directory_entry {
	const char *name; /* borrowed from the directory, name_len bytes, not terminated */
	size_t name_len;
	uint32_t offset; /* of its local header */
	uint16_t method; /* 0 stored, 8 deflated */
	uint32_t packed_bytes;
	uint32_t bytes; /* as announced; an unpacker must hold it to that */
	bool folder;    /* its name ends in '/' */
};

/* Entries in the order of their data, which is the order in which a reader comes by them. */
struct directory {
	struct directory_entry *v;
	size_t n;
	struct slice central; /* the bytes that the names are in */
	size_t archive_bytes; /* without the comment that may follow */
};

/*
 * Read the directory of the zip in content. 0; -ENOMEM; -EBADMSG with a sentence that names the
 * entry: no zip, cut off, in parts, zip64 (so at most 65,535 entries), encrypted, packed by other
 * means than deflate, a link or special file, a path that leaves the directory or is no UTF-8 or
 * has control characters, a name twice, entries that overlap, a local header that tells another
 * story, an entry that unpacks to over 1 MiB and FAB_RATIO_MAX times its packed size.
 */
int directory_read(const struct slices *content, struct directory *out, struct reason *why);

/* The entry of that name, borrowed, or NULL. */
const struct directory_entry *directory_find(const struct directory *directory, const char *name);

/* Has the entry this name? */
bool directory_entry_is(const struct directory_entry *entry, const char *name);

/* Free; empty and usable afterwards. */
void directory_done(struct directory *directory);

#endif
