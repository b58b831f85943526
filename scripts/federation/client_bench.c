/*
 * The client of the measurements in C, for scripts/bench --native, and the smallest program with
 * libflwr in it: client-bench ADDRESS TRANSPORT. It does nothing in each call, as
 * bidi_peer.py does in Python.
 */
#include <flwr/client.h>

#include <stdio.h>

static int get_properties(const struct flwr_ins *ins, struct flwr_res *res)
{
	(void)ins;
	(void)res;
	return 0;
}

static int fit(const struct flwr_ins *ins, struct flwr_res *res)
{
	res->num_examples = 1;
	return flwr_record_copy(res->parameters, ins->parameters);
}

int main(int argc, char **argv)
{
	const struct flwr_client client = {
		.size = sizeof client, .get_properties = get_properties, .fit = fit};
	const struct flwr_options options = {.size = sizeof options,
		.server_address = argc > 1 ? argv[1] : NULL,
		.transport = argc > 2 ? argv[2] : NULL,
		.client = &client};

	if (flwr_start_client(&options) == 0)
		return 0;
	fprintf(stderr, "client-bench: %s\n", flwr_error());
	return 1;
}
