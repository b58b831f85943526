/*
 * memory_file: large bytes, laid one behind the other in a memory file (memfd) as they come, so
 * that they need not be copied again when the file is given to another process. One thread at a
 * time. Knows nothing about what the bytes are.
 */
#ifndef FLWR_BASE_MEMORY_FILE_H
#define FLWR_BASE_MEMORY_FILE_H

#include "common/base/slice.h"

#define MEMORY_FILE_ALIGN      64 /* of what is appended */
#define MEMORY_FILE_ROOM_BYTES 64 /* left free at the beginning, for who gives the file on */

struct memory_file;

/* An empty file behind the free room, with a name for people. 0 or -errno. */
int memory_file_new(const char *name, struct memory_file **out);
/* Mappings outlive it. NULL is fine. */
void memory_file_free(struct memory_file *file);

/* A copy of bytes at the next multiple of MEMORY_FILE_ALIGN; it is at *offset_out. 0 or -errno (the
 * file is as before). Blocks. */
int memory_file_append(struct memory_file *file, const struct slices *bytes, uint64_t *offset_out);
/* Over what is in the file at offset, or into the room. 0 or -errno. Blocks. */
int memory_file_write(struct memory_file *file, uint64_t offset, const struct slices *bytes);

/* Map all that was appended, read-only, and anew when it has become more. *out refers to len bytes
 * from offset; the caller owns the reference. 0 or -errno. */
int memory_file_get(struct memory_file *file, uint64_t offset, size_t len, struct slice *out);

/* Do these bytes lie in the mapping that memory_file_get() made last, in one piece that begins at a
 * multiple of MEMORY_FILE_ALIGN? Their place goes to the output then. */
bool memory_file_holds(
	const struct memory_file *file, const struct slices *bytes, uint64_t *offset_out);

uint64_t memory_file_bytes(const struct memory_file *file); /* with the room */
int memory_file_fd(const struct memory_file *file);         /* borrowed */

#endif
