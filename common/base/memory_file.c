/*
 * memory_file: written, not mapped, while it grows: a page that is written as a whole need not be
 * cleared before.
 */
#include "common/base/memory_file.h"

#include "common/base/cleanup.h"
#include "common/base/files.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct memory_file {
	int fd;
	uint64_t end_bytes;
	struct slice map; /* from the beginning; empty: none yet */
};

int memory_file_new(const char *name, struct memory_file **out)
{
	auto_(free_at_exit) struct memory_file *file = calloc(1, sizeof *file);

	if (!file)
		return -ENOMEM;
	file->end_bytes = MEMORY_FILE_ROOM_BYTES;
	file->fd = memfd_new(name);
	if (file->fd < 0)
		return file->fd;
	if (ftruncate(file->fd, (off_t)file->end_bytes) < 0) {
		int r = -errno;

		close_fd(&file->fd);
		return r;
	}
	*out = take_pointer(&file);
	return 0;
}

void memory_file_free(struct memory_file *file)
{
	if (!file)
		return;
	close_fd(&file->fd);
	slice_unref(&file->map);
	free(file);
}

int memory_file_write(struct memory_file *file, uint64_t offset, const struct slices *bytes)
{
	return fd_pwrite_slices(file->fd, bytes, offset);
}

int memory_file_append(struct memory_file *file, const struct slices *bytes, uint64_t *offset_out)
{
	uint64_t offset =
		(file->end_bytes + MEMORY_FILE_ALIGN - 1) / MEMORY_FILE_ALIGN * MEMORY_FILE_ALIGN;
	int r = memory_file_write(file, offset, bytes);

	if (r < 0) {
		(void)!ftruncate(file->fd, (off_t)file->end_bytes);
		return r;
	}
	/* A list without bytes writes nothing; the gap before it is made all the same. */
	if (bytes->bytes == 0 && ftruncate(file->fd, (off_t)offset) < 0)
		return -errno;
	file->end_bytes = offset + bytes->bytes;
	*offset_out = offset;
	return 0;
}

int memory_file_get(struct memory_file *file, uint64_t offset, size_t len, struct slice *out)
{
	struct slice map;
	int r;

	if (offset > file->end_bytes || len > file->end_bytes - offset)
		return -EINVAL;
	if (file->map.len < file->end_bytes) {
		r = slice_map(file->fd, (size_t)file->end_bytes, &map);
		if (r < 0)
			return r;
		slice_unref(&file->map);
		file->map = map;
	}
	*out = slice_sub(file->map, (size_t)offset, len);
	return 0;
}

bool memory_file_holds(
	const struct memory_file *file, const struct slices *bytes, uint64_t *offset_out)
{
	const uint8_t *begin = file->map.data;
	const uint8_t *at;

	if (!begin || bytes->n == 0)
		return false;
	at = bytes->v[0].data;
	for (size_t i = 0; i < bytes->n; i++) {
		if (bytes->v[i].owner != file->map.owner || bytes->v[i].data != at)
			return false;
		at += bytes->v[i].len;
	}
	*offset_out = (uint64_t)(bytes->v[0].data - begin);
	return *offset_out % MEMORY_FILE_ALIGN == 0;
}

uint64_t memory_file_bytes(const struct memory_file *file)
{
	return file->end_bytes;
}

int memory_file_fd(const struct memory_file *file)
{
	return file->fd;
}
