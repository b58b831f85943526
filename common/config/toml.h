/*
 * toml: a TOML document as Flower uses it: tables flattened with dots. Behind it lie the project's
 * only files in C++, around tomlplusplus. One thread.
 */
#ifndef FLWR_CONFIG_TOML_H
#define FLWR_CONFIG_TOML_H

#include "common/base/reason.h"
#include "common/base/value.h"

#include <stddef.h>

struct toml; /* a parsed document */

/*
 * Parse len bytes of TOML 1.1, of any depth. 0; -EINVAL with line and cause in why; -ENOMEM. The
 * caller owns *out.
 */
int toml_parse(const char *text, size_t len, struct toml **out, struct reason *why);

/* The string at a dotted path ("project.name"); borrowed until toml_free(); NULL when not there or
 * no string. */
const char *toml_string(const struct toml *doc, const char *path);

/*
 * Append all values below the table at path ("" is the document; "tool.flwr.app.config") to *out,
 * in the file's order, with the names of nested tables joined by dots. bool, integer, float and
 * string only: anything else is -EINVAL, as are more than 64 levels; why names the key. A path that
 * is not there adds nothing and is 0.
 */
int toml_flatten(
	const struct toml *doc, const char *path, struct value_map *out, struct reason *why);

void toml_free(struct toml *doc);

#endif
