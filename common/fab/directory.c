#include "common/fab/directory.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/fab/fab.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define END_BYTES        22 /* end of central directory, without a comment */
#define LOCATOR_BYTES    20 /* what zip64 puts before it */
#define CENTRAL_BYTES    46
#define LOCAL_BYTES      30
#define METHOD_STORED    0
#define METHOD_DEFLATED  8
#define FLAG_ENCRYPTED   (0x0001 | 0x0040 | 0x2000) /* data, strongly, the directory itself */
#define FLAG_SIZE_LATER  0x0008                     /* local header without sizes */
#define RATIO_FREE_BYTES (1U << 20)

#define QUOTED_BYTES 160

/* The place of the directory, by the record at the end. */
struct end {
	size_t start;
	size_t len;
	size_t entries;
	size_t end; /* of the archive, but for its comment */
};

static uint16_t le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t le32(const uint8_t *p)
{
	return le16(p) | (uint32_t)le16(p + 2) << 16;
}

static int refuse(struct reason *why, const struct directory_entry *entry, const char *rule)
{
	char quoted[QUOTED_BYTES];

	text_quote(entry->name, entry->name_len, quoted, sizeof quoted);
	return reason_code(why, -EBADMSG, "the FAB's entry %s %s", quoted, rule);
}

static bool component_ok(const char *name, size_t len)
{
	if (len == 0 || len > NAME_MAX)
		return false;
	return !(len <= 2 && memcmp(name, "..", len) == 0);
}

static bool path_stays_inside(const char *name, size_t len)
{
	const char *end = name + len, *slash;

	/* A folder's name has one slash at its end. */
	if (len > 0 && name[len - 1] == '/')
		end--;
	while ((slash = memchr(name, '/', (size_t)(end - name)))) {
		if (!component_ok(name, (size_t)(slash - name)))
			return false;
		name = slash + 1;
	}
	return component_ok(name, (size_t)(end - name));
}

static int check_name(const struct directory_entry *entry, struct reason *why)
{
	if (entry->name_len > DIRECTORY_NAME_MAX_BYTES)
		return refuse(why, entry, "has a name that is too long");
	if (!utf8_valid(entry->name, entry->name_len))
		return refuse(why, entry, "has a name that is not UTF-8");
	for (size_t i = 0; i < entry->name_len; i++) {
		unsigned char c = (unsigned char)entry->name[i];

		if (c < 0x20 || c == 0x7f)
			return refuse(why, entry, "has a control character in its name");
		if (c == '\\')
			return refuse(why, entry, "has a backslash in its name");
	}
	if (!path_stays_inside(entry->name, entry->name_len))
		return refuse(why, entry, "has a path that could leave the app's directory");
	return 0;
}

static int check_kind(const struct directory_entry *entry, uint32_t attributes, struct reason *why)
{
	uint32_t type = attributes >> 16 & S_IFMT;

	/* Python's zipfile leaves the type out; what sets it means it. */
	if (type != 0 && type != (entry->folder ? S_IFDIR : S_IFREG))
		return refuse(why, entry, "is a link, a special file or not what its name says");
	return 0;
}

static int check_sizes(const struct directory_entry *entry, struct reason *why)
{
	if (entry->offset == UINT32_MAX || entry->packed_bytes == UINT32_MAX ||
		entry->bytes == UINT32_MAX)
		return refuse(why, entry, "is in zip64 format");
	if (entry->method != METHOD_STORED && entry->method != METHOD_DEFLATED)
		return refuse(why, entry, "is neither stored nor deflated");
	if (entry->method == METHOD_STORED && entry->packed_bytes != entry->bytes)
		return refuse(why, entry, "is stored with another size than its own");
	if (entry->folder && entry->bytes != 0)
		return refuse(why, entry, "is a directory with contents");
	if (entry->bytes > RATIO_FREE_BYTES && entry->bytes / FAB_RATIO_MAX > entry->packed_bytes)
		return refuse(why, entry, "unpacks to far more than its packed size");
	return 0;
}

/* The local header must agree with it, because an unpacker goes by that. */
static int check_local(const struct slices *content, const struct directory_entry *entry,
	size_t central, size_t *end_out, struct reason *why)
{
	uint8_t head[LOCAL_BYTES];
	char name[DIRECTORY_NAME_MAX_BYTES];
	size_t data = (size_t)entry->offset + LOCAL_BYTES + entry->name_len;

	if (data > central || slices_read(content, entry->offset, head, sizeof head) < 0 ||
		slices_read(content, entry->offset + LOCAL_BYTES, name, entry->name_len) < 0)
		return refuse(why, entry, "lies outside the archive");
	data += le16(head + 28);
	if (memcmp(head, "PK\3\4", 4) != 0 || le16(head + 6) & FLAG_ENCRYPTED ||
		le16(head + 8) != entry->method || le16(head + 26) != entry->name_len ||
		memcmp(name, entry->name, entry->name_len) != 0)
		return refuse(why, entry, "has a damaged header");
	if (!(le16(head + 6) & FLAG_SIZE_LATER) &&
		(le32(head + 18) != entry->packed_bytes || le32(head + 22) != entry->bytes) &&
		!(le32(head + 18) == UINT32_MAX && le32(head + 22) == UINT32_MAX))
		return refuse(why, entry, "has two different sizes");
	if (data > central || entry->packed_bytes > central - data)
		return refuse(why, entry, "lies outside the archive");
	*end_out = data + entry->packed_bytes;
	return 0;
}

/* Find the beginning of the archive's last record; a comment may follow it. 0, -ENOMEM, -EBADMSG.
 */
static int find_end(const struct slices *content, size_t *at_out, struct reason *why)
{
	size_t got =
		content->bytes < END_BYTES + UINT16_MAX ? content->bytes : END_BYTES + UINT16_MAX;
	auto_(free_at_exit) uint8_t *tail = malloc(got + 1);

	if (!tail)
		return -ENOMEM;
	if (slices_read(content, content->bytes - got, tail, got) == 0 && got >= END_BYTES) {
		for (size_t at = got - END_BYTES + 1; at-- > 0;) {
			if (memcmp(tail + at, "PK\5\6", 4) != 0)
				continue;
			/* The record's comment ends the file, so all readers find this record. */
			if (le16(tail + at + 20) != got - at - END_BYTES)
				break;
			*at_out = content->bytes - got + at;
			return 0;
		}
	}
	return reason_code(why, -EBADMSG, "the FAB is no zip archive, or it is cut off");
}

static int read_end(const struct slices *content, struct end *out, struct reason *why)
{
	uint8_t tail[LOCATOR_BYTES + END_BYTES] = {0};
	const uint8_t *end = tail + LOCATOR_BYTES;
	size_t at = 0, before;
	int r = find_end(content, &at, why);

	if (r < 0)
		return r;
	before = at < LOCATOR_BYTES ? at : LOCATOR_BYTES;
	slices_read(content, at - before, tail + LOCATOR_BYTES - before, before + END_BYTES);
	if (memcmp(tail, "PK\6\7", 4) == 0)
		return reason_code(why, -EBADMSG, "the FAB is a zip64 archive");
	if (le16(end + 4) != 0 || le16(end + 6) != 0 || le16(end + 8) != le16(end + 10))
		return reason_code(why, -EBADMSG, "the FAB is a zip archive in several parts");
	out->entries = le16(end + 10);
	out->len = le32(end + 12);
	out->start = le32(end + 16);
	out->end = at + END_BYTES;
	/* The directory ends where its last record begins: all readers then see the same archive.
	 */
	if (out->len > at || out->start != at - out->len)
		return reason_code(
			why, -EBADMSG, "the FAB's zip directory is not where it should be");
	return 0;
}

/* Read a central header at the bytes p .. p + len. 0, and its length in *used_out. */
static int read_central(const uint8_t *p, size_t len, struct directory_entry *out, size_t *used_out,
	struct reason *why)
{
	size_t used;
	int r;

	if (len < CENTRAL_BYTES || memcmp(p, "PK\1\2", 4) != 0)
		return reason_code(why, -EBADMSG, "the FAB's zip directory is damaged");
	used = (size_t)CENTRAL_BYTES + le16(p + 28) + le16(p + 30) + le16(p + 32);
	if (used > len)
		return reason_code(why, -EBADMSG, "the FAB's zip directory is damaged");
	*out = (struct directory_entry){
		.name = (const char *)p + CENTRAL_BYTES,
		.name_len = le16(p + 28),
		.offset = le32(p + 42),
		.method = le16(p + 10),
		.packed_bytes = le32(p + 20),
		.bytes = le32(p + 24),
	};
	out->folder = out->name_len > 0 && out->name[out->name_len - 1] == '/';
	if ((r = check_name(out, why)) < 0 || (r = check_kind(out, le32(p + 38), why)) < 0 ||
		(r = check_sizes(out, why)) < 0)
		return r;
	if (le16(p + 8) & FLAG_ENCRYPTED)
		return refuse(why, out, "is encrypted");
	if (le16(p + 34) != 0)
		return refuse(why, out, "lies in another part of the archive");
	*used_out = used;
	return 0;
}

static int compare_offsets(const void *a, const void *b)
{
	const struct directory_entry *x = a, *y = b;

	return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Compare names without the slash of a folder: "a" and "a/" are one name. */
static int compare_names(const void *a, const void *b)
{
	const struct directory_entry *x = *(const struct directory_entry *const *)a;
	const struct directory_entry *y = *(const struct directory_entry *const *)b;
	size_t x_len = x->name_len - x->folder, y_len = y->name_len - y->folder;
	int order = memcmp(x->name, y->name, x_len < y_len ? x_len : y_len);

	return order ? order : (x_len > y_len) - (x_len < y_len);
}

static int check_unique(const struct directory *directory, struct reason *why)
{
	auto_(free_at_exit) const struct directory_entry **sorted =
		calloc(directory->n + 1, sizeof *sorted);

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < directory->n; i++)
		sorted[i] = &directory->v[i];
	qsort(sorted, directory->n, sizeof *sorted, compare_names);
	for (size_t i = 1; i < directory->n; i++)
		if (compare_names(&sorted[i - 1], &sorted[i]) == 0)
			return refuse(why, sorted[i], "is there twice");
	return 0;
}

/* Entries that share bytes make large archives of small ones. */
static int check_layout(const struct slices *content, const struct directory *directory,
	size_t central, struct reason *why)
{
	size_t end = 0;

	for (size_t i = 0; i < directory->n; i++) {
		if (directory->v[i].offset < end)
			return refuse(why, &directory->v[i], "overlaps another");
		int r = check_local(content, &directory->v[i], central, &end, why);

		if (r < 0)
			return r;
	}
	return 0;
}

static int read_entries(const struct slices *content, const struct end *end,
	struct directory *directory, struct reason *why)
{
	struct slices range = {0};
	size_t at = 0;
	int r = slices_append_range(&range, content, end->start, end->len);

	if (r == 0)
		r = slices_flatten(&range, &directory->central);
	slices_done(&range);
	if (r < 0)
		return r;
	directory->v = calloc(end->entries + 1, sizeof *directory->v);
	if (!directory->v)
		return -ENOMEM;
	for (; directory->n < end->entries; directory->n++) {
		size_t used = 0;

		r = read_central(directory->central.data + at, directory->central.len - at,
			&directory->v[directory->n], &used, why);
		if (r < 0)
			return r;
		at += used;
	}
	if (at != directory->central.len)
		return reason_code(why, -EBADMSG, "the FAB's zip directory is damaged");
	qsort(directory->v, directory->n, sizeof *directory->v, compare_offsets);
	return 0;
}

int directory_read(const struct slices *content, struct directory *out, struct reason *why)
{
	auto_(directory_done) struct directory directory = {0};
	struct end end = {0};
	int r = read_end(content, &end, why);

	/* 46 bytes are there for each entry before memory is taken for it. */
	if (r == 0 && end.entries > end.len / CENTRAL_BYTES)
		r = reason_code(why, -EBADMSG, "the FAB's zip directory is damaged");
	if (r == 0)
		r = read_entries(content, &end, &directory, why);
	if (r == 0)
		r = check_layout(content, &directory, end.start, why);
	if (r == 0)
		r = check_unique(&directory, why);
	if (r < 0)
		return r;
	directory.archive_bytes = end.end;
	*out = directory;
	directory = (struct directory){0};
	return 0;
}

const struct directory_entry *directory_find(const struct directory *directory, const char *name)
{
	for (size_t i = 0; i < directory->n; i++)
		if (directory_entry_is(&directory->v[i], name))
			return &directory->v[i];
	return NULL;
}

bool directory_entry_is(const struct directory_entry *entry, const char *name)
{
	return entry->name_len == strlen(name) && memcmp(entry->name, name, entry->name_len) == 0;
}

void directory_done(struct directory *directory)
{
	free(directory->v);
	slice_unref(&directory->central);
	*directory = (struct directory){0};
}
