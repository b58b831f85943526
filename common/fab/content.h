/*
 * content: .info/CONTENT, a FAB's own list of its files with their hashes. One thread; pure.
 */
#ifndef FLWR_FAB_CONTENT_H
#define FLWR_FAB_CONTENT_H

#include "common/base/reason.h"
#include "common/base/sha256.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct content_line {
	const char *path; /* borrowed from the list; path_len bytes, not terminated */
	size_t path_len;
	char hash[SHA256_HEX_BYTES];
	uint64_t bytes; /* the list has bits */
	bool seen;      /* for who compares: the archive has it */
	bool differs;   /* and: what is installed is another */
};

/* Sorted by path. Zero-initialised is empty. */
struct content_list {
	char *text;
	struct content_line *v;
	size_t n;
};

/*
 * Parse lines "path,sha256 hex,size in bits". text (malloc()ed, len bytes) becomes the list's, on
 * failure too. A path is whatever is before the last two commas. 0; -ENOMEM; -EBADMSG with a
 * sentence: more than lines_max lines, a line of another form, a path twice.
 */
int content_parse(
	char *text, size_t len, uint64_t lines_max, struct content_list *out, struct reason *why);

/* Add the line of a path that is not there, once. path is borrowed. */
void content_add(struct content_list *list, const char *path, const char hash[SHA256_HEX_BYTES],
	uint64_t bytes);

/* The line of a path, borrowed, or NULL. */
struct content_line *content_find(const struct content_list *list, const char *path, size_t len);

/* Free; empty and usable afterwards. */
void content_done(struct content_list *list);

#endif
