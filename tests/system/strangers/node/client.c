/* A stranger's program with a client in it, at a server that is not there. */
#include <flwr/client.h>

#include <stdio.h>
#include <string.h>

/* Names that the library has inside, too: they are not its business. */
int error_set(void);
int error_set(void)
{
	return 42;
}

int slice_ref(void);
int slice_ref(void)
{
	return 43;
}

static int fit(const struct flwr_ins *ins, struct flwr_res *res)
{
	res->num_examples = 1;
	return flwr_record_copy(res->parameters, ins->parameters);
}

int main(void)
{
	static const struct flwr_client client = {.size = sizeof client, .fit = fit};
	const struct flwr_options options = {.size = sizeof options,
		.server_address = "127.0.0.1:1",
		.max_retries = FLWR_NEVER,
		.client = &client};
	int r = flwr_start_client(&options);

	printf("%s %d %d\n", flwr_result_name(r), error_set(), slice_ref());
	return strstr(flwr_error(), "127.0.0.1:1") ? 0 : 1;
}
