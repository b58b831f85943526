#include "common/launch/held_lines.h"

#include "common/launch/output.h"

#include <stdlib.h>
#include <string.h>

static size_t cost_of(size_t len)
{
	return len + OUTPUT_LINE_COST;
}

struct held_line *held_lines_take(struct held_lines *lines)
{
	struct held_line *line = lines->first;

	lines->first = line->next;
	if (!lines->first)
		lines->end = NULL;
	lines->bytes -= cost_of(line->len);
	return line;
}

void held_lines_add(struct held_lines *lines, const struct output *from, uint64_t number,
	const char *bytes, size_t len)
{
	struct held_line *line = malloc(sizeof *line + len);

	if (!line)
		return;
	*line = (struct held_line){.from = from, .number = number, .len = len};
	memcpy(line->bytes, bytes, len);
	while (lines->first && lines->bytes + cost_of(len) > lines->max_bytes)
		free(held_lines_take(lines));
	*(lines->first ? lines->end : &lines->first) = line;
	lines->end = &line->next;
	lines->bytes += cost_of(len);
}
