/*
 * slice: owners of copied, taken over and mapped bytes, and the lists that refer to them.
 */
#include "common/base/slice.h"

#include "common/base/array.h"
#include "common/base/cleanup.h"
#include "common/base/number.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define BLOCK_MAX_BYTES 4096 /* of small pieces that lie together */

struct copied_bytes {
	struct slice_owner owner;
	uint8_t data[];
};

/* Small pieces that were appended one after the other; the first used bytes never change. */
struct block_bytes {
	struct slice_owner owner;
	size_t used, cap;
	uint8_t data[];
};

struct taken_bytes {
	struct slice_owner owner;
	void *data;
};

struct mapped_bytes {
	struct slice_owner owner;
	void *data;
	size_t len;
};

void slice_owner_init(struct slice_owner *owner, void (*release)(struct slice_owner *owner))
{
	atomic_init(&owner->refs, 1);
	owner->release = release;
}

static void copied_release(struct slice_owner *owner)
{
	free(container_of(owner, struct copied_bytes, owner));
}

static void block_release(struct slice_owner *owner)
{
	free(container_of(owner, struct block_bytes, owner));
}

static void taken_release(struct slice_owner *owner)
{
	struct taken_bytes *taken = container_of(owner, struct taken_bytes, owner);

	free(taken->data);
	free(taken);
}

static void mapped_release(struct slice_owner *owner)
{
	struct mapped_bytes *mapped = container_of(owner, struct mapped_bytes, owner);

	munmap(mapped->data, mapped->len);
	free(mapped);
}

int slice_copy(const void *data, size_t len, struct slice *out)
{
	struct copied_bytes *copied;
	size_t size;

	if (!size_add(sizeof *copied, len, &size))
		return -ENOMEM;
	copied = malloc(size);
	if (!copied)
		return -ENOMEM;
	slice_owner_init(&copied->owner, copied_release);
	if (len)
		memcpy(copied->data, data, len);
	*out = (struct slice){.data = copied->data, .len = len, .owner = &copied->owner};
	return 0;
}

int slice_take(void *data, size_t len, struct slice *out)
{
	struct taken_bytes *taken = malloc(sizeof *taken);

	if (!taken)
		return -ENOMEM;
	slice_owner_init(&taken->owner, taken_release);
	taken->data = data;
	*out = (struct slice){.data = data, .len = len, .owner = &taken->owner};
	return 0;
}

int slice_map(int fd, size_t len, struct slice *out)
{
	auto_(free_at_exit) struct mapped_bytes *mapped = NULL;
	struct stat st;
	void *data;

	if (fstat(fd, &st) < 0)
		return -errno;
	/* A mapping behind the file's end would be a SIGBUS later. */
	if (st.st_size < 0 || (uint64_t)st.st_size < len)
		return -EINVAL;
	if (len == 0) {
		*out = (struct slice){0};
		return 0;
	}
	mapped = malloc(sizeof *mapped);
	if (!mapped)
		return -ENOMEM;
	data = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		return -errno;
	slice_owner_init(&mapped->owner, mapped_release);
	mapped->data = data;
	mapped->len = len;
	*out = (struct slice){.data = data, .len = len, .owner = &mapped->owner};
	take_pointer(&mapped); /* the slice's from here on */
	return 0;
}

struct slice slice_static(const void *data, size_t len)
{
	return (struct slice){.data = data, .len = len};
}

struct slice slice_ref(struct slice slice)
{
	if (slice.owner)
		atomic_fetch_add_explicit(&slice.owner->refs, 1, memory_order_relaxed);
	return slice;
}

struct slice slice_sub(struct slice slice, size_t offset, size_t len)
{
	assert(offset <= slice.len && len <= slice.len - offset);
	slice = slice_ref(slice);
	if (offset)
		slice.data += offset;
	slice.len = len;
	return slice;
}

void slice_unref(struct slice *slice)
{
	struct slice_owner *owner = slice->owner;

	*slice = (struct slice){0};
	if (owner && atomic_fetch_sub_explicit(&owner->refs, 1, memory_order_acq_rel) == 1)
		owner->release(owner);
}

static int slices_reserve(struct slices *list, size_t more)
{
	return array_reserve(&list->v, &list->cap, list->n, more, sizeof *list->v);
}

int slices_append(struct slices *list, struct slice slice)
{
	size_t bytes;

	if (slice.len == 0) {
		slice_unref(&slice);
		return 0;
	}
	if (!size_add(list->bytes, slice.len, &bytes) || slices_reserve(list, 1) < 0) {
		slice_unref(&slice);
		return -ENOMEM;
	}
	list->v[list->n++] = slice;
	list->bytes = bytes;
	return 0;
}

int slices_append_copy(struct slices *list, const void *data, size_t len)
{
	struct slice slice;

	if (len == 0)
		return 0;
	if (slice_copy(data, len, &slice) < 0)
		return -ENOMEM;
	return slices_append(list, slice);
}

/* The block at the end of list, if it is the list's alone; else NULL. */
static struct block_bytes *last_block(const struct slices *list)
{
	const struct slice *last = list->n ? &list->v[list->n - 1] : NULL;
	struct block_bytes *block;

	if (!last || !last->owner || last->owner->release != block_release ||
		atomic_load_explicit(&last->owner->refs, memory_order_acquire) != 1)
		return NULL;
	block = container_of(last->owner, struct block_bytes, owner);
	return last->data + last->len == block->data + block->used ? block : NULL;
}

/* A new block for len bytes and more, twice as large as the one before it. */
static int block_append(
	struct slices *list, const void *data, size_t len, const struct block_bytes *before)
{
	size_t cap = before ? 2 * before->cap : len;
	struct block_bytes *block;
	size_t size;

	if (cap > BLOCK_MAX_BYTES)
		cap = BLOCK_MAX_BYTES;
	if (cap < len)
		cap = len;
	if (!size_add(sizeof *block, cap, &size))
		return -ENOMEM;
	block = malloc(size);
	if (!block)
		return -ENOMEM;
	slice_owner_init(&block->owner, block_release);
	block->used = len;
	block->cap = cap;
	memcpy(block->data, data, len);
	return slices_append(
		list, (struct slice){.data = block->data, .len = len, .owner = &block->owner});
}

int slices_append_small(struct slices *list, const void *data, size_t len)
{
	struct block_bytes *block = last_block(list);
	size_t bytes;

	if (len == 0)
		return 0;
	if (!block || len > block->cap - block->used)
		return block_append(list, data, len, block);
	if (!size_add(list->bytes, len, &bytes))
		return -ENOMEM;
	memcpy(block->data + block->used, data, len);
	block->used += len;
	list->v[list->n - 1].len += len;
	list->bytes = bytes;
	return 0;
}

int slices_append_refs(struct slices *list, const struct slices *from)
{
	return slices_append_range(list, from, 0, from->bytes);
}

/* The slice in which offset lies, and where in it; offset is below list->bytes. */
static size_t slices_find(const struct slices *list, size_t offset, size_t *within_out)
{
	size_t i = 0;

	while (offset >= list->v[i].len)
		offset -= list->v[i++].len;
	*within_out = offset;
	return i;
}

int slices_append_range(struct slices *list, const struct slices *from, size_t offset, size_t len)
{
	size_t first, last, within, unused, bytes;

	if (offset > from->bytes || len > from->bytes - offset)
		return -EINVAL;
	if (len == 0)
		return 0;
	first = slices_find(from, offset, &within);
	last = slices_find(from, offset + len - 1, &unused);
	if (!size_add(list->bytes, len, &bytes) || slices_reserve(list, last - first + 1) < 0)
		return -ENOMEM;
	for (size_t i = first; i <= last; i++) {
		size_t part = from->v[i].len - within;

		if (part > len)
			part = len;
		list->v[list->n++] = slice_sub(from->v[i], within, part);
		len -= part;
		within = 0;
	}
	list->bytes = bytes;
	return 0;
}

int slices_move(struct slices *list, struct slices *from)
{
	size_t bytes;

	assert(list != from);
	if (from->n == 0)
		return 0;
	if (!size_add(list->bytes, from->bytes, &bytes) || slices_reserve(list, from->n) < 0)
		return -ENOMEM;
	memcpy(list->v + list->n, from->v, from->n * sizeof *from->v);
	list->n += from->n;
	list->bytes = bytes;
	from->n = 0; /* the references have moved */
	slices_done(from);
	return 0;
}

struct slices slices_take(struct slices *list)
{
	struct slices taken = *list;

	*list = (struct slices){0};
	return taken;
}

int slices_read(const struct slices *list, size_t offset, void *buffer, size_t len)
{
	uint8_t *to = buffer;
	size_t i, within;

	if (offset > list->bytes || len > list->bytes - offset)
		return -EINVAL;
	if (len == 0)
		return 0;
	for (i = slices_find(list, offset, &within); len > 0; i++) {
		size_t part = list->v[i].len - within;

		if (part > len)
			part = len;
		memcpy(to, list->v[i].data + within, part);
		to += part;
		len -= part;
		within = 0;
	}
	return 0;
}

int slices_flatten(const struct slices *list, struct slice *out)
{
	struct copied_bytes *copied;
	size_t size;

	if (list->n == 0) {
		*out = (struct slice){0};
		return 0;
	}
	if (list->n == 1) {
		*out = slice_ref(list->v[0]);
		return 0;
	}
	if (!size_add(sizeof *copied, list->bytes, &size))
		return -ENOMEM;
	copied = malloc(size);
	if (!copied)
		return -ENOMEM;
	slice_owner_init(&copied->owner, copied_release);
	slices_read(list, 0, copied->data, list->bytes);
	*out = (struct slice){.data = copied->data, .len = list->bytes, .owner = &copied->owner};
	return 0;
}

bool slices_equal(const struct slices *a, const struct slices *b)
{
	size_t i = 0, j = 0, in_a = 0, in_b = 0;

	if (a->bytes != b->bytes)
		return false;
	while (i < a->n) {
		size_t left_a = a->v[i].len - in_a;
		size_t left_b = b->v[j].len - in_b;
		size_t part = left_a < left_b ? left_a : left_b;

		if (memcmp(a->v[i].data + in_a, b->v[j].data + in_b, part) != 0)
			return false;
		in_a += part;
		in_b += part;
		if (in_a == a->v[i].len) {
			i++;
			in_a = 0;
		}
		if (in_b == b->v[j].len) {
			j++;
			in_b = 0;
		}
	}
	return true;
}

void slices_done(struct slices *list)
{
	for (size_t i = 0; i < list->n; i++)
		slice_unref(&list->v[i]);
	free(list->v);
	*list = (struct slices){0};
}
