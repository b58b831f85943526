/*
 * spool_file: one descriptor a set, however many objects it takes.
 */
#include "supernode/store/spool_file.h"

#include "common/base/cleanup.h"
#include "common/base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define DIR_MODE 0700

/* How many keep it: the file, and each mapping, which may end on any thread. */
struct spool_users {
	atomic_uint n;
};

struct mapping {
	struct slice_owner owner;
	struct spool_users *users;
	void *data;
	size_t len;
};

void spool_file_init(struct spool_file *file)
{
	*file = (struct spool_file){.fd = -1};
}

static void users_leave(struct spool_users *users)
{
	if (users && atomic_fetch_sub_explicit(&users->n, 1, memory_order_acq_rel) == 1)
		free(users);
}

/* Some file systems know no O_TMPFILE: the name is there for a moment. */
static int open_named(const char *dir)
{
	auto_(free_at_exit) char *path = path_join(dir, "objects.XXXXXX");
	int fd;

	if (!path)
		return -ENOMEM;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	unlink(path);
	return fd;
}

static int open_unnamed(const char *dir)
{
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);

	if (fd >= 0)
		return fd;
	/* EISDIR: a kernel that does not know the flag. */
	return errno == EOPNOTSUPP || errno == EISDIR ? open_named(dir) : -errno;
}

static int file_open(struct spool_file *file, const char *dir)
{
	auto_(free_at_exit) struct spool_users *users = malloc(sizeof *users);
	int fd = users ? open_unnamed(dir) : -ENOMEM;

	if (fd == -ENOENT) {
		int r = dir_make(dir, DIR_MODE);

		fd = r < 0 ? r : open_unnamed(dir);
	}
	if (fd < 0)
		return fd;
	atomic_init(&users->n, 1);
	file->users = take_pointer(&users);
	file->fd = fd;
	return 0;
}

int spool_file_append(struct spool_file *file, const char *dir, const struct slices *content,
	uint64_t *offset_out, struct reason *why)
{
	int r = file->fd < 0 ? file_open(file, dir) : 0;

	if (r < 0)
		return reason_code(why, r, "cannot make a file for objects: %s", strerror(-r));
	r = fd_pwrite_slices(file->fd, content, file->end_bytes);
	if (r < 0) {
		/* Bytes that were written take room: cut them off, else the next put writes over
		 * them. */
		(void)!ftruncate(file->fd, (off_t)file->end_bytes);
		return reason_code(why, r, "cannot write an object of %zu bytes to a file: %s",
			content->bytes, strerror(-r));
	}
	*offset_out = file->end_bytes;
	file->end_bytes += content->bytes;
	return 0;
}

static void mapping_release(struct slice_owner *owner)
{
	struct mapping *mapping = container_of(owner, struct mapping, owner);

	munmap(mapping->data, mapping->len);
	users_leave(mapping->users);
	free(mapping);
}

int spool_file_map(const struct spool_file *file, uint64_t offset, size_t len, struct slice *out)
{
	/* A mapping begins with a page. */
	size_t before = (size_t)(offset % (uint64_t)sysconf(_SC_PAGESIZE));
	struct mapping *mapping = malloc(sizeof *mapping);

	if (!mapping)
		return -ENOMEM;
	mapping->len = before + len;
	mapping->data =
		mmap(NULL, mapping->len, PROT_READ, MAP_SHARED, file->fd, (off_t)(offset - before));
	if (mapping->data == MAP_FAILED) {
		int r = -errno;

		free(mapping);
		return r;
	}
	slice_owner_init(&mapping->owner, mapping_release);
	mapping->users = file->users;
	atomic_fetch_add_explicit(&file->users->n, 1, memory_order_relaxed);
	*out = (struct slice){.data = (const uint8_t *)mapping->data + before,
		.len = len,
		.owner = &mapping->owner};
	return 0;
}

uint64_t spool_file_size(const struct spool_file *file)
{
	struct stat st;

	return file->fd >= 0 && fstat(file->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

bool spool_file_unused(const struct spool_file *file)
{
	return file->fd >= 0 && atomic_load_explicit(&file->users->n, memory_order_acquire) == 1;
}

void spool_file_move(struct spool_file *from, struct spool_file *to)
{
	*to = (struct spool_file){.fd = take_fd(&from->fd), .users = from->users};
	spool_file_init(from);
}

void spool_file_done(struct spool_file *file)
{
	close_fd(&file->fd);
	users_leave(file->users);
	file->users = NULL;
	file->end_bytes = 0;
}
