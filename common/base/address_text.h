/*
 * address_text: addresses as people write them on a command line. Any thread; looks nothing up.
 */
#ifndef FLWR_BASE_ADDRESS_TEXT_H
#define FLWR_BASE_ADDRESS_TEXT_H

#include "common/base/reason.h"

#include <stdbool.h>

/*
 * Check an address of the form host:port, [v6]:port (as Flower takes it; no scheme). port 0 only
 * when zero_ok. 0, or -EINVAL with one line in why that says the right form.
 */
int address_check(const char *text, bool zero_ok, struct reason *why);

/* Check an address as address_check() does, or unix:PATH: the path must fit into a socket's
 * address. */
int address_check_unix(const char *text, bool zero_ok, struct reason *why);

enum address_scheme {
	ADDRESS_BARE, /* there is none */
	ADDRESS_HTTP,
	ADDRESS_HTTPS,
	ADDRESS_GRPC
};

/*
 * Take off http://, https:// or grpc://, and one slash at the end: *bare_out is what is left, for
 * address_check(); the caller frees it. Any other scheme stays there. 0 or -ENOMEM.
 */
int address_take_scheme(const char *text, enum address_scheme *scheme_out, char **bare_out);

/*
 * The same for an address where no TLS is spoken. *taken_out: was there a scheme? 0, -ENOMEM,
 * -EINVAL for https:// with one line in why.
 */
int address_take_plain(const char *text, bool *taken_out, char **bare_out, struct reason *why);

#endif
