/*
 * text: a growing buffer, and the handling of bytes that others wrote.
 */
#include "common/base/text.h"

#include "common/base/array.h"
#include "common/base/cleanup.h"
#include "common/base/number.h"

#include <errno.h>
#include <string.h>

#define NEAREST_MAX_LEN 64 /* longer words have no near ones */

/* Room for more bytes and the NUL. */
static int text_reserve(struct text *text, size_t more)
{
	if (!size_add(more, 1, &more))
		return -ENOMEM;
	return array_reserve(&text->data, &text->cap, text->len, more, 1);
}

int text_add(struct text *text, const void *bytes, size_t len)
{
	if (text_reserve(text, len) < 0)
		return -ENOMEM;
	if (len)
		memcpy(text->data + text->len, bytes, len);
	text->len += len;
	text->data[text->len] = '\0';
	return 0;
}

int text_printf(struct text *text, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (len < 0 || text_reserve(text, (size_t)len) < 0)
		return -ENOMEM;
	va_start(args, format);
	vsnprintf(text->data + text->len, (size_t)len + 1, format, args);
	va_end(args);
	text->len += (size_t)len;
	return 0;
}

void text_done(struct text *text)
{
	free(text->data);
	*text = (struct text){0};
}

char *text_take(struct text *text)
{
	char *data;

	if (text_reserve(text, 0) < 0)
		return NULL;
	data = text->data;
	data[text->len] = '\0';
	*text = (struct text){0};
	return data;
}

/* The length of the well-formed sequence at bytes (Unicode 15, table 3-7), 0 when there is none. */
static size_t utf8_sequence(const uint8_t *bytes, size_t len)
{
	uint8_t lead = bytes[0];
	uint8_t low = 0x80, high = 0xbf;
	size_t n;

	if (lead < 0x80)
		return 1;
	if (lead < 0xc2 || lead > 0xf4)
		return 0;
	n = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	if (lead == 0xe0)
		low = 0xa0; /* overlong */
	if (lead == 0xed)
		high = 0x9f; /* surrogates */
	if (lead == 0xf0)
		low = 0x90; /* overlong */
	if (lead == 0xf4)
		high = 0x8f; /* above U+10FFFF */
	if (len < n || bytes[1] < low || bytes[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++) {
		if (bytes[i] < 0x80 || bytes[i] > 0xbf)
			return 0;
	}
	return n;
}

bool utf8_valid(const void *bytes, size_t len)
{
	const uint8_t *at = bytes;
	size_t n;

	for (size_t i = 0; i < len; i += n) {
		if (at[i] == 0)
			return false;
		n = utf8_sequence(at + i, len - i);
		if (n == 0)
			return false;
	}
	return true;
}

/* Format characters (category Cf of Unicode 15), line and paragraph separators, by ranges. */
static const struct range {
	uint32_t first, last;
} hidden[] = {
	{0xad, 0xad},
	{0x600, 0x605},
	{0x61c, 0x61c},
	{0x6dd, 0x6dd},
	{0x70f, 0x70f},
	{0x890, 0x891},
	{0x8e2, 0x8e2},
	{0x180e, 0x180e},
	{0x200b, 0x200f},
	{0x2028, 0x202e},
	{0x2060, 0x206f},
	{0xfeff, 0xfeff},
	{0xfff9, 0xfffb},
	{0x110bd, 0x110bd},
	{0x110cd, 0x110cd},
	{0x13430, 0x1343f},
	{0x1bca0, 0x1bca3},
	{0x1d173, 0x1d17a},
	{0xe0000, 0xe0fff},
};

static bool is_hidden(uint32_t point)
{
	for (size_t i = 0; i < ARRAY_LEN(hidden); i++)
		if (point >= hidden[i].first && point <= hidden[i].last)
			return true;
	return false;
}

size_t text_shown(const void *bytes, size_t len)
{
	const uint8_t *at = bytes;
	size_t n = utf8_sequence(at, len);
	uint32_t point;

	if (n < 2)
		return n && *at >= ' ' && *at != 0x7f;
	point = *at & (0x7fU >> n);
	for (size_t i = 1; i < n; i++)
		point = point << 6 | (at[i] & 0x3f);
	/* U+0080 to U+009F are control characters, too. */
	return point < 0xa0 || is_hidden(point) ? 0 : n;
}

void text_quote(const void *bytes, size_t len, char *out, size_t out_bytes)
{
	static const char hex[] = "0123456789abcdef";
	static const char tail[] = "...\"";
	const uint8_t *at = bytes;
	size_t used = 0, cut = 1;

	if (out_bytes == 0)
		return;
	out[0] = '\0';
	if (out_bytes < 1 + sizeof tail)
		return;
	out[used++] = '"';
	for (size_t i = 0; i < len; i++) {
		char piece[4] = {'\\', 'x', hex[at[i] >> 4], hex[at[i] & 15]};
		size_t n = 4;

		if (at[i] == '"' || at[i] == '\\') {
			piece[1] = (char)at[i];
			n = 2;
		} else if (at[i] >= ' ' && at[i] <= '~') {
			piece[0] = (char)at[i];
			n = 1;
		}
		/* The quote and the NUL must fit behind it. */
		if (used + n + 2 > out_bytes) {
			memcpy(out + cut, tail, sizeof tail);
			return;
		}
		memcpy(out + used, piece, n);
		used += n;
		if (used + sizeof tail <= out_bytes)
			cut = used; /* the last place at which the tail still fits */
	}
	out[used++] = '"';
	out[used] = '\0';
}

static size_t edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t row[NEAREST_MAX_LEN + 1];

	for (size_t j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[b_len];
}

const char *text_nearest(const char *word, const char *const *candidates)
{
	size_t word_len = strlen(word);
	size_t best = word_len / 3 + 1;
	const char *nearest = NULL;

	if (word_len > NEAREST_MAX_LEN)
		return NULL;
	for (; *candidates; candidates++) {
		size_t len = strlen(*candidates);
		size_t distance;

		if (len > NEAREST_MAX_LEN)
			continue;
		distance = edit_distance(word, word_len, *candidates, len);
		if (distance < best) {
			best = distance;
			nearest = *candidates;
		}
	}
	return nearest;
}

char *text_dup(const void *bytes, size_t len)
{
	char *copy;
	size_t size;

	if (!size_add(len, 1, &size))
		return NULL;
	copy = malloc(size);
	if (!copy)
		return NULL;
	if (len)
		memcpy(copy, bytes, len);
	copy[len] = '\0';
	return copy;
}

void text_cut(char *text, size_t max)
{
	size_t len = strnlen(text, max + 1);

	if (len <= max)
		return;
	len = max;
	while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
		len--;
	text[len] = '\0';
}

void text_word(const char *text, char *out, size_t out_bytes)
{
	size_t n = 0;

	for (; text && *text && n + 1 < out_bytes; text++) {
		bool plain = *text > ' ' && *text < 0x7f && *text != '=' && *text != '"';

		out[n++] = plain ? *text : '?';
	}
	if (out_bytes > 0)
		out[n] = '\0';
}
