#include "clientapp/api/finder.h"

#include "common/base/cleanup.h"
#include "common/http/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS      2000
#define ANSWER_BYTES 4096

/* GET /health that is out. */
struct look {
	struct finder *finder; /* NULL: it was freed meanwhile */
	struct http_client *client;
	struct http_call *call;
};

struct finder {
	struct carrier_options options;
	char *address;
	struct carrier *carrier;
	struct look *look;
	bool answers_http;
	finder_looked_fn *looked;
	void *arg;
};

static int open_carrier(struct finder *finder, enum carrier_kind kind, bool own_connection)
{
	struct carrier *made = NULL;
	int r;

	finder->options.kind = kind;
	finder->options.own_connection = own_connection;
	r = carrier_new(&finder->options, &made);
	if (r)
		return r;
	carrier_free(finder->carrier);
	finder->carrier = made;
	return 0;
}

static void look_free(struct look *look)
{
	http_client_free(look->client);
	free(look);
}

static void heard(void *arg, struct http_result *result)
{
	struct look *look = arg;
	struct finder *finder = look->finder;
	/* A proxy says 502 and more of a server that is not there. */
	bool http = result->version == 1 && result->status > 0 && result->status < 500;

	look_free(look);
	if (!finder)
		return;
	finder->look = NULL;
	finder->answers_http = http;
	finder->looked(finder->arg, http && open_carrier(finder, CARRIER_GRPC, true) == 0);
}

static int look_start(struct finder *finder)
{
	const struct rpc_tls *tls = finder->options.tls;
	const struct http_ask how = {.tls = tls != NULL};
	struct look *look = calloc(1, sizeof *look);
	struct slices nothing = {0};
	int r;

	if (!look)
		return -ENOMEM;
	look->finder = finder;
	r = http_client_new(finder->options.http,
		&(struct http_client_options){.address = finder->address,
			.ca_pem = tls ? tls->trusted_pem : NULL,
			.chain_pem = tls ? tls->chain_pem : NULL,
			.key_pem = tls ? tls->key_pem : NULL,
			.receive_max_bytes = ANSWER_BYTES,
			.user_agent = "flwr-native/" FLWR_RELEASE},
		&look->client);
	if (r == 0)
		r = http_call_start(look->client,
			&(struct http_call_options){.path = "/health",
				.timeout_ms = LOOK_MS,
				.ask = &how,
				.done = heard,
				.arg = look},
			&nothing, &look->call);
	if (r) {
		look_free(look);
		return r;
	}
	finder->look = look;
	return 0;
}

void finder_look(struct finder *finder)
{
	bool grpc = finder_kind(finder) == CARRIER_GRPC;
	bool found = false;

	if (grpc && finder->answers_http) {
		finder->answers_http = false;
		found = open_carrier(finder, CARRIER_HTTP, false) == 0;
	} else if (grpc && finder->options.http && look_start(finder) == 0) {
		return;
	} else if (!grpc) {
		/* The SuperNode that comes back may be of another release. */
		(void)open_carrier(finder, CARRIER_GRPC, true);
	}
	finder->looked(finder->arg, found);
}

void finder_settle(struct finder *finder)
{
	finder->answers_http = false;
	if (!finder->look)
		return;
	/* The look would find what was there before. */
	finder->look->finder = NULL;
	http_call_cancel(finder->look->call);
	finder->look = NULL;
}

int finder_new(const struct carrier_options *options, finder_looked_fn *looked, void *arg,
	struct finder **out)
{
	struct finder *finder = calloc(1, sizeof *finder);
	int r;

	if (!finder)
		return -ENOMEM;
	finder->options = *options;
	finder->looked = looked;
	finder->arg = arg;
	finder->address = strdup(options->address);
	finder->options.address = finder->address;
	if (strncmp(options->address, "unix:", strlen("unix:")) == 0)
		finder->options.http = NULL;
	r = finder->address ? open_carrier(finder, CARRIER_GRPC, false) : -ENOMEM;
	if (r) {
		finder_free(finder);
		return r;
	}
	*out = finder;
	return 0;
}

struct carrier *finder_carrier(const struct finder *finder)
{
	return finder->carrier;
}

enum carrier_kind finder_kind(const struct finder *finder)
{
	return finder->options.kind;
}

void finder_free(struct finder *finder)
{
	if (!finder)
		return;
	if (finder->look) {
		finder->look->finder = NULL;
		http_call_cancel(finder->look->call);
	}
	carrier_free(finder->carrier);
	free(finder->address);
	free(finder);
}
