/* A ClientApp in C++17: how far are the weights "w" from this node's data?
 * Build it with: c++ -shared -fPIC -o app.so app.cpp -lflwr-app */
#include <flwr/flwr.hpp>

#include <cmath>

static const std::vector<float> measured = {1, 2, 3, 4};

static void evaluate(flwr::call &call)
{
	auto w = call.content()["arrays"].data<float>("w"); /* not there: throws, an error reply */
	double squares = 0;

	if (w.size() != measured.size())
		throw std::length_error("w has not as many elements as there is data");
	for (std::size_t i = 0; i < w.size(); i++)
		squares += std::pow(w[i] - measured[i], 2);
	flwr::record metrics = call.reply().add("metrics", FLWR_METRICS);
	metrics.set("distance", std::sqrt(squares));
	metrics.set("num-examples", w.size());
}

const flwr_clientapp *flwr_app()
{
	static const flwr_handler handlers[] = {{"evaluate", flwr::handler<evaluate>, nullptr}, {}};
	static const flwr_clientapp app = flwr::app(handlers);
	return &app;
}
