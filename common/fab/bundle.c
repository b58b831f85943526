#include "common/fab/bundle.h"

#include "common/base/cleanup.h"
#include "common/base/library.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>

#undef errno /* libarchive has a function of that name; nothing here reads the variable */

/* clang-format off */
#define ARCHIVE_FUNCTIONS(X) \
	X(archive, clear_error) \
	X(archive, entry_filetype) \
	X(archive, errno) \
	X(archive, error_string) \
	X(archive, read_data_block) \
	X(archive, read_free) \
	X(archive, read_new) \
	X(archive, read_next_header) \
	X(archive, read_open2) \
	X(archive, read_set_seek_callback) \
	X(archive, read_support_format_zip_seekable)
/* clang-format on */

LIBRARY_DECLARE(archive, ARCHIVE_FUNCTIONS);
LIBRARY_DEFINE(archive, ARCHIVE_FUNCTIONS, ARCHIVE_SONAME)

struct bundle {
	const struct slices *content;
	struct directory directory;
	struct archive *archive;
	size_t next;                       /* index of the entry that comes next */
	const struct directory_entry *now; /* the one at hand */
	uint64_t unpacked_bytes;           /* of it, so far */

	/* libarchive reads at this byte within the slice of that index. */
	size_t slice;
	size_t at;
	int64_t position;
};

/* ---- libarchive's view of the slices, which ends before the archive's comment: it looks for the
 * directory in the last 16 KiB only ---- */

static void go_to(struct bundle *bundle, int64_t position)
{
	size_t left = (size_t)position;

	bundle->position = position;
	for (bundle->slice = 0; bundle->slice < bundle->content->n; bundle->slice++) {
		if (left < bundle->content->v[bundle->slice].len)
			break;
		left -= bundle->content->v[bundle->slice].len;
	}
	bundle->at = left;
}

static la_ssize_t on_read(struct archive *archive, void *arg, const void **data_out)
{
	struct bundle *bundle = arg;
	const struct slice *slice;
	size_t len;

	(void)archive;
	if ((size_t)bundle->position >= bundle->directory.archive_bytes)
		return 0;
	slice = &bundle->content->v[bundle->slice];
	*data_out = slice->data + bundle->at;
	len = slice->len - bundle->at;
	if (len > bundle->directory.archive_bytes - (size_t)bundle->position)
		len = bundle->directory.archive_bytes - (size_t)bundle->position;
	bundle->slice++;
	bundle->at = 0;
	bundle->position += (int64_t)len;
	return (la_ssize_t)len;
}

static la_int64_t on_skip(struct archive *archive, void *arg, la_int64_t request)
{
	struct bundle *bundle = arg;
	int64_t left = (int64_t)bundle->directory.archive_bytes - bundle->position;

	(void)archive;
	if (request < 0)
		return 0;
	if (request > left)
		request = left;
	go_to(bundle, bundle->position + request);
	return request;
}

static la_int64_t on_seek(struct archive *archive, void *arg, la_int64_t offset, int whence)
{
	struct bundle *bundle = arg;
	int64_t size = (int64_t)bundle->directory.archive_bytes, base = 0;

	(void)archive;
	if (whence == SEEK_CUR)
		base = bundle->position;
	else if (whence == SEEK_END)
		base = size;
	if (offset < -base || offset > size - base)
		return ARCHIVE_FATAL;
	go_to(bundle, base + offset);
	return bundle->position;
}

/* ---- entries ---- */

static int failed(const struct bundle *bundle, struct reason *why)
{
	const char *text = archive_lib.error_string(bundle->archive);
	char quoted[160];

	if (archive_lib.errno(bundle->archive) == ENOMEM)
		return -ENOMEM;
	if (!bundle->now)
		return reason_code(why, -EBADMSG, "the FAB's zip archive is damaged (%s)",
			text ? text : "no cause given");
	text_quote(bundle->now->name, bundle->now->name_len, quoted, sizeof quoted);
	return reason_code(why, -EBADMSG, "the FAB's entry %s is damaged (%s)", quoted,
		text ? text : "it is not as announced");
}

void bundle_prepare(void)
{
	(void)archive_lib_load(NULL);
}

int bundle_open(const struct slices *content, struct bundle **out, struct reason *why)
{
	auto_(bundle_free) struct bundle *bundle = calloc(1, sizeof *bundle);
	int r = archive_lib_load(why);

	if (!bundle)
		return -ENOMEM;
	bundle->content = content;
	if (r == 0)
		r = directory_read(content, &bundle->directory, why);
	if (r < 0)
		return r;
	*out = take_pointer(&bundle);
	return 0;
}

void bundle_free(struct bundle **bundle)
{
	if (!*bundle)
		return;
	if ((*bundle)->archive)
		archive_lib.read_free((*bundle)->archive);
	directory_done(&(*bundle)->directory);
	free(*bundle);
	*bundle = NULL;
}

const struct directory *bundle_directory(const struct bundle *bundle)
{
	return &bundle->directory;
}

int bundle_rewind(struct bundle *bundle, struct reason *why)
{
	archive_lib.read_free(bundle->archive); /* NULL is fine */
	bundle->next = 0;
	bundle->now = NULL;
	go_to(bundle, 0);
	bundle->archive = archive_lib.read_new();
	if (!bundle->archive)
		return -ENOMEM;
	if (archive_lib.read_support_format_zip_seekable(bundle->archive) != ARCHIVE_OK ||
		archive_lib.read_set_seek_callback(bundle->archive, on_seek) != ARCHIVE_OK ||
		archive_lib.read_open2(bundle->archive, bundle, NULL, on_read, on_skip, NULL) !=
			ARCHIVE_OK)
		return failed(bundle, why);
	return 0;
}

int bundle_next(struct bundle *bundle, const struct directory_entry **out, struct reason *why)
{
	struct archive_entry *entry;
	int r;

	bundle->now = NULL;
	if (bundle->next == bundle->directory.n)
		return 1;
	r = archive_lib.read_next_header(bundle->archive, &entry);
	bundle->now = &bundle->directory.v[bundle->next++];
	bundle->unpacked_bytes = 0;
	/* A warning is about the name in the locale's characters; names come from the directory
	 * here. */
	if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
		return failed(bundle, why);
	if (archive_lib.entry_filetype(entry) != (bundle->now->folder ? AE_IFDIR : AE_IFREG)) {
		archive_lib.clear_error(bundle->archive);
		return failed(bundle, why);
	}
	*out = bundle->now;
	return 0;
}

int bundle_block(struct bundle *bundle, const void **data_out, size_t *len_out, struct reason *why)
{
	const void *data = NULL;
	size_t len = 0;
	la_int64_t offset;
	int r = archive_lib.read_data_block(bundle->archive, &data, &len, &offset);

	if (r != ARCHIVE_OK && r != ARCHIVE_EOF)
		return failed(bundle, why);
	if (r == ARCHIVE_EOF)
		len = 0;
	if (len > bundle->now->bytes - bundle->unpacked_bytes ||
		(r == ARCHIVE_EOF && bundle->unpacked_bytes != bundle->now->bytes)) {
		archive_lib.clear_error(bundle->archive);
		return failed(bundle, why);
	}
	bundle->unpacked_bytes += len;
	*data_out = data;
	*len_out = len;
	return r == ARCHIVE_EOF;
}

/* Read all bytes of the entry at hand. */
static int read_all(struct bundle *bundle, struct text *out, struct reason *why)
{
	const void *data;
	size_t len;
	int r;

	while ((r = bundle_block(bundle, &data, &len, why)) == 0) {
		r = text_add(out, data, len);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : 0;
}

int bundle_read(struct bundle *bundle, const char *name, uint64_t max_bytes, struct text *out,
	struct reason *why)
{
	const struct directory_entry *wanted = directory_find(&bundle->directory, name);
	const struct directory_entry *entry;
	int r;

	if (!wanted)
		return reason_code(why, -EBADMSG, "the FAB has no %s", name);
	if (wanted->bytes > max_bytes)
		return reason_code(why, -EBADMSG,
			"the FAB's %s has %u bytes, at most %llu are read", name, wanted->bytes,
			(unsigned long long)max_bytes);
	r = bundle_rewind(bundle, why);
	while (r == 0 && (r = bundle_next(bundle, &entry, why)) == 0)
		if (entry == wanted)
			return read_all(bundle, out, why);
	return r < 0 ? r : -EBADMSG;
}
