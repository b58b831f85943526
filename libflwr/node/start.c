/*
 * start: flwr_start_client() and flwr_start_numpy_client(): a node that is made, run and freed.
 */
#include "common/base/clock.h"
#include "libflwr/app/error_internal.h"

#include <flwr/client.h>

#include <stdatomic.h>

/* Said once in a process. */
static atomic_bool client_said, numpy_said;

static void say_deprecated(const struct flwr_options *options, atomic_bool *said, const char *text)
{
	bool wanted = options->log && (!options->log_level || options->log_level >= FLWR_LOG_WARN);

	if (wanted && !atomic_exchange(said, true))
		options->log(FLWR_LOG_WARN, clock_wall_s(), text, options->log_user);
}

static int start(const struct flwr_options *options)
{
	struct flwr_node *node;
	struct reason why;
	int r = flwr_node_new(options, &node);

	if (r)
		return r;
	r = flwr_node_run(node);
	reason_set(&why, "%s", flwr_error());
	/* A release() or a log function of the program may set another sentence. */
	flwr_node_free(node);
	return r ? error_from(r, &why) : 0;
}

static int read_options(const struct flwr_options *given, struct flwr_options *out)
{
	int r = table_read(given, out, sizeof *out,
		offsetof(struct flwr_options, log) + sizeof(flwr_log_fn *), "struct flwr_options");

	if (r == 0 && out->app)
		r = error_set(FLWR_E_ARGUMENT, "options.app is for flwr_node_new()");
	out->size = sizeof *out;
	return r;
}

int flwr_start_client(const struct flwr_options *given)
{
	struct flwr_options options;
	int r = read_options(given, &options);

	if (r)
		return r;
	say_deprecated(&options, &client_said,
		"DEPRECATED FEATURE: flwr.client.start_client() is deprecated. Instead, use `flower-supernode --insecure --superlink='<IP>:<PORT>'` to start a SuperNode");
	return start(&options);
}

int flwr_start_numpy_client(const struct flwr_options *given)
{
	struct flwr_options options;
	int r = read_options(given, &options);

	if (r == 0 && options.client_fn)
		r = error_set(FLWR_E_ARGUMENT,
			"options.client_fn is for flwr_start_client(): flwr_start_numpy_client() takes a client");
	if (r)
		return r;
	options.numpy = 1;
	say_deprecated(&options, &numpy_said,
		"DEPRECATED FEATURE: flwr.client.start_numpy_client() is deprecated. Instead, use flwr_start_client()");
	return start(&options);
}
