/*
 * connector: one address, or two that are tried in turn as long as neither answers, or what answers
 * at one is no SuperLink's Fleet API (Flower 1.37 - 1.39 has others at the newer address).
 */
#include "supernode/link/connector.h"

#include "common/base/cleanup.h"
#include "common/base/log.h"
#include "supernode/link/transports.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct real_connector {
	struct connector connector;
	struct rpc *rpc;
	struct http *http;
	struct log *log;
	char *address[2]; /* the second one may be NULL */
	unsigned at;      /* which of them */
	bool answered;    /* it has: the other one is not tried any more */
	bool refused[2];  /* it was no SuperLink that answered there */
	char *ca_pem;
	uint64_t receive_max_bytes, memory_max_bytes;
	struct probe *probe;
	probe_done_fn *done;
	void *arg;
};

static struct real_connector *real(struct connector *connector)
{
	return container_of(connector, struct real_connector, connector);
}

static void probed(void *arg, enum probe_result result, const struct reason *why)
{
	struct real_connector *connector = arg;

	connector->probe = NULL;
	if (probe_answers(result) && connector->address[1] && !connector->answered) {
		connector->answered = true;
		log_info(connector->log, "no --superlink was given: trying what answers at %s",
			connector->address[connector->at]);
	}
	connector->done(connector->arg, result, why);
}

static int connector_probe(struct connector *base, probe_done_fn *done, void *arg)
{
	struct real_connector *connector = real(base);

	/* At the first probe this goes from the one before the first to the first. */
	if (connector->address[1] && !connector->answered)
		connector->at = !connector->at;
	connector->done = done;
	connector->arg = arg;
	return probe_start(connector->http,
		&(struct probe_options){.address = connector->address[connector->at],
			.ca_pem = connector->ca_pem,
			.done = probed,
			.arg = connector},
		&connector->probe);
}

static void connector_cancel(struct connector *base)
{
	struct real_connector *connector = real(base);

	probe_cancel(connector->probe);
	connector->probe = NULL;
}

static bool connector_next(struct connector *base)
{
	struct real_connector *connector = real(base);

	connector->refused[connector->at] = true;
	if (!connector->address[1] || connector->refused[!connector->at])
		return false;
	connector->answered = false;
	return true;
}

static int connector_open(
	struct connector *base, const struct transport_kind *kind, struct transport **out)
{
	struct real_connector *connector = real(base);
	struct transport_options options = {.rpc = connector->rpc,
		.http = connector->http,
		.address = connector->address[connector->at],
		.ca_pem = connector->ca_pem,
		.receive_max_bytes = connector->receive_max_bytes,
		.memory_max_bytes = connector->memory_max_bytes,
		.log = connector->log};

	return kind->open(&options, out);
}

static const char *connector_address(const struct connector *base)
{
	const struct real_connector *connector =
		container_of(base, const struct real_connector, connector);

	return connector->address[connector->at];
}

static void connector_free(struct connector *base)
{
	struct real_connector *connector = real(base);

	probe_cancel(connector->probe);
	free(connector->address[0]);
	free(connector->address[1]);
	free(connector->ca_pem);
	free(connector);
}

static const struct connector_ops real_ops = {
	.probe = connector_probe,
	.cancel = connector_cancel,
	.next = connector_next,
	.open = connector_open,
	.address = connector_address,
	.free = connector_free,
};

static void connector_free_at_exit(struct real_connector **connector)
{
	if (*connector)
		connector_free(&(*connector)->connector);
}

int connector_new(struct rpc *rpc, struct http *http, struct log *log,
	const struct connector_options *options, struct connector **out)
{
	auto_(connector_free_at_exit) struct real_connector *connector =
		calloc(1, sizeof *connector);

	if (!connector)
		return -ENOMEM;
	connector->connector.ops = &real_ops;
	connector->connector.transports = transports;
	connector->rpc = rpc;
	connector->http = http;
	connector->log = log;
	connector->receive_max_bytes = options->receive_max_bytes;
	connector->memory_max_bytes = options->memory_max_bytes;
	connector->address[0] = strdup(options->address ? options->address : CONNECTOR_NEW);
	if (!options->address) {
		connector->address[1] = strdup(CONNECTOR_OLD);
		connector->at = 1;
	}
	if (options->ca_pem)
		connector->ca_pem = strdup(options->ca_pem);
	if (!connector->address[0] || (!options->address && !connector->address[1]) ||
		(options->ca_pem && !connector->ca_pem))
		return -ENOMEM;
	*out = &((struct real_connector *)take_pointer(&connector))->connector;
	return 0;
}
