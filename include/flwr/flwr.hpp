/*
 * flwr/flwr.hpp - the library in C++17: objects that free themselves, spans, and exceptions, which
 * become error replies. All of it is inline: link what the C headers ask for.
 *
 *     static void train(flwr::call &call)
 *     {
 *         double lr = call.content()["config"].get("lr", 0.1);
 *         flwr::record arrays = call.reply().add("arrays", FLWR_ARRAYS);
 *         arrays.copy(call.content()["arrays"]);
 *         for (float &w : arrays.edit<float>("w"))
 *             w += static_cast<float>(lr) * (1 - w);
 *         call.reply().add("metrics", FLWR_METRICS).set("num-examples", 8);
 *     }
 *
 * {"train", flwr::handler<train>, nullptr} is its row of the table, flwr::app(handlers) the table.
 * Functions throw flwr::error where those of C fail. A view ends with what it looks at.
 */
#ifndef FLWR_FLWR_HPP
#define FLWR_FLWR_HPP

#include <flwr/client.h>

#include <complex>
#include <initializer_list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace flwr
{
/* A result of the library, and its sentence as what(). */
struct error : std::runtime_error {
	explicit error(int result) : std::runtime_error(flwr_error()), result_(result) {}
	int result() const noexcept { return result_; }

private:
	int result_;
};

inline int check(int result) { return result < 0 ? throw error(result) : result; }

template <class T> T *check(T *pointer)
{
	return pointer == nullptr ? throw error(FLWR_FAILED) : pointer;
}

/* Elements that belong to somebody else. */
template <class T> class span
{
public:
	span() = default;
	span(T *data, std::size_t size) : data_(data), size_(size) {}
	T *data() const { return data_; }
	std::size_t size() const { return size_; }
	T *begin() const { return data_; }
	T *end() const { return data_ + size_; }
	T &operator[](std::size_t i) const { return data_[i]; }

private:
	T *data_ = nullptr;
	std::size_t size_ = 0;
};

/* The dtype of elements of type T. (float16 has no type in C++17: take the C functions.) */
template <class T> constexpr flwr_dtype dtype_of()
{
	constexpr std::size_t n = sizeof(T);
	constexpr int step = n == 1 ? 0 : n == 2 ? 1 : n == 4 ? 2 : 3;
	if (std::is_same_v<T, bool>)
		return FLWR_BOOL;
	if (std::is_integral_v<T>)
		return flwr_dtype((std::is_signed_v<T> ? FLWR_INT8 : FLWR_UINT8) + step);
	if (std::is_floating_point_v<T>)
		return n == 4 ? FLWR_FLOAT32 : n == 8 ? FLWR_FLOAT64 : FLWR_LONGDOUBLE;
	return std::is_same_v<T, std::complex<float>>         ? FLWR_COMPLEX64
	       : std::is_same_v<T, std::complex<double>>      ? FLWR_COMPLEX128
	       : std::is_same_v<T, std::complex<long double>> ? FLWR_CLONGDOUBLE
							      : FLWR_OTHER;
}

/* A record to be read; one that is not there has no entries. Values may be asked for as bool, any
 * integer (that fits), double, std::string, std::string_view, span<const std::int64_t>, span<const
 * double>; elements of arrays as what dtype_of() knows. */
class record_view
{
public:
	record_view(const flwr_record *r) : record_(r) {}
	const flwr_record *c() const { return record_; }
	explicit operator bool() const { return record_ != nullptr; }
	std::size_t size() const { return flwr_record_count(record_); }
	const char *key(std::size_t i) const { return check(flwr_record_key(record_, i)); }

	/* A value, if there is one; a value, which must be there; or else another one. */
	template <class T> std::optional<T> find(const char *key) const
	{
		T value{};
		return check(read(key, value)) == 0 ? std::optional<T>(value) : std::nullopt;
	}
	template <class T> T get(const char *key) const
	{
		std::optional<T> value = find<T>(key);
		return value ? *value : throw error(FLWR_ABSENT);
	}
	template <class T> T get(const char *key, T otherwise) const
	{
		return find<T>(key).value_or(otherwise);
	}
	std::string get(const char *key, const char *otherwise) const
	{
		return find<std::string>(key).value_or(otherwise);
	}

	const flwr_array &array(const char *key) const
	{
		return *check(flwr_get_array(record_, key));
	}
	template <class T> span<const T> data(const char *key) const
	{
		std::size_t n = 0;
		const void *data = check(flwr_get_data(record_, key, dtype_of<T>(), &n));
		return {static_cast<const T *>(data), n};
	}

private:
	int read(const char *key, bool &out) const { return flwr_get_bool(record_, key, &out); }
	int read(const char *key, double &out) const { return flwr_get_double(record_, key, &out); }
	template <class T> int read(const char *key, span<const T> &out) const
	{
		const T *data = nullptr;
		std::size_t n = 0;
		int result = 0;
		if constexpr (std::is_same_v<T, double>)
			result = flwr_get_doubles(record_, key, &data, &n);
		else
			result = flwr_get_ints(record_, key, &data, &n);
		out = {data, n};
		return result;
	}
	template <class T> int read(const char *key, T &out) const
	{
		if constexpr (std::is_integral_v<T>) {
			std::int64_t value = 0;
			int result = flwr_get_int(record_, key, &value);
			out = static_cast<T>(value);
			if (static_cast<std::int64_t>(out) == value && (out < T(1)) == (value < 1))
				return result;
			flwr_failf("\"%s\" is too large or too small", key);
			return FLWR_E_RANGE;
		} else {
			const char *text = "";
			int result = flwr_get_string(record_, key, &text);
			out = text;
			return result;
		}
	}
	const flwr_record *record_;
};

/* A record to be written to. */
class record : public record_view
{
public:
	record(flwr_record *r) : record_view(r), record_(r) {}
	flwr_record *c() const { return record_; }

	template <class T> std::enable_if_t<std::is_arithmetic_v<T>> set(const char *key, T value)
	{
		if constexpr (std::is_same_v<T, bool>)
			check(flwr_set_bool(record_, key, value));
		else if constexpr (std::is_floating_point_v<T>)
			check(flwr_set_double(record_, key, static_cast<double>(value)));
		else if (std::is_unsigned_v<T> && static_cast<std::uint64_t>(value) >> 63)
			throw std::out_of_range(key); /* flwr_set_value() takes it */
		else
			check(flwr_set_int(record_, key, static_cast<std::int64_t>(value)));
	}
	void set(const char *key, std::string_view text)
	{
		flwr_value value{FLWR_VALUE_STRING, 0, 0, {}};
		value.as.s = {text.data(), text.size()};
		check(flwr_set_value(record_, key, &value));
	}
	void set(const char *key, const std::vector<std::int64_t> &list)
	{
		check(flwr_set_ints(record_, key, list.data(), list.size()));
	}
	void set(const char *key, const std::vector<double> &list)
	{
		check(flwr_set_doubles(record_, key, list.data(), list.size()));
	}
	void copy(record_view from) { check(flwr_record_copy(record_, from.c())); }
	bool remove(const char *key) { return check(flwr_record_remove(record_, key)) == 0; }

	/* Elements to be written to: of a new array, zero at first, or of one that is there. */
	template <class T> span<T> make(const char *key, std::initializer_list<std::int64_t> shape)
	{
		check(flwr_new_array(record_, key, dtype_of<T>(), shape.size(), shape.begin()));
		return edit<T>(key);
	}
	template <class T> span<T> edit(const char *key)
	{
		std::size_t n = 0;
		void *data = check(flwr_edit_data(record_, key, dtype_of<T>(), &n));
		return {static_cast<T *>(data), n};
	}

private:
	flwr_record *record_;
};

/* A dict of somebody else, and one of your own. */
class dict_view
{
public:
	dict_view(flwr_dict *d) : dict_(d) {}
	flwr_dict *c() const { return dict_; }
	std::size_t size() const { return flwr_dict_count(dict_); }
	record_view operator[](const char *name) const { return flwr_dict_get(dict_, name); }
	record add(const char *name, flwr_kind k) { return check(flwr_dict_add(dict_, name, k)); }

private:
	flwr_dict *dict_;
};

struct dict : dict_view {
	dict() : dict_view(check(flwr_dict_new())), own_(c(), flwr_dict_free) {}

private:
	std::unique_ptr<flwr_dict, void (*)(flwr_dict *)> own_;
};

/* A message, as handlers and mods are given it. */
class call
{
public:
	explicit call(flwr_call *c) : call_(c) {}
	flwr_call *c() const { return call_; }
	dict_view content() const { return call_->content; }
	dict_view reply() const { return call_->reply; }
	dict_view state() const { return call_->context->state; }
	record_view node_config() const { return call_->context->node_config; }
	record_view run_config() const { return call_->context->run_config; }
	const flwr_message &message() const { return *call_->message; }

private:
	flwr_call *call_;
};

/* The mod or handler behind a mod; it throws when that fails. */
class next
{
public:
	explicit next(flwr_next *n) : next_(n) {}
	void operator()() const { check(flwr_call_next(next_)); }

private:
	flwr_next *next_;
};

/* Call f; an exception becomes the result and the sentence of an error reply. */
template <class F> int guard(F f) noexcept
{
	try {
		f();
		return 0;
	} catch (const std::exception &e) {
		return flwr_fail(e.what());
	} catch (...) {
		return flwr_fail("an exception that is no std::exception");
	}
}

/* Functions of C++ for the tables of C. */
template <void (*F)(call &)> int handler(flwr_call *c) noexcept
{
	call wrapped(c);
	return guard([&] { F(wrapped); });
}
template <void (*F)(call &, next)> int mod(flwr_call *c, flwr_next *n) noexcept
{
	call wrapped(c);
	return guard([&] { F(wrapped, next(n)); });
}
template <void (*F)(const flwr_ins &, flwr_res &)>
int method(const flwr_ins *ins, flwr_res *res) noexcept
{
	return guard([ins, res] { F(*ins, *res); });
}
inline flwr_clientapp app(const flwr_handler *handlers, const flwr_mod *mods = nullptr)
{
	return {sizeof(flwr_clientapp), FLWR_VERSION, handlers, mods};
}

} // namespace flwr

#endif
