/*
 * settings: struct flwr_options, checked, copied and read from files. On the thread of the caller;
 * blocks on the file system.
 */
#ifndef FLWR_NODE_SETTINGS_H
#define FLWR_NODE_SETTINGS_H

#include "common/base/log.h"
#include "common/base/value.h"
#include "supernode/link/auth.h"
#include "supernode/link/retry.h"

#include <flwr/client.h>

struct settings {
	bool numpy;
	/* One of these. */
	bool has_client;
	struct flwr_client client;
	flwr_client_fn *client_fn;
	void *client_user;
	const struct flwr_clientapp *app; /* borrowed */

	bool bidi;             /* the legacy stream; else the Fleet API */
	const char *transport; /* then the first guess: an option's name; static */
	char *address;         /* host:port */
	char *ca_pem;          /* certificates that are trusted; NULL: plain text */
	struct auth *key;      /* NULL: the node makes its own */
	uint64_t message_max_bytes;
	struct retry_policy retry;
	struct value_map node_config;

	flwr_log_fn *log; /* NULL: there are no lines */
	void *log_user;
	enum log_level log_level;
};

/*
 * Read options into *out, which is zero; what they point to is copied, but for the app. 0; negative
 * with flwr_error(), and *out has to be freed all the same.
 */
int settings_read(const struct flwr_options *options, struct settings *out);
/* Read the files: certificates and key. A warning about them goes to log. 0; negative with
 * flwr_error(). */
int settings_load(const struct flwr_options *options, struct log *log, struct settings *out);
void settings_done(struct settings *settings);

/* Copy a client of any size that this release can serve. 0; FLWR_E_VERSION with flwr_error(). */
int settings_client(const struct flwr_client *given, struct flwr_client *out);

#endif
