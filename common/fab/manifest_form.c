/*
 * A form begins with a byte, 'M' or 'R'. 'R': a string, the sentence. 'M': the five strings of
 * struct manifest in their order, the number of values, for each its key (a string), a byte for the
 * kind, and 8 bytes or a string. Numbers have the byte order of the machine, which both ends share;
 * a string is 32 bits of length and as many bytes of UTF-8.
 */
#include "common/fab/manifest_form.h"

#include "common/base/cleanup.h"
#include "common/fab/manifest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KIND_MANIFEST 'M'
#define KIND_REFUSED  'R'
#define STRINGS       5
#define VALUES_MAX    16384

static int put_string(struct text *out, const char *bytes, size_t len)
{
	uint32_t head = (uint32_t)len;
	int r = text_add(out, &head, sizeof head);

	return r < 0 ? r : text_add(out, bytes, len);
}

static int put_value(struct text *out, const struct value_entry *entry)
{
	uint8_t kind = (uint8_t)entry->value.kind;
	int r = put_string(out, entry->key, strlen(entry->key));

	if (r == 0)
		r = text_add(out, &kind, sizeof kind);
	if (r < 0)
		return r;
	if (kind == VALUE_DOUBLE)
		return text_add(out, &entry->value.d, sizeof entry->value.d);
	if (kind == VALUE_SINT)
		return text_add(out, &entry->value.i, sizeof entry->value.i);
	if (kind == VALUE_BOOL)
		return text_add(out, &entry->value.b, sizeof entry->value.b);
	/* toml_flatten() gives nothing else. */
	return put_string(out, entry->value.s.data, entry->value.s.len);
}

int manifest_form_write(const struct manifest *manifest, const char *refused, struct text *out)
{
	const char kind = refused ? KIND_REFUSED : KIND_MANIFEST;
	int r = text_add(out, &kind, sizeof kind);

	if (r == 0 && refused)
		return put_string(out, refused, strlen(refused));
	const char *const strings[STRINGS] = {manifest->publisher, manifest->name,
		manifest->version, manifest->clientapp, manifest->fab_id};
	uint32_t n = (uint32_t)manifest->config.n;

	for (size_t i = 0; r == 0 && i < STRINGS; i++)
		r = put_string(out, strings[i], strlen(strings[i]));
	if (r == 0)
		r = text_add(out, &n, sizeof n);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = put_value(out, &manifest->config.v[i]);
	return r;
}

/* ---- reading ---- */

struct bytes {
	const char *at;
	size_t left;
};

static int get(struct bytes *bytes, void *out, size_t len)
{
	if (len > bytes->left)
		return -EBADMSG;
	memcpy(out, bytes->at, len);
	bytes->at += len;
	bytes->left -= len;
	return 0;
}

/* Borrowed. UTF-8; a NUL only where with_nul. */
static int get_string(struct bytes *bytes, bool with_nul, const char **out, size_t *len_out)
{
	uint32_t len;
	int r = get(bytes, &len, sizeof len);

	if (r < 0 || len > bytes->left)
		return -EBADMSG;
	for (size_t at = 0; at < len;) {
		const char *end = memchr(bytes->at + at, '\0', len - at);
		size_t piece = end ? (size_t)(end - bytes->at) - at : len - at;

		if ((end && !with_nul) || !utf8_valid(bytes->at + at, piece))
			return -EBADMSG;
		at += piece + 1;
	}
	*out = bytes->at;
	*len_out = len;
	bytes->at += len;
	bytes->left -= len;
	return 0;
}

static int get_copy(struct bytes *bytes, char **out)
{
	const char *text;
	size_t len;
	int r = get_string(bytes, false, &text, &len);

	if (r < 0)
		return r;
	*out = text_dup(text, len);
	return *out ? 0 : -ENOMEM;
}

static int get_value(struct bytes *bytes, struct value *out)
{
	uint8_t kind, flag;
	const char *text;
	size_t len;
	int r = get(bytes, &kind, sizeof kind);

	if (r < 0)
		return r;
	*out = (struct value){.kind = (enum value_kind)kind};
	if (kind == VALUE_DOUBLE)
		return get(bytes, &out->d, sizeof out->d);
	if (kind == VALUE_SINT)
		return get(bytes, &out->i, sizeof out->i);
	if (kind == VALUE_BOOL) {
		r = get(bytes, &flag, sizeof flag);
		out->b = flag == 1;
		return r < 0 || flag > 1 ? -EBADMSG : 0;
	}
	out->kind = VALUE_NONE;
	if (kind != VALUE_STRING)
		return -EBADMSG;
	r = get_string(bytes, true, &text, &len);
	return r < 0 ? r : value_set_bytes(out, VALUE_STRING, text, len);
}

static int get_config(struct bytes *bytes, struct value_map *out)
{
	uint32_t n;
	int r = get(bytes, &n, sizeof n);

	if (r < 0 || n > VALUES_MAX)
		return -EBADMSG;
	for (uint32_t i = 0; i < n; i++) {
		struct value value = {0};
		const char *key;
		size_t len;

		r = get_string(bytes, false, &key, &len);
		if (r == 0)
			r = get_value(bytes, &value);
		if (r == 0)
			r = value_map_append(out, key, len, &value);
		if (r < 0)
			return r;
	}
	return 0;
}

static int get_manifest(struct bytes *bytes, struct manifest *out)
{
	char **const strings[STRINGS] = {
		&out->publisher, &out->name, &out->version, &out->clientapp, &out->fab_id};
	int r = 0;

	for (size_t i = 0; r == 0 && i < STRINGS; i++)
		r = get_copy(bytes, strings[i]);
	if (r == 0)
		r = get_config(bytes, &out->config);
	if (r == 0 && bytes->left > 0)
		r = -EBADMSG;
	return r < 0 ? r : manifest_check_names(out, NULL);
}

int manifest_form_read(const void *data, size_t len, struct manifest *out, struct reason *why)
{
	auto_(manifest_done) struct manifest manifest = {0};
	struct bytes bytes = {data, len};
	const char *sentence;
	size_t sentence_len;
	char kind;
	int r = get(&bytes, &kind, sizeof kind);

	if (r == 0 && kind == KIND_REFUSED &&
		get_string(&bytes, false, &sentence, &sentence_len) == 0 && bytes.left == 0) {
		reason_set(why, "%.*s",
			(int)(sentence_len < REASON_BYTES ? sentence_len : REASON_BYTES), sentence);
		if (why)
			reason_clean(why);
		return -EBADMSG;
	}
	if (r == 0)
		r = kind == KIND_MANIFEST ? get_manifest(&bytes, &manifest) : -EBADMSG;
	if (r == -EBADMSG)
		return reason_code(why, r, "the program that reads it gave no answer of its form");
	if (r < 0)
		return r;
	*out = manifest;
	manifest = (struct manifest){0};
	return 0;
}
