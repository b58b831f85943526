/*
 * scalar_map: a configuration (map<string, Scalar> in proto/) between the generated structs and a
 * map of values. For the codecs. One thread each.
 */
#ifndef FLWR_MESSAGE_SCALAR_MAP_H
#define FLWR_MESSAGE_SCALAR_MAP_H

#include "common/base/value.h"
#include "message.pb-c.h"

/* Can the entries be taken? 0; -EBADMSG (a value without kind, or a string that is no UTF-8);
 * -EMSGSIZE (a key of more than ENVELOPE_STRING_MAX bytes). */
int scalar_map_check(Flwr__ScalarEntry *const *entries, size_t n);

/* Append the entries' values to *out, in which equal keys count once, as in value_map_unique(). As
 * above, or -ENOMEM. */
int scalar_map_take(Flwr__ScalarEntry *const *entries, size_t n, struct value_map *out);

/* The entries of a map, for wire_encode(). */
struct scalar_entries {
	Flwr__ScalarEntry **v;
	struct scalar_form *forms; /* what v points to */
	size_t n;
};

/* 0 or -ENOMEM. The map is borrowed; it has no lists. */
int scalar_entries_make(const struct value_map *map, struct scalar_entries *out);
void scalar_entries_done(struct scalar_entries *entries);

#endif
