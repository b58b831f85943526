/* A ClientApp in C++17 with nothing but the C headers: what does this node's data make of the
 * weights "w"? Build it with: c++ -shared -fPIC -o app.so app.cpp -lflwr-app */
#include <flwr/clientapp.h>

#include <cmath>
#include <functional>
#include <numeric>
#include <vector>

static const std::vector<float> measured = {1, 2, 3, 4};

static int evaluate(flwr_call *call)
{
	const flwr_record *arrays = flwr_dict_get(call->content, "arrays");
	std::size_t n = 0;
	auto *w = static_cast<const float *>(flwr_get_data(arrays, "w", FLWR_FLOAT32, &n));

	if (w == nullptr)
		return FLWR_FAILED; /* flwr_error() says why, and so does the error reply */
	if (n != measured.size())
		return flwr_failf("w has %zu elements, not %zu", n, measured.size());
	double squares = std::transform_reduce(measured.begin(), measured.end(), w, 0.0,
		std::plus<>(), [](float a, float b) { return std::pow(a - b, 2); });
	flwr_record *metrics = flwr_dict_add(call->reply, "metrics", FLWR_METRICS);
	flwr_set_double(metrics, "distance", std::sqrt(squares));
	return flwr_set_int(metrics, "num-examples", static_cast<int64_t>(n));
}

const flwr_clientapp *flwr_app()
{
	static const flwr_handler handlers[] = {{"evaluate", evaluate, nullptr}, {}};
	static const flwr_clientapp app = {sizeof app, FLWR_VERSION, handlers, nullptr};
	return &app;
}
