/*
 * Fuzz target: .info/CONTENT, a FAB's list of its files. What is taken is sorted, has each path
 * once, and can be written down again.
 */
#include "fuzz.h"

#include "common/base/text.h"
#include "common/fab/content.h"

#include <inttypes.h>

#define LINES_MAX 1000

FUZZ_MEMORY(64, 64);

static void list_write(const struct content_list *list, struct text *out)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct content_line *line = &list->v[i];

		CHECK(text_add(out, line->path, line->path_len) == 0);
		CHECK(text_printf(out, ",%s,%" PRIu64 "\n", line->hash, line->bytes * 8) == 0);
	}
}

static void list_check(struct content_list *list)
{
	CHECK(list->n <= LINES_MAX);
	for (size_t i = 0; i < list->n; i++) {
		struct content_line *line = &list->v[i];

		CHECK(content_find(list, line->path, line->path_len) == line);
		CHECK(strlen(line->hash) == SHA256_HEX_BYTES - 1);
		CHECK(strspn(line->hash, "0123456789abcdef") == SHA256_HEX_BYTES - 1);
	}
}

void fuzz(const uint8_t *data, size_t len)
{
	auto_(content_done) struct content_list list = {0}, again = {0};
	struct text written = {0};
	char *text = text_dup(data, len);

	CHECK(text);
	if (content_parse(text, len, LINES_MAX, &list, NULL))
		return;
	list_check(&list);
	list_write(&list, &written);
	len = written.len;
	CHECK(content_parse(text_take(&written), len, LINES_MAX, &again, NULL) == 0);
	CHECK(again.n == list.n);
	for (size_t i = 0; i < list.n; i++)
		CHECK(again.v[i].bytes == list.v[i].bytes);
}
