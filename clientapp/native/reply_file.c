/*
 * The file grows by areas, each mapped on its own: large arrays have one each, small ones share
 * some. An area that is not used any more is a hole in the file.
 */
#include "clientapp/native/reply_file.h"

#include "clientapp/form/form_writer.h"
#include "common/base/cleanup.h"
#include "common/base/files.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define AREA_BYTES  (256 << 10)      /* of one that arrays share */
#define SHARE_BYTES (AREA_BYTES / 4) /* larger arrays have one of their own */
#define DATA_START  FORM_ALIGN       /* offset of the first array byte, behind the header */

struct area {
	LIST_ENTRY(area) link;
	struct reply_file *file;
	uint8_t *data;
	size_t bytes;
	uint64_t offset; /* in the file */
	size_t used;     /* by arrays, the last one's gap included */
	unsigned arrays; /* that are there */
};

/* Memory that was given out. */
struct piece {
	struct slice_owner owner;
	struct area *area;
};

struct reply_file {
	int fd;
	pid_t pid;         /* a forked child has the file, too, and must leave it alone */
	struct slice task; /* mapping of its beginning */
	uint64_t end;      /* of the file */
	unsigned refs; /* the caller's, and one for each area: pieces may outlive the caller's */
	bool sealed;
	pthread_mutex_t lock;
	LIST_HEAD(, area) areas; /* the one that is shared first, if there is one with room */
	struct slices copied;    /* into the file, by reply_file_write() */
};

static uint64_t round_up(uint64_t number, uint64_t to)
{
	return (number + to - 1) / to * to;
}

/* ---- the file ---- */

/* The limit that the app may have set for its own files is not meant for this one. What it was. */
static struct rlimit limit_raise(void)
{
	struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY}, raised;

	getrlimit(RLIMIT_FSIZE, &limit);
	raised = (struct rlimit){limit.rlim_max, limit.rlim_max};
	setrlimit(RLIMIT_FSIZE, &raised);
	return limit;
}

static int resize(int fd, uint64_t bytes)
{
	const struct rlimit limit = limit_raise();
	int r = ftruncate(fd, (off_t)bytes) < 0 ? -errno : 0;

	setrlimit(RLIMIT_FSIZE, &limit);
	return r;
}

/* Holding no lock: nobody else has it. */
static void file_release(struct reply_file *file)
{
	close_fd(&file->fd);
	slice_unref(&file->task);
	pthread_mutex_destroy(&file->lock);
	free(file);
}

/* Unlock after refs have changed. */
static void file_unlock(struct reply_file *file)
{
	bool last = file->refs == 0;

	pthread_mutex_unlock(&file->lock);
	if (last)
		file_release(file);
}

/* ---- areas, with the lock held ---- */

/* A new one behind the end of the file. */
static int area_new(struct reply_file *file, size_t bytes, struct area **out)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t offset = round_up(file->end, page);
	auto_(free_at_exit) struct area *area = calloc(1, sizeof *area);
	int r;

	if (!area)
		return -ENOMEM;
	if (bytes > INT64_MAX - 2 * page - offset)
		return -EFBIG;
	bytes = round_up(bytes, page);
	r = resize(file->fd, offset + bytes);
	if (r)
		return r;
	/* All of it will be read in the end: cheaper at once than page by page. */
	area->data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file->fd,
		(off_t)offset);
	if (area->data == MAP_FAILED) {
		resize(file->fd, file->end);
		return -ENOMEM;
	}
	/* A child of the app's would keep the file from being sealed. */
	madvise(area->data, bytes, MADV_DONTFORK);
	area->file = file;
	area->bytes = bytes;
	area->offset = offset;
	file->end = offset + bytes;
	file->refs++;
	LIST_INSERT_HEAD(&file->areas, area, link);
	*out = take_pointer(&area);
	return 0;
}

static void area_free(struct area *area)
{
	struct reply_file *file = area->file;

	munmap(area->data, area->bytes);
	/* Nobody reads it: its memory can serve others. */
	if (!file->sealed && area->offset + area->bytes == file->end &&
		resize(file->fd, area->offset) == 0)
		file->end = area->offset;
	else if (!file->sealed)
		fallocate(file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)area->offset,
			(off_t)area->bytes);
	LIST_REMOVE(area, link);
	file->refs--;
	free(area);
}

static void piece_release(struct slice_owner *owner)
{
	struct piece *piece = container_of(owner, struct piece, owner);
	struct area *area = piece->area;
	struct reply_file *file = area->file;

	free(piece);
	if (getpid() != file->pid)
		return;
	pthread_mutex_lock(&file->lock);
	if (--area->arrays == 0)
		area_free(area);
	file_unlock(file);
}

/* An area with room for bytes, a multiple of FORM_ALIGN. */
static int area_with_room(struct reply_file *file, size_t bytes, struct area **out)
{
	struct area *first = LIST_FIRST(&file->areas);
	struct area *second;
	int r;

	if (bytes > SHARE_BYTES) {
		r = area_new(file, bytes, out);
		/* The shared one stays in front. */
		if (r == 0 && first && first->bytes - first->used >= FORM_ALIGN) {
			second = *out;
			LIST_REMOVE(second, link);
			LIST_INSERT_AFTER(first, second, link);
		}
		return r;
	}
	if (first && first->bytes - first->used >= bytes) {
		*out = first;
		return 0;
	}
	return area_new(file, AREA_BYTES, out);
}

int reply_file_memory(void *arg, size_t bytes, struct slice *out)
{
	struct reply_file *file = arg;
	size_t room = bytes > SIZE_MAX - FORM_ALIGN ? 0 : round_up(bytes, FORM_ALIGN);
	struct piece *piece = malloc(sizeof *piece);
	struct area *area;
	int r = !piece ? -ENOMEM : room < bytes ? -EFBIG : 0;

	if (room == 0)
		room = FORM_ALIGN;
	if (r == 0) {
		pthread_mutex_lock(&file->lock);
		r = file->sealed ? -EPERM : area_with_room(file, room, &area);
		if (r == 0) {
			*out = (struct slice){.data = area->data + area->used,
				.len = bytes,
				.owner = &piece->owner};
			area->used += room;
			area->arrays++;
		}
		pthread_mutex_unlock(&file->lock);
	}
	if (r) {
		free(piece);
		return r;
	}
	slice_owner_init(&piece->owner, piece_release);
	piece->area = area;
	return 0;
}

/* ---- life ---- */

int reply_file_new(int fd, const struct slice *task, struct reply_file **out)
{
	auto_(close_at_exit) int taken = fd;
	struct reply_file *file = calloc(1, sizeof *file);
	struct stat st;
	int r = !file ? -ENOMEM : fstat(fd, &st) < 0 ? -errno : 0;

	if (r) {
		free(file);
		return r;
	}
	*file = (struct reply_file){.fd = take_fd(&taken),
		.pid = getpid(),
		.task = slice_ref(*task),
		.end = (uint64_t)st.st_size,
		.refs = 1,
		.lock = PTHREAD_MUTEX_INITIALIZER};
	*out = file;
	return 0;
}

void reply_file_free(struct reply_file *file)
{
	if (!file)
		return;
	slices_done(&file->copied);
	pthread_mutex_lock(&file->lock);
	file->refs--;
	file_unlock(file);
}

/* ---- the reply ---- */

/* Is the piece of the file that is mapped at begin the place of these bytes? */
static bool lies_in(const uint8_t *begin, size_t len, const struct slices *data)
{
	const uint8_t *at = data->v[0].data;

	if ((uintptr_t)at < (uintptr_t)begin || (uintptr_t)at - (uintptr_t)begin > len ||
		data->bytes > len - (size_t)(at - begin) || (size_t)(at - begin) % FORM_ALIGN)
		return false;
	for (size_t i = 0; i < data->n; i++) {
		if (data->v[i].data != at)
			return false;
		at += data->v[i].len;
	}
	return true;
}

/* Find where in the file the bytes lie; false: somewhere else. */
static bool find(struct reply_file *file, const struct slices *data, uint64_t *offset_out)
{
	const struct area *area;

	if (lies_in(file->task.data, file->task.len, data)) {
		*offset_out = (uint64_t)(data->v[0].data - file->task.data);
		return *offset_out >= DATA_START;
	}
	LIST_FOREACH(area, &file->areas, link)
	{
		if (lies_in(area->data, area->bytes, data)) {
			*offset_out = area->offset + (uint64_t)(data->v[0].data - area->data);
			return true;
		}
	}
	return false;
}

static int copy(struct reply_file *file, const struct slices *data, uint64_t *offset_out)
{
	struct slices one = {0};
	struct slice room;
	int r = reply_file_memory(file, data->bytes, &room);

	if (r)
		return r;
	/* Memory that was given out may be written to as long as it is held. */
	r = slices_read(data, 0, (uint8_t *)(uintptr_t)room.data, data->bytes);
	if (r == 0)
		r = slices_append(&one, slice_ref(room));
	if (r == 0 && !find(file, &one, offset_out))
		r = -EINVAL;
	slices_done(&one);
	/* Kept until the file is sealed. */
	if (r == 0)
		return slices_append(&file->copied, room);
	slice_unref(&room);
	return r;
}

static int place(void *arg, const struct slices *data, uint64_t *offset_out)
{
	struct reply_file *file = arg;
	uint64_t offset = DATA_START;
	int r = 0;

	if (data->bytes && !find(file, data, &offset))
		r = copy(file, data, &offset);
	if (r == 0)
		*offset_out = offset - DATA_START;
	return r;
}

static void put_reply(struct form_writer *writer, const struct reply *reply)
{
	form_put_u8(writer, FORM_OUTCOME_CONTENT);
	form_put_u64(writer, 0);
	form_put_string(writer, ""); /* no reason */
	form_put_string(writer, ""); /* no traceback */
	form_put_string(writer, ""); /* metadata: nothing of it is the app's to choose */
	form_put_double(writer, 0);
	form_put_string(writer, "");
	form_put_records(writer, reply->content);
	form_put_u8(writer, 1);
	form_put_records(writer, reply->state);
	form_put_values(writer, reply->node_config);
	form_put_values(writer, reply->run_config);
}

/* Head and header go where no array is. */
static int write_head(struct reply_file *file, const struct text *head)
{
	struct form_header header = {.magic = {'F', 'L', 'W', 'A'},
		.version = htole16(APP_FORM_VERSION),
		.content = htole16(FORM_REPLY),
		.head_start = htole64(file->end),
		.head_bytes = htole64(head->len),
		.data_start = htole64(DATA_START)};
	auto_(slices_done) struct slices bytes = {0}, first = {0};
	const struct rlimit limit = limit_raise();
	int r = slices_append(&bytes, slice_static(head->data, head->len));

	if (r == 0)
		r = slices_append(&first, slice_static(&header, sizeof header));
	if (r == 0)
		r = fd_pwrite_slices(file->fd, &bytes, file->end);
	if (r == 0)
		r = fd_pwrite_slices(file->fd, &first, 0);
	if (r == 0)
		file->end += head->len;
	setrlimit(RLIMIT_FSIZE, &limit);
	return r;
}

/* A file that somebody can write to by a mapping cannot be sealed: what is mapped becomes our own
 * copy, page by page when it is written to. */
static int seal(struct reply_file *file)
{
	const struct area *area;

	LIST_FOREACH(area, &file->areas, link)
	{
		if (mmap(area->data, area->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED,
			    file->fd, (off_t)area->offset) == MAP_FAILED)
			return -errno;
	}
	file->sealed = true;
	return fcntl(file->fd, F_ADD_SEALS,
		       F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0
		       ? -errno
		       : 0;
}

int reply_file_write(struct reply_file *file, const struct reply *reply, uint64_t *bytes_out)
{
	auto_(form_writer_done) struct form_writer writer = {.place = place, .arg = file};
	int r;

	put_reply(&writer, reply);
	r = writer.error;
	if (r == 0) {
		pthread_mutex_lock(&file->lock);
		r = write_head(file, &writer.head);
		if (r == 0)
			r = seal(file);
		pthread_mutex_unlock(&file->lock);
	}
	if (r == 0)
		*bytes_out = file->end;
	return r;
}
