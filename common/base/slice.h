/*
 * slice: refcounted, immutable bytes, and lists of them: payloads travel in them without a copy.
 * References may be taken and dropped by any thread; lists belong to one thread. Knows no
 * transport.
 */
#ifndef FLWR_BASE_SLICE_H
#define FLWR_BASE_SLICE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Embedded in whatever keeps the bytes alive. release() runs once, on the thread that drops last.
 */
struct slice_owner {
	atomic_uint refs;
	void (*release)(struct slice_owner *owner);
};

/* A view of len bytes at data; owner NULL means that the bytes outlive everything (static). */
struct slice {
	const uint8_t *data;
	size_t len;
	struct slice_owner *owner;
};

/* Bytes in pieces, in order. Zero-initialised is empty and valid. Empty slices are not kept. */
struct slices {
	size_t bytes; /* sum of the lengths */
	struct slice *v;
	size_t n;
	size_t cap;
};

/* Initialise owner with one reference. */
void slice_owner_init(struct slice_owner *owner, void (*release)(struct slice_owner *owner));

/* Copy len bytes into new memory. 0 or -ENOMEM. The caller owns one reference of *out. */
int slice_copy(const void *data, size_t len, struct slice *out);

/* Take over malloc()ed memory of len bytes. 0, or -ENOMEM and the memory is still the caller's. */
int slice_take(void *data, size_t len, struct slice *out);

/* Map len bytes of fd from offset 0, read-only, without keeping others from sealing the file; fd
 * stays the caller's. 0 or -errno. */
int slice_map(int fd, size_t len, struct slice *out);

/* Bytes that outlive everything. */
struct slice slice_static(const void *data, size_t len);

/* Take another reference to the same bytes. */
struct slice slice_ref(struct slice slice);

/* A reference to len bytes from offset; offset + len must lie within slice. */
struct slice slice_sub(struct slice slice, size_t offset, size_t len);

/* Drop a reference; *slice is empty afterwards. */
void slice_unref(struct slice *slice);

/* Append slice and take over the caller's reference, on failure too (then dropped). 0 or -ENOMEM.
 */
int slices_append(struct slices *list, struct slice slice);

/* Append a copy of len bytes. 0 or -ENOMEM. */
int slices_append_copy(struct slices *list, const void *data, size_t len);

/*
 * Append a copy of len bytes, together with what this function has appended before if there is
 * room: very many small pieces cost about their bytes, not a slice each. 0 or -ENOMEM.
 */
int slices_append_small(struct slices *list, const void *data, size_t len);

/* Append references to all of from. 0, or -ENOMEM and list is as before. */
int slices_append_refs(struct slices *list, const struct slices *from);

/* Append references to len bytes of from, from offset on. 0, -EINVAL out of range, -ENOMEM. */
int slices_append_range(struct slices *list, const struct slices *from, size_t offset, size_t len);

/* Move everything of from to the end of list; from is empty afterwards. 0 or -ENOMEM. */
int slices_move(struct slices *list, struct slices *from);

/* The list itself; *list is empty afterwards. */
struct slices slices_take(struct slices *list);

/* Copy len bytes from offset to buffer. 0 or -EINVAL when out of range. */
int slices_read(const struct slices *list, size_t offset, void *buffer, size_t len);

/*
 * Make one piece of all bytes: a reference when there is one slice already, else a copy. 0 or
 * -ENOMEM. The caller owns one reference of *out.
 */
int slices_flatten(const struct slices *list, struct slice *out);

/* Do both have the same bytes, however they are cut? */
bool slices_equal(const struct slices *a, const struct slices *b);

/* Drop all references and the list's memory; list is empty and usable afterwards. */
void slices_done(struct slices *list);

#endif
