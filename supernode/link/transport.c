#include "supernode/link/transport.h"

#include <string.h>

static bool is_guess(const struct transport_kind *kind, const char *guess)
{
	return guess && kind->option && strcmp(kind->option, guess) == 0;
}

const struct transport_kind *transport_first(
	const struct transport_kind *const *table, enum probe_result line, const char *guess)
{
	const struct transport_kind *first = NULL;

	for (; *table; table++) {
		if ((*table)->line == line && (!first || is_guess(*table, guess)))
			first = *table;
	}
	return first;
}

const struct transport_kind *transport_next(
	const struct transport_kind *const *table, const struct transport_kind *kind)
{
	const struct transport_kind *first = transport_first(table, kind->line, NULL);

	while (*table != kind)
		table++;
	for (table++; *table; table++) {
		if ((*table)->line == kind->line)
			return *table;
	}
	return first;
}

unsigned transport_count(const struct transport_kind *const *table, enum probe_result line)
{
	unsigned n = 0;

	for (; *table; table++)
		n += (*table)->line == line;
	return n;
}
