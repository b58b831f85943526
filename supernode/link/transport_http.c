/*
 * http: the Fleet API of Flower 1.40 and later.
 */
#include "supernode/link/over_http.h"
#include "supernode/link/transports.h"

static int http_open(const struct transport_options *options, struct transport **out)
{
	static const struct over_http_form form = {.prefix = "/v1/fleet/", .signs = true};

	return over_http_new(options, &form, out);
}

const struct transport_kind transport_http = {
	.name = "HTTP",
	.line = PROBE_HTTP,
	.releases = "Flower-1.40-and-later",
	.signed_calls = true,
	.open = http_open,
};
