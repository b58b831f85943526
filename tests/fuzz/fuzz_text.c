/*
 * Fuzz target: a peer's bytes on their way to a person: quoted, as a word, cut, as a sentence, and
 * as a line of the log. Nothing but printable text comes out, within its bounds.
 */
#include "fuzz.h"

#include "common/base/files.h"
#include "common/base/log.h"
#include "common/base/reason.h"
#include "common/base/text.h"

FUZZ_MEMORY(64, 16);

#define LINE_MAX_BYTES (9 << 10) /* 8 KiB, and what stands before */

/* The bytes that begin a character of len bytes by the table of Unicode (3-7); 0: none. */
static size_t character_length(const uint8_t *c, size_t len)
{
	uint8_t low = 0x80, high = 0xbf;
	size_t n;

	if (c[0] < 0x80)
		return c[0] ? 1 : 0;
	n = c[0] >= 0xf0 ? 4 : c[0] >= 0xe0 ? 3 : 2;
	if (c[0] < 0xc2 || c[0] > 0xf4 || n > len)
		return 0;
	if (c[0] == 0xe0)
		low = 0xa0;
	if (c[0] == 0xed)
		high = 0x9f;
	if (c[0] == 0xf0)
		low = 0x90;
	if (c[0] == 0xf4)
		high = 0x8f;
	for (size_t i = 1; i < n; i++, low = 0x80, high = 0xbf)
		if (c[i] < low || c[i] > high)
			return 0;
	return n;
}

static bool is_utf8(const uint8_t *bytes, size_t len)
{
	size_t n;

	for (size_t at = 0; at < len; at += n) {
		n = character_length(bytes + at, len - at);
		if (n == 0)
			return false;
	}
	return true;
}

static void fuzz_quote(const uint8_t *data, size_t len)
{
	char out[64];

	for (size_t size = 6; size <= sizeof out; size += 7) {
		memset(out, 'x', sizeof out);
		text_quote(data, len, out, size);
		CHECK(memchr(out, '\0', size));
		CHECK(fuzz_is_clean(out, strlen(out), ""));
	}
}

static void fuzz_cut_text(const char *text)
{
	auto_(free_at_exit) char *copy = strdup(text);
	size_t max = strlen(text) / 2;
	char word[32];

	CHECK(copy);
	text_word(text, word, sizeof word);
	CHECK(fuzz_is_clean(word, strlen(word), "") && !strpbrk(word, " \"="));
	text_cut(copy, max);
	CHECK(strlen(copy) <= max && strncmp(copy, text, strlen(copy)) == 0);
	if (utf8_valid(text, strlen(text)))
		CHECK(utf8_valid(copy, strlen(copy)) && strlen(copy) + 4 > max);
}

/* The text is one line, whatever characters are in it. */
static void fuzz_log(const char *text)
{
	auto_(close_at_exit) int fd = memfd_new("log");
	struct log *log = log_new(fd, "fuzz", LOG_LEVEL_DEBUG);
	char line[LINE_MAX_BYTES + 1];
	ssize_t n;

	CHECK(fd >= 0 && log);
	log_info(log, "%s", text);
	log_free(log);
	n = pread(fd, line, sizeof line, 0);
	CHECK(n > 0 && n <= LINE_MAX_BYTES && line[n - 1] == '\n');
	CHECK(fuzz_is_clean(line, (size_t)n - 1, "\t"));
}

void fuzz(const uint8_t *data, size_t len)
{
	auto_(free_at_exit) char *text = text_dup(data, len);
	struct reason why;

	CHECK(text);
	CHECK(utf8_valid(data, len) == is_utf8(data, len));
	fuzz_quote(data, len);
	fuzz_cut_text(text);
	reason_set(&why, "%s", text);
	reason_clean(&why);
	for (const char *c = why.text; *c; c++)
		CHECK((unsigned char)*c >= ' ' && *c != 0x7f);
	fuzz_log(text);
}
