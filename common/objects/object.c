/*
 * object: heads of objects, read with limits and written byte for byte as Flower does: an id is the
 * hash of them.
 */
#include "common/objects/object.h"

#include "common/base/cleanup.h"
#include "common/base/number.h"
#include "common/base/sha256.h"
#include "common/base/text.h"

#include <errno.h>
#include <string.h>

#define ID_DIGITS (OBJECT_ID_TEXT_BYTES - 1)
/* A type, the ids with a comma each, a length, two spaces: no head is longer. */
#define HEAD_MAX_BYTES (64 + (size_t)OBJECT_CHILDREN_MAX * OBJECT_ID_TEXT_BYTES)

static const char *const type_names[OBJECT_TYPE_N] = {[OBJECT_MESSAGE] = "Message",
	[OBJECT_RECORD_DICT] = "RecordDict",
	[OBJECT_ARRAY_RECORD] = "ArrayRecord",
	[OBJECT_ARRAY] = "Array",
	[OBJECT_ARRAY_CHUNK] = "ArrayChunk",
	[OBJECT_METRIC_RECORD] = "MetricRecord",
	[OBJECT_CONFIG_RECORD] = "ConfigRecord"};

const char *object_type_name(enum object_type type)
{
	return type_names[type];
}

static int digit_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

bool object_id_parse(const char *text, size_t len, struct object_id *out)
{
	struct object_id id;

	if (len != ID_DIGITS)
		return false;
	for (size_t i = 0; i < OBJECT_ID_BYTES; i++) {
		int high = digit_value(text[2 * i]), low = digit_value(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		id.v[i] = (uint8_t)(high << 4 | low);
	}
	*out = id;
	return true;
}

void object_id_format(const struct object_id *id, char text[OBJECT_ID_TEXT_BYTES])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < OBJECT_ID_BYTES; i++) {
		text[2 * i] = digits[id->v[i] >> 4];
		text[2 * i + 1] = digits[id->v[i] & 15];
	}
	text[ID_DIGITS] = '\0';
}

bool object_id_equal(const struct object_id *a, const struct object_id *b)
{
	return memcmp(a->v, b->v, OBJECT_ID_BYTES) == 0;
}

int object_hash(const struct slices *object, struct object_id *out)
{
	char hex[SHA256_HEX_BYTES];
	int r = sha256_slices(object, hex);

	if (r == 0)
		object_id_parse(hex, sizeof hex - 1, out);
	return r;
}

int object_check_id(const struct slices *object, const struct object_id *id)
{
	struct object_id found;
	int r = object_hash(object, &found);

	return r == 0 && !object_id_equal(&found, id) ? -EBADMSG : r;
}

/* ---- reading a head ---- */

/* The number of bytes before the first NUL; -1 when there is none in the first HEAD_MAX_BYTES. */
static ptrdiff_t head_length(const struct slices *object)
{
	size_t before = 0;

	for (size_t i = 0; i < object->n && before <= HEAD_MAX_BYTES; i++) {
		const struct slice *slice = &object->v[i];
		size_t part = HEAD_MAX_BYTES + 1 - before;
		const uint8_t *end;

		if (part > slice->len)
			part = slice->len;
		end = memchr(slice->data, 0, part);
		if (end)
			return (ptrdiff_t)(before + (size_t)(end - slice->data));
		before += part;
	}
	return -1;
}

static bool type_find(const char *name, enum object_type *out)
{
	for (int i = 0; i < OBJECT_TYPE_N; i++) {
		if (strcmp(name, type_names[i]) == 0) {
			*out = (enum object_type)i;
			return true;
		}
	}
	return false;
}

static int compare_ids(const void *a, const void *b)
{
	return memcmp(a, b, OBJECT_ID_BYTES);
}

/* 1 when the ids are distinct, else 0; -ENOMEM. */
static int are_distinct(const struct object_id *ids, size_t n)
{
	auto_(free_at_exit) struct object_id *sorted = NULL;

	if (n < 2)
		return 1;
	sorted = reallocarray(NULL, n, sizeof *sorted);
	if (!sorted)
		return -ENOMEM;
	memcpy(sorted, ids, n * sizeof *sorted);
	qsort(sorted, n, sizeof *sorted, compare_ids);
	for (size_t i = 1; i < n; i++) {
		if (object_id_equal(&sorted[i - 1], &sorted[i]))
			return 0;
	}
	return 1;
}

/* text is all ids with commas between them, or nothing. */
static int parse_children(
	const char *text, size_t len, struct object_head *head, struct reason *why)
{
	size_t n = (len + 1) / OBJECT_ID_TEXT_BYTES;
	int distinct;

	if (len == 0)
		return 0;
	if ((len + 1) % OBJECT_ID_TEXT_BYTES != 0)
		return reason_code(why, -EBADMSG, "the object's head has a child id that is none");
	if (n > OBJECT_CHILDREN_MAX)
		return reason_code(why, -EBADMSG, "the object has %zu children, more than %d", n,
			OBJECT_CHILDREN_MAX);
	head->children = reallocarray(NULL, n, sizeof *head->children);
	if (!head->children)
		return -ENOMEM;
	head->n_children = n;
	for (size_t i = 0; i < n; i++) {
		const char *id = text + i * OBJECT_ID_TEXT_BYTES;

		if (!object_id_parse(id, ID_DIGITS, &head->children[i]) ||
			(i + 1 < n && id[ID_DIGITS] != ','))
			return reason_code(
				why, -EBADMSG, "the object's head has a child id that is none");
	}
	distinct = are_distinct(head->children, n);
	if (distinct == 0)
		return reason_code(why, -EBADMSG, "the object's head names a child twice");
	return distinct < 0 ? distinct : 0;
}

/* text is a head without its NUL (and has none inside). */
static int parse_head(char *text, struct object_head *head, struct reason *why)
{
	char *children = strchr(text, ' ');
	char *length = children ? strchr(children + 1, ' ') : NULL;
	char name[64];
	uint64_t bytes;

	if (!length)
		return reason_code(why, -EBADMSG, "the object's head has not three parts");
	*children++ = '\0';
	*length++ = '\0';
	if (!type_find(text, &head->type)) {
		text_quote(text, strlen(text), name, sizeof name);
		return reason_code(why, -EBADMSG, "no such type of object: %s", name);
	}
	if (number_u64(length, &bytes) < 0 || bytes != head->body_bytes) {
		text_quote(length, strlen(length), name, sizeof name);
		return reason_code(why, -EBADMSG, "the object's body has %zu bytes, not %s",
			head->body_bytes, name);
	}
	return parse_children(children, (size_t)(length - 1 - children), head, why);
}

int object_head_parse(const struct slices *object, struct object_head *out, struct reason *why)
{
	auto_(object_head_done) struct object_head head = {0};
	auto_(free_at_exit) char *text = NULL;
	ptrdiff_t len = head_length(object);
	int r;

	if (len < 0)
		return reason_code(why, -EBADMSG, "the object has no head");
	text = malloc((size_t)len + 1);
	if (!text)
		return -ENOMEM;
	slices_read(object, 0, text, (size_t)len + 1);
	head.body_offset = (size_t)len + 1;
	head.body_bytes = object->bytes - head.body_offset;
	r = parse_head(text, &head, why);
	if (r < 0)
		return r;
	*out = head;
	head = (struct object_head){0};
	return 0;
}

void object_head_done(struct object_head *head)
{
	free(head->children);
	*head = (struct object_head){0};
}

/* ---- making an object ---- */

static int format_head(const struct object_parts *parts, struct text *text)
{
	char id[OBJECT_ID_TEXT_BYTES];
	int r = text_printf(text, "%s ", type_names[parts->type]);

	for (size_t i = 0; r == 0 && i < parts->n_children; i++) {
		object_id_format(&parts->children[i], id);
		id[ID_DIGITS] = ','; /* it is added with its length */
		r = text_add(text, id, i + 1 < parts->n_children ? sizeof id : sizeof id - 1);
	}
	if (r == 0)
		r = text_printf(text, " %zu", parts->body->bytes);
	return r == 0 ? text_add(text, "", 1) : r;
}

int object_build(const struct object_parts *parts, struct slices *out)
{
	auto_(slices_done) struct slices made = {0};
	auto_(text_done) struct text head = {0};

	if (format_head(parts, &head) < 0 || slices_append_copy(&made, head.data, head.len) < 0 ||
		slices_append_refs(&made, parts->body) < 0 || slices_move(out, &made) < 0)
		return -ENOMEM;
	return 0;
}

int object_make(const struct object_parts *parts, struct slices *out, struct object_id *id_out)
{
	auto_(slices_done) struct slices made = {0};
	int r = object_build(parts, &made);

	if (r == 0)
		r = object_hash(&made, id_out);
	return r == 0 ? slices_move(out, &made) : r;
}
