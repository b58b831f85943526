/*
 * config: a node's configuration as users write it (key=value texts, TOML files), and a run's,
 * which is the app's with the user's overrides. One thread; reads files when told to.
 */
#ifndef FLWR_CONFIG_CONFIG_H
#define FLWR_CONFIG_CONFIG_H

#include "common/base/reason.h"
#include "common/base/value.h"

/*
 * Parse what --node-config takes: a path that ends in .toml, or key-value pairs as Flower 1.15.2's
 * parse_config_args() takes them ('k=v k2="v 2"'; each value is TOML: bool, integer, float,
 * string). 0 and *out is set (what was in it is not freed); -EINVAL with a sentence that names the
 * key and the right form; -errno of the file. Blocks on the file.
 */
int config_parse(const char *text, struct value_map *out, struct reason *why);

/*
 * Fuse a run's configuration: defaults, overridden by overrides. A key of overrides that defaults
 * do not have is -EINVAL and named in why (Flower 1.15.2, fuse_dicts). 0 (*out is set) or -ENOMEM
 * otherwise. Types may change.
 */
int config_fuse(const struct value_map *defaults, const struct value_map *overrides,
	struct value_map *out, struct reason *why);

#endif
