/* A ClientApp that moves the weights "w" towards 1, by "lr" of the way. */
#include <flwr/clientapp.h>

static int train(struct flwr_call *call)
{
	struct flwr_record *arrays = flwr_dict_add(call->reply, "arrays", FLWR_ARRAYS);
	double lr = 0.1; /* when the message's config has no "lr" */
	size_t n;

	if (flwr_get_double(flwr_dict_get(call->content, "config"), "lr", &lr) < 0)
		return FLWR_FAILED; /* an error reply: `config "lr" is a string, not a number` */
	flwr_record_copy(arrays, flwr_dict_get(call->content, "arrays"));
	float *w = flwr_edit_data(arrays, "w", FLWR_FLOAT32, &n);
	for (size_t i = 0; i < n; i++)
		w[i] += (float)lr * (1 - w[i]);
	return flwr_set_int(flwr_dict_add(call->reply, "metrics", FLWR_METRICS), "num-examples", 8);
}

const struct flwr_clientapp *flwr_app(void)
{
	static const struct flwr_handler handlers[] = {{"train", train, NULL}, {NULL, NULL, NULL}};
	static const struct flwr_clientapp app = {sizeof app, FLWR_VERSION, handlers, NULL};
	return &app;
}
