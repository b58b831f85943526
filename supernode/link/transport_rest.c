/*
 * rest: the Fleet API over HTTP/1.1 as Flower 1.15 - 1.32 have it ("REST"): the same calls at other
 * paths. 404 stands for a method that the release does not have. Nobody looks at keys.
 */
#include "supernode/link/over_http.h"
#include "supernode/link/transports.h"

static int rest_open(const struct transport_options *options, struct transport **out)
{
	static const struct over_http_form form = {.prefix = "/api/v0/fleet/"};

	return over_http_new(options, &form, out);
}

const struct transport_kind transport_rest = {
	.name = "REST",
	.option = "rest",
	.line = PROBE_HTTP,
	.early = true,
	.open = rest_open,
};
