/*
 * The app of the measurements in C, for scripts/bench --native: tells when it ran and gives back
 * what it got, as tiny/ and tiny-objects/ do in Python.
 */
#include <flwr/clientapp.h>

#include <time.h>

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int query(struct flwr_call *call)
{
	const double began = now_s();
	const struct flwr_record *bulk = flwr_dict_get(call->content, "bulk");
	struct flwr_record *times = flwr_dict_add(call->reply, "times", FLWR_METRICS);

	if (bulk)
		flwr_record_copy(flwr_dict_add(call->reply, "bulk", FLWR_ARRAYS), bulk);
	flwr_set_double(times, "began", began);
	return flwr_set_double(times, "ended", now_s());
}

const struct flwr_clientapp *flwr_app(void)
{
	static const struct flwr_handler handlers[] = {{"query", query, NULL}, {NULL, NULL, NULL}};
	static const struct flwr_clientapp app = {sizeof app, FLWR_VERSION, handlers, NULL};

	return &app;
}
