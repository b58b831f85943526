// What flwr/flwr.hpp promises, beside what app.cpp shows. Prints nothing when all is well.
#include <flwr/flwr.hpp>

#include <algorithm>
#include <cstdio>
#include <cstring>

static int bad;

#define CHECK(right)                                                                               \
	((right) ? void()                                                                          \
		 : (std::printf("line %d: %s: %s\n", __LINE__, #right, flwr_error()),              \
			   void(bad = 1)))

template <class F> static int result_of(F f)
{
	try {
		f();
	} catch (const flwr::error &e) {
		return std::strlen(e.what()) > 0 ? e.result() : 1;
	} catch (const std::out_of_range &) {
		return 2;
	}
	return 0;
}

static void check_values()
{
	flwr::dict dict;
	flwr::record config = dict.add("config", FLWR_CONFIGS);
	flwr::record_view none = dict["none"];

	config.set("lr", 0.25);
	config.set("epochs", 3);
	config.set("on", true);
	config.set("name", "some text");
	config.set("size", std::size_t(7));
	config.set("ints", std::vector<std::int64_t>{1, 2, 3});
	config.set("doubles", std::vector<double>{0.5});
	CHECK(config.size() == 7 && std::strcmp(config.key(0), "lr") == 0);
	CHECK(config.get("lr", 0.1) == 0.25 && config.get<double>("epochs") == 3);
	CHECK(config.get<int>("epochs") == 3 && config.get<std::uint8_t>("epochs") == 3);
	CHECK(config.get("on", false) && config.get("off", true));
	CHECK(config.get("name", "other") == "some text" && config.get("x", "other") == "other");
	CHECK(config.get<std::string_view>("name") == "some text");
	CHECK(config.get<flwr::span<const std::int64_t>>("ints")[2] == 3);
	CHECK(config.get<flwr::span<const double>>("doubles").size() == 1);
	CHECK(!config.find<int>("x") && *config.find<int>("size") == 7);
	CHECK(!none && none.size() == 0 && !none.find<double>("lr") && none.get("lr", 0.5) == 0.5);
	CHECK(config.remove("on") && !config.remove("on"));

	config.set("large", INT64_MAX);
	config.set("negative", -1);
	CHECK(result_of([&] { config.get<int>("large"); }) == FLWR_E_RANGE);
	CHECK(result_of([&] { config.get<unsigned>("negative"); }) == FLWR_E_RANGE);
	CHECK(result_of([&] { config.get<std::uint64_t>("negative"); }) == FLWR_E_RANGE);
	CHECK(config.get<std::uint64_t>("large") == INT64_MAX && config.get<int>("negative") == -1);
	CHECK(result_of([&] { config.get<int>("x"); }) == FLWR_ABSENT);
	CHECK(result_of([&] { config.get("name", 0.5); }) == FLWR_E_TYPE);
	CHECK(result_of([&] { config.set("text", "\xff"); }) == FLWR_E_DATA);
	CHECK(result_of([&] { config.set("huge", UINT64_MAX); }) == 2);
	CHECK(result_of([&] { dict.add("config", FLWR_ARRAYS); }) == FLWR_FAILED);
}

template <class T> static void check_type(flwr_dtype dtype)
{
	flwr::dict dict;
	flwr::record arrays = dict.add("arrays", FLWR_ARRAYS);
	flwr::span<T> made = arrays.make<T>("a", {2, 3});

	CHECK(made.size() == 6 && made[5] == T());
	std::fill(made.begin(), made.end(), T(1));
	CHECK(arrays.data<T>("a")[1] == T(1) && arrays.data<T>("a").data() == made.data());
	CHECK(arrays.array("a").dtype == static_cast<std::uint32_t>(dtype));
	CHECK(arrays.make<T>("e", {0}).size() == 0 && arrays.make<T>("0d", {}).size() == 1);
}

static void check_arrays()
{
	flwr::dict dict;
	flwr::record arrays = dict.add("arrays", FLWR_ARRAYS), copy = dict.add("copy", FLWR_ARRAYS);
	const float *data = arrays.make<float>("w", {4}).data();

	copy.copy(arrays);
	CHECK(copy.data<float>("w").data() == data && copy.edit<float>("w").data() != data);
	CHECK(result_of([&] { arrays.data<double>("w"); }) == FLWR_FAILED);
	CHECK(result_of([&] { arrays.data<std::string>("w"); }) == FLWR_FAILED);
	CHECK(result_of([&] { arrays.make<float>("n", {-1}); }) == FLWR_FAILED);
	CHECK(result_of([&] { copy.copy(dict["none"]); }) < 0);
	CHECK(result_of([&] { arrays.array("none"); }) == FLWR_FAILED);
	check_type<std::int8_t>(FLWR_INT8);
	check_type<std::int16_t>(FLWR_INT16);
	check_type<std::int32_t>(FLWR_INT32);
	check_type<std::int64_t>(FLWR_INT64);
	check_type<std::uint8_t>(FLWR_UINT8);
	check_type<std::uint16_t>(FLWR_UINT16);
	check_type<std::uint32_t>(FLWR_UINT32);
	check_type<std::uint64_t>(FLWR_UINT64);
	check_type<float>(FLWR_FLOAT32);
	check_type<double>(FLWR_FLOAT64);
	check_type<long double>(FLWR_LONGDOUBLE);
	check_type<std::complex<float>>(FLWR_COMPLEX64);
	check_type<std::complex<double>>(FLWR_COMPLEX128);
	check_type<std::complex<long double>>(FLWR_CLONGDOUBLE);
	CHECK(flwr::dtype_of<bool>() == FLWR_BOOL);
}

static void throws_own(flwr::call &)
{
	throw std::runtime_error("no data here");
}

static void throws_number(flwr::call &)
{
	throw 5;
}

static void lacks(flwr::call &call)
{
	call.content()["config"].get<double>("lr");
}

static void around(flwr::call &call, flwr::next next)
{
	next();
	call.reply().add("metrics", FLWR_METRICS).set("n", 1);
}

static void check_error(const char *type, const char *sentence)
{
	static const flwr_handler handlers[] = {{"train", flwr::handler<throws_own>, nullptr},
		{"evaluate", flwr::handler<throws_number>, nullptr},
		{"query", flwr::handler<lacks>, nullptr}, {}};
	static const flwr_mod mods[] = {{nullptr, flwr::mod<around>, nullptr}, {}};
	static const flwr_clientapp app = flwr::app(handlers, mods);
	flwr::dict reply;

	CHECK(flwr_clientapp_call(&app, type, nullptr, nullptr, nullptr, reply.c()) == FLWR_E_APP);
	CHECK(std::strcmp(flwr_error(), sentence) == 0);
}

int main()
{
	CHECK(flwr::guard([] {
		check_values();
		check_arrays();
		check_error("train", "no data here");
		check_error("evaluate", "an exception that is no std::exception");
		check_error("query", "there is no record \"config\"; there is none");
	}) == 0);
	return bad;
}
