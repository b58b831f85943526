/*
 * spool: the sums over all sets.
 */
#include "supernode/store/spool_internal.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

int spool_new(struct loop *loop, const char *dir, uint64_t memory_max_bytes, struct spool **out)
{
	auto_(free_at_exit) struct spool *spool = calloc(1, sizeof *spool);

	if (!spool)
		return -ENOMEM;
	spool->dir = strdup(dir);
	if (!spool->dir)
		return -ENOMEM;
	spool->loop = loop;
	spool->memory_max_bytes = memory_max_bytes;
	spool_file_init(&spool->spare);
	*out = take_pointer(&spool);
	return 0;
}

void spool_free(struct spool *spool)
{
	if (!spool)
		return;
	assert(spool->memory_bytes == 0 && spool->file_bytes == 0 && spool->file_coming_bytes == 0);
	spool_file_done(&spool->spare);
	timer_free(spool->trim);
	free(spool->dir);
	free(spool);
}

void spool_trim(struct spool *spool)
{
	spool_file_done(&spool->spare);
}

static void trim_fire(void *arg)
{
	spool_trim(arg);
}

/* The memory of a file that lies in memory can be had back by giving up the file only. */
static bool is_in_memory(int fd)
{
	struct statfs fs;

	return fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == TMPFS_MAGIC;
}

void spool_trim_later(struct spool *spool, int64_t after_ms)
{
	if (is_in_memory(spool->spare.fd)) {
		spool_trim(spool);
		return;
	}
	if (!spool->trim)
		spool->trim = timer_new(spool->loop, trim_fire, spool);
	if (spool->trim)
		timer_set(spool->trim, clock_after(clock_now_ms(), after_ms));
	else
		spool_trim(spool);
}

uint64_t spool_take_spare(struct spool *spool, struct spool_file *file)
{
	uint64_t room;

	if (spool->trim)
		timer_set(spool->trim, CLOCK_NEVER);
	if (spool_file_unused(&spool->spare))
		spool_file_move(&spool->spare, file);
	spool_file_done(&spool->spare);
	room = spool_file_size(file);
	spool->file_room_bytes += room;
	return room;
}

void spool_leave_room(struct spool *spool, uint64_t room)
{
	spool->file_room_bytes -= room;
}

void spool_give_spare(struct spool *spool, struct spool_file *file)
{
	if (file->fd >= 0 && !spool_file_unused(&spool->spare)) {
		spool_file_done(&spool->spare);
		spool_file_move(file, &spool->spare);
	}
	spool_file_done(file);
}

void spool_set_file_max(struct spool *spool, uint64_t bytes)
{
	spool->file_max_bytes = bytes;
}

/* Half of what is free, but for ours bytes, where the files are made; the directory itself may not
 * be there yet. */
static uint64_t half_of_free(const char *dir, uint64_t ours)
{
	auto_(free_at_exit) char *path = strdup(dir);
	struct statvfs fs;

	while (path && statvfs(path, &fs) < 0) {
		char *slash = strrchr(path, '/');

		if (errno != ENOENT || !slash || slash == path)
			return UINT64_MAX; /* whoever writes will see */
		*slash = '\0';
	}
	return path ? ((uint64_t)fs.f_bavail * fs.f_frsize + ours) / 2 : UINT64_MAX;
}

/* Do bytes fit into what max leaves? */
static bool fits(uint64_t bytes, uint64_t used, uint64_t max)
{
	return used <= max && bytes <= max - used;
}

/* A file that was taken over takes as much of the disk as before, until the set is larger. */
int spool_take_file(struct spool *spool, uint64_t bytes, uint64_t *room, struct reason *why)
{
	uint64_t used = spool->file_bytes + spool->file_coming_bytes;
	uint64_t spare = spool_file_size(&spool->spare);
	uint64_t over = bytes < *room ? bytes : *room;
	uint64_t max = spool->file_max_bytes;

	if (max == 0 && used == 0)
		spool->file_max_found_bytes =
			half_of_free(spool->dir, spool->file_room_bytes + spare);
	if (max == 0)
		max = spool->file_max_found_bytes;
	if (bytes > over && !fits(bytes - over, used + spool->file_room_bytes + spare, max))
		spool_trim(spool);
	if (!fits(bytes, used, max) ||
		(bytes > over && !fits(bytes - over, used + spool->file_room_bytes, max)))
		return reason_code(why, -EDQUOT,
			"an object of %" PRIu64
			" bytes does not fit into the files for objects: %" PRIu64
			" of at most %" PRIu64 " bytes are used (--spool-max)",
			bytes, used, max);
	spool->file_coming_bytes += bytes;
	spool->file_room_bytes -= over;
	*room -= over;
	return 0;
}

uint64_t spool_memory_bytes(const struct spool *spool)
{
	return spool->memory_bytes;
}

uint64_t spool_file_bytes(const struct spool *spool)
{
	return spool->file_bytes;
}

uint64_t spool_passed_bytes(const struct spool *spool)
{
	return spool->passed_bytes;
}

bool spool_take_memory(struct spool *spool, uint64_t bytes)
{
	spool->passed_bytes += bytes;
	/* A root may have taken more than there was. */
	if (spool->memory_bytes > spool->memory_max_bytes ||
		bytes > spool->memory_max_bytes - spool->memory_bytes)
		return false;
	spool->memory_bytes += bytes;
	return true;
}
