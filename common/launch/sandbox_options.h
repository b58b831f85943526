/*
 * sandbox_options: the options of the strict cage, as people write them. Any thread.
 */
#ifndef FLWR_LAUNCH_SANDBOX_OPTIONS_H
#define FLWR_LAUNCH_SANDBOX_OPTIONS_H

#include "common/launch/launch_options.h"

/* 0; -EINVAL with a sentence: one of them is wrong, or has no effect. */
int sandbox_options_check(const struct launch_options *options, struct reason *why);

/* The directory or file of a --data-dir, absolute and without links, malloc()ed. 0; -EINVAL with a
 * sentence; -ENOMEM. */
int sandbox_data_dir(const char *text, char **path_out, bool *writable_out, struct reason *why);

/*
 * The ports of --app-network as Landlock's part of a cage takes them, malloc()ed: "443,53". Where a
 * host is named by a name, port 53 is one of them. NULL: there are none, as all or no network was
 * asked for. 0; -EINVAL with a sentence; -ENOMEM.
 */
int sandbox_ports(const char *network, char **out, struct reason *why);

/* Is any option of it given? Its name; NULL: none. */
const char *sandbox_options_any(const struct launch_options *options);

#endif
