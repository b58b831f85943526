#include "common/fab/unpack.h"

#include "common/base/cleanup.h"
#include "common/base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* The list: so much, and so much for each file (a hash has 64, a path seldom over 100). */
#define CONTENT_BYTES      (1U << 20)
#define CONTENT_LINE_BYTES 256

/* The directory that an archive is unpacked to. */
struct target {
	int dir;
	uint64_t dirs_left;
};

static void sha256_free_at_exit(struct sha256 **hash)
{
	sha256_free(*hash);
}

static int refuse(struct reason *why, const char *name, size_t len, const char *rule)
{
	char quoted[160];

	text_quote(name, len, quoted, sizeof quoted);
	return reason_code(why, -EBADMSG, "the FAB's file %s %s", quoted, rule);
}

static int io_failed(struct reason *why, int code, const char *name)
{
	const char *text = strerrordesc_np(-code);

	return reason_code(why, code, "cannot write the app's file %s: %s", name,
		text ? text : "unknown error");
}

/* ---- before anything is written ---- */

static int check_limits(
	const struct directory *directory, const struct fab_limits *limits, struct reason *why)
{
	uint64_t bytes = 0, files = 0;

	for (size_t i = 0; i < directory->n; i++) {
		const struct directory_entry *entry = &directory->v[i];

		bytes += entry->bytes; /* 16 bits of entries with 32 bits each */
		files += !entry->folder && !directory_entry_is(entry, BUNDLE_CONTENT);
	}
	if (files > limits->files_max)
		return reason_code(why, -EBADMSG, "the FAB has %llu files, at most %llu are taken",
			(unsigned long long)files, (unsigned long long)limits->files_max);
	if (bytes > limits->unpacked_max_bytes)
		return reason_code(why, -EBADMSG,
			"the FAB unpacks to %llu bytes, at most %llu are taken",
			(unsigned long long)bytes, (unsigned long long)limits->unpacked_max_bytes);
	return 0;
}

static int match(const struct directory *directory, struct content_list *list, struct reason *why)
{
	for (size_t i = 0; i < directory->n; i++) {
		const struct directory_entry *entry = &directory->v[i];
		struct content_line *line = content_find(list, entry->name, entry->name_len);

		if (line && line->bytes != entry->bytes)
			return refuse(
				why, entry->name, entry->name_len, "has another size than listed");
		if (line)
			line->seen = true;
		else if (!entry->folder && !directory_entry_is(entry, BUNDLE_CONTENT) &&
			 !directory_entry_is(entry, BUNDLE_PYPROJECT))
			return refuse(why, entry->name, entry->name_len, "is not listed");
	}
	for (size_t i = 0; i < list->n; i++)
		if (!list->v[i].seen)
			return refuse(
				why, list->v[i].path, list->v[i].path_len, "is listed but missing");
	return 0;
}

/* The list may leave it out. */
static int add_pyproject(struct bundle *bundle, struct content_list *list, struct reason *why)
{
	auto_(sha256_free_at_exit) struct sha256 *hash = NULL;
	auto_(text_done) struct text text = {0};
	char hex[SHA256_HEX_BYTES];
	int r = bundle_read(bundle, BUNDLE_PYPROJECT, FAB_PYPROJECT_MAX_BYTES, &text, why);

	if (r < 0)
		return r;
	hash = sha256_new();
	if (!hash)
		return -ENOMEM;
	sha256_add(hash, text.data, text.len);
	sha256_hex(hash, hex);
	content_add(list, BUNDLE_PYPROJECT, hex, text.len);
	return 0;
}

int unpack_check(struct bundle *bundle, const struct fab_limits *limits, struct content_list *out,
	struct reason *why)
{
	auto_(content_done) struct content_list list = {0};
	auto_(text_done) struct text text = {0};
	uint64_t files = limits->files_max;
	size_t len;
	int r = check_limits(bundle_directory(bundle), limits, why);

	if (r < 0)
		return r;
	if (files > UINT16_MAX)
		files = UINT16_MAX; /* more do not fit into an archive */
	r = bundle_read(
		bundle, BUNDLE_CONTENT, CONTENT_BYTES + files * CONTENT_LINE_BYTES, &text, why);
	if (r == 0)
		r = text_add(&text, "", 0); /* memory for an empty list too */
	if (r < 0)
		return r;
	len = text.len;
	char *bytes = text_take(&text);

	if (!bytes)
		return -ENOMEM;
	r = content_parse(bytes, len, files, &list, why);
	if (r == 0)
		r = match(bundle_directory(bundle), &list, why);
	if (r == 0 && !content_find(&list, BUNDLE_PYPROJECT, strlen(BUNDLE_PYPROJECT)))
		r = add_pyproject(bundle, &list, why);
	if (r < 0)
		return r;
	*out = list;
	list = (struct content_list){0};
	return 0;
}

/* ---- writing ---- */

/* Make all directories above the file. path is as before afterwards. */
static int make_parents(struct target *target, char *path, struct reason *why)
{
	for (char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		int r = 0;

		*slash = '\0';
		if (mkdirat(target->dir, path, 0755) == 0) {
			if (target->dirs_left-- == 0)
				r = reason_code(why, -EBADMSG, "the FAB has too many directories");
		} else if (errno == ENOTDIR) {
			r = refuse(why, path, strlen(path), "is below a file");
		} else if (errno != EEXIST) {
			r = io_failed(why, -errno, path);
		}
		*slash = '/';
		if (r < 0)
			return r;
	}
	return 0;
}

/* A new file. The descriptor, -EBADMSG, -errno. */
static int create(struct target *target, char *path, struct reason *why)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(target->dir, path, flags, 0644);

	if (fd < 0 && errno == ENOENT) {
		int r = make_parents(target, path, why);

		if (r < 0)
			return r;
		fd = openat(target->dir, path, flags, 0644);
	}
	if (fd >= 0)
		return fd;
	if (errno == ENOTDIR || errno == EEXIST || errno == EISDIR)
		return refuse(why, path, strlen(path), "is a file and a directory at once");
	return io_failed(why, -errno, path);
}

/* The bytes of the entry at hand to fd (-1: nowhere), their hash to hex. */
static int copy(struct bundle *bundle, int fd, char hex[SHA256_HEX_BYTES], const char *path,
	struct reason *why)
{
	auto_(sha256_free_at_exit) struct sha256 *hash = sha256_new();
	const void *data;
	size_t len;
	int r;

	if (!hash)
		return -ENOMEM;
	while ((r = bundle_block(bundle, &data, &len, why)) == 0) {
		if (len == 0)
			continue;
		sha256_add(hash, data, len);
		r = fd >= 0 ? fd_write_all(fd, data, len) : 0;
		if (r < 0)
			return io_failed(why, r, path);
	}
	if (r < 0)
		return r;
	sha256_hex(hash, hex);
	return 0;
}

static int unpack_one(struct target *target, struct bundle *bundle,
	const struct directory_entry *entry, const struct content_line *line, struct reason *why)
{
	static const char info[] = ".info/";
	auto_(close_at_exit) int fd = -1;
	char path[DIRECTORY_NAME_MAX_BYTES + 1], hex[SHA256_HEX_BYTES];
	int r;

	memcpy(path, entry->name, entry->name_len);
	path[entry->name_len] = '\0';
	if (strncmp(path, info, strlen(info)) != 0) {
		fd = create(target, path, why);
		if (fd < 0)
			return fd;
	}
	r = copy(bundle, fd, hex, path, why);
	if (r < 0)
		return r;
	if (line && strcmp(hex, line->hash) != 0)
		return refuse(why, path, entry->name_len, "has another hash than listed");
	/* The app's name must not reach the disk before its files do: a power cut would leave an
	 * app of empty files. */
	if (fd >= 0 && fsync(fd) < 0)
		return io_failed(why, -errno, path);
	return 0;
}

static int sync_directory(int dir, const char *path, struct reason *why)
{
	auto_(close_at_exit) int fd =
		openat(dir, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT) /* .info */
		return 0;
	return fd < 0 || fsync(fd) < 0 ? io_failed(why, -errno, path) : 0;
}

/* Is the path's part of len bytes a directory that the path before lies below, too? */
static bool is_known(const char *before, const char *path, size_t len)
{
	return strncmp(before, path, len) == 0 && (before[len] == '/' || before[len] == '\0');
}

/* The directories of all files, and those that they lie in. */
static int sync_directories(int dir, const struct content_list *list, struct reason *why)
{
	char before[DIRECTORY_NAME_MAX_BYTES + 1] = "", path[DIRECTORY_NAME_MAX_BYTES + 1];

	for (size_t i = 0; i < list->n; i++) {
		const struct content_line *line = &list->v[i];
		const char *slash = memrchr(line->path, '/', line->path_len);
		size_t len = slash ? (size_t)(slash - line->path) : 0;

		if (len == 0 || len > DIRECTORY_NAME_MAX_BYTES)
			continue;
		memcpy(path, line->path, len);
		for (size_t at = 1; at <= len; at++) {
			int r;

			if (at < len && line->path[at] != '/')
				continue;
			path[at] = '\0';
			r = is_known(before, path, at) ? 0 : sync_directory(dir, path, why);
			if (r < 0)
				return r;
			path[at] = at < len ? '/' : '\0';
		}
		memcpy(before, path, len + 1);
	}
	return fsync(dir) < 0 ? io_failed(why, -errno, ".") : 0;
}

int unpack_files(struct bundle *bundle, const struct content_list *list, int dir, uint64_t dirs_max,
	struct reason *why)
{
	struct target target = {.dir = dir, .dirs_left = dirs_max};
	const struct directory_entry *entry;
	int r = bundle_rewind(bundle, why);

	while (r == 0 && (r = bundle_next(bundle, &entry, why)) == 0) {
		const struct content_line *line = content_find(list, entry->name, entry->name_len);

		if (!entry->folder)
			r = unpack_one(&target, bundle, entry, line, why);
	}
	return r < 0 ? r : sync_directories(dir, list, why);
}
