// The same ClientApp in C++.
#include <flwr/flwr.hpp>

static void train(flwr::call &call)
{
	double lr = call.content()["config"].get("lr", 0.1);
	flwr::record arrays = call.reply().add("arrays", FLWR_ARRAYS);

	arrays.copy(call.content()["arrays"]);
	for (float &w : arrays.edit<float>("w"))
		w += static_cast<float>(lr) * (1 - w);
	call.reply().add("metrics", FLWR_METRICS).set("num-examples", 8);
}

static void timed(flwr::call &call, flwr::next next)
{
	next();
	call.reply().add("metrics", FLWR_METRICS).set("seconds", 0.5);
}

const flwr_clientapp *flwr_app()
{
	static const flwr_handler handlers[] = {{"train", flwr::handler<train>, nullptr}, {}};
	static const flwr_mod mods[] = {{"train", flwr::mod<timed>, nullptr}, {}};
	static const flwr_clientapp app = flwr::app(handlers, mods);
	return &app;
}
