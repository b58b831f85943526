#include "common/fab/content.h"

#include "common/base/cleanup.h"
#include "common/base/number.h"
#include "common/base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HASH_DIGITS (SHA256_HEX_BYTES - 1)

static int refuse(struct reason *why, const char *line, size_t len, const char *rule)
{
	char quoted[160];

	text_quote(line, len, quoted, sizeof quoted);
	return reason_code(why, -EBADMSG, "the FAB's list of files: %s %s", quoted, rule);
}

static int compare_paths(const void *a, const void *b)
{
	const struct content_line *x = a, *y = b;
	size_t len = x->path_len < y->path_len ? x->path_len : y->path_len;
	int order = memcmp(x->path, y->path, len);

	return order ? order : (x->path_len > y->path_len) - (x->path_len < y->path_len);
}

static bool parse_bits(const char *digits, size_t len, uint64_t *bytes_out)
{
	char number[24];
	uint64_t bits;

	if (len >= sizeof number)
		return false;
	memcpy(number, digits, len);
	number[len] = '\0';
	if (strlen(number) != len || number_u64(number, &bits) < 0 || bits % 8 != 0)
		return false;
	*bytes_out = bits / 8;
	return true;
}

static int parse_line(const char *line, size_t len, struct content_line *out, struct reason *why)
{
	const char *size = memrchr(line, ',', len), *hash = NULL;

	if (size)
		hash = memrchr(line, ',', (size_t)(size - line));
	if (!hash || hash == line || size - hash - 1 != HASH_DIGITS)
		return refuse(why, line, len, "is not of the form path,hash,size");
	*out = (struct content_line){.path = line, .path_len = (size_t)(hash - line)};
	memcpy(out->hash, hash + 1, HASH_DIGITS);
	if (!sha256_is_hex(out->hash))
		return refuse(why, line, len, "has no SHA-256 hash");
	if (!parse_bits(size + 1, len - (size_t)(size + 1 - line), &out->bytes))
		return refuse(why, line, len, "has no size in bits");
	return 0;
}

/* The line at *rest, without its end; *rest moves on. */
static const char *next_line(const char **rest, const char *end, size_t *len_out)
{
	const char *line = *rest;
	const char *newline = memchr(line, '\n', (size_t)(end - line));
	const char *stop = newline ? newline : end;

	*rest = newline ? newline + 1 : end;
	if (stop > line && stop[-1] == '\r')
		stop--;
	*len_out = (size_t)(stop - line);
	return line;
}

static size_t count_lines(const char *text, const char *end)
{
	size_t n = 0, len;

	while (text < end) {
		next_line(&text, end, &len);
		n += len > 0;
	}
	return n;
}

int content_parse(
	char *text, size_t len, uint64_t lines_max, struct content_list *out, struct reason *why)
{
	auto_(content_done) struct content_list list = {.text = text};
	const char *rest = text, *end = text + len;
	size_t n = count_lines(text, end);

	if (n > lines_max)
		return reason_code(why, -EBADMSG, "the FAB lists %zu files, at most %llu are taken",
			n, (unsigned long long)lines_max);
	list.v = calloc(n + 1, sizeof *list.v); /* one more: content_add() */
	if (!list.v)
		return -ENOMEM;
	while (rest < end) {
		size_t line_len;
		const char *line = next_line(&rest, end, &line_len);
		int r;

		if (line_len == 0)
			continue;
		r = parse_line(line, line_len, &list.v[list.n], why);
		if (r < 0)
			return r;
		list.n++;
	}
	qsort(list.v, list.n, sizeof *list.v, compare_paths);
	for (size_t i = 1; i < list.n; i++)
		if (compare_paths(&list.v[i - 1], &list.v[i]) == 0)
			return refuse(why, list.v[i].path, list.v[i].path_len, "is there twice");
	*out = list;
	list = (struct content_list){0};
	return 0;
}

void content_add(struct content_list *list, const char *path, const char hash[SHA256_HEX_BYTES],
	uint64_t bytes)
{
	struct content_line *line = &list->v[list->n++];

	*line = (struct content_line){
		.path = path, .path_len = strlen(path), .bytes = bytes, .seen = true};
	memcpy(line->hash, hash, SHA256_HEX_BYTES);
	qsort(list->v, list->n, sizeof *list->v, compare_paths);
}

struct content_line *content_find(const struct content_list *list, const char *path, size_t len)
{
	struct content_line key = {.path = path, .path_len = len};

	return list->n ? bsearch(&key, list->v, list->n, sizeof *list->v, compare_paths) : NULL;
}

void content_done(struct content_list *list)
{
	free(list->v);
	free(list->text);
	*list = (struct content_list){0};
}
