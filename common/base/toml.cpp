/*
 * toml: around tomlplusplus. No exception leaves this file.
 */
/* The library's namespace has the name of our struct. */
#define toml toml_document
extern "C" {
#include "common/base/toml.h"
}
#undef toml

#include <toml++/toml.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <string>
#include <string_view>
#include <vector>

namespace
{

constexpr size_t depth_max = 64;

/*
 * How deep a text nests, found out before the library builds it: a line of many dots is a table in
 * a table in a table, which would be freed by recursion. Strings and comments are skipped, a
 * malformed text ends somewhere.
 */
class nesting
{
      public:
	explicit nesting(std::string_view document) : text(document)
	{
	}

	bool too_deep()
	{
		while (at < text.size()) {
			char c = text[at];

			if (c == '"' || c == '\'') {
				skip_string(c);
				statement = true;
				continue;
			}
			if (c == '#') {
				at = std::min(text.find('\n', at), text.size());
				continue;
			}
			structure(c);
			if (depth > depth_max || header + depth + dots > depth_max)
				return true;
			at++;
		}
		return false;
	}

      private:
	void structure(char c)
	{
		if (c == '\n' && depth == 0)
			end_line();
		else if (c == '[' && depth == 0 && !statement)
			start_header();
		else if (in_header)
			header += c == '.';
		else if (c == '[' || c == '{')
			open(c == '{');
		else if (c == ']' || c == '}')
			close();
		else if (c == ',')
			next();
		else if (c == '=')
			in_key = false;
		else if (c == '.' && in_key)
			dots++;
		if (c != ' ' && c != '\t' && c != '\r' && c != '\n')
			statement = true;
	}

	void start_header()
	{
		in_header = true;
		header = 0;
	}

	void end_line()
	{
		dots = 0;
		in_key = true;
		statement = false;
		in_header = false;
	}

	void open(bool table)
	{
		if (++depth > depth_max)
			return;
		outer[depth] = dots;
		is_table[depth] = table;
		in_key = table;
	}

	void close()
	{
		if (depth == 0)
			return;
		dots = outer[depth--];
		in_key = false;
	}

	void next()
	{
		if (depth == 0)
			return;
		dots = outer[depth];
		in_key = is_table[depth];
	}

	void skip_string(char quote)
	{
		const std::string three(3, quote);
		bool multi = text.compare(at, 3, three) == 0;

		at += multi ? 3 : 1;
		while (at < text.size()) {
			char c = text[at];

			if (c == '\\' && quote == '"') {
				at += 2;
				continue;
			}
			if (!multi && (c == quote || c == '\n')) {
				at += c == quote;
				return;
			}
			if (multi && c == quote && text.compare(at, 3, three) == 0) {
				at += 3;
				/* Up to two more quotes belong to the string. */
				for (int i = 0; i < 2 && at < text.size() && text[at] == quote; i++)
					at++;
				return;
			}
			at++;
		}
	}

	std::string_view text;
	size_t at = 0;
	size_t header = 0; /* dots of the last header */
	size_t depth = 0;  /* open brackets of the value at hand */
	size_t dots = 0;   /* of the keys around and at this place */
	size_t outer[depth_max + 1] = {};
	bool is_table[depth_max + 1] = {};
	bool in_key = true;
	bool in_header = false;
	bool statement = false; /* the line has begun */
};

bool deeper_than(const toml::node &node, size_t levels)
{
	auto within = [levels](const toml::node &inner) {
		return levels == 0 || deeper_than(inner, levels - 1);
	};

	if (const toml::table *table = node.as_table())
		return std::any_of(table->cbegin(), table->cend(),
			[&](const auto &entry) { return within(entry.second); });
	if (const toml::array *array = node.as_array())
		return std::any_of(array->cbegin(), array->cend(),
			[&](const toml::node &inner) { return within(inner); });
	return false;
}

const toml::node *find(const toml::table &root, std::string_view path)
{
	const toml::node *node = &root;

	while (node && !path.empty()) {
		size_t dot = std::min(path.find('.'), path.size());
		const toml::table *table = node->as_table();

		node = table ? table->get(path.substr(0, dot)) : nullptr;
		path.remove_prefix(std::min(dot + 1, path.size()));
	}
	return node;
}

struct leaf {
	std::string key;
	const toml::node *node;
};

void collect(const toml::table &table, const std::string &prefix, std::vector<leaf> &out)
{
	for (const auto &[key, node] : table) {
		std::string path = prefix.empty() ? std::string(key.str())
						  : prefix + "." + std::string(key.str());

		if (const toml::table *inner = node.as_table())
			collect(*inner, path, out);
		else
			out.push_back({path, &node});
	}
}

bool is_before(const leaf &a, const leaf &b)
{
	const auto &x = a.node->source().begin;
	const auto &y = b.node->source().begin;

	return x.line != y.line ? x.line < y.line : x.column < y.column;
}

/* Two ways to write one key ("a.b" and a.b): the later one holds, at the place of the first. */
void unite(std::vector<leaf> &leaves)
{
	std::vector<size_t> order(leaves.size());
	std::vector<leaf> united;

	for (size_t i = 0; i < order.size(); i++)
		order[i] = i;
	std::stable_sort(order.begin(), order.end(),
		[&](size_t a, size_t b) { return leaves[a].key < leaves[b].key; });
	for (size_t i = 1, first = 0; i < order.size(); i++) {
		if (leaves[order[i]].key != leaves[order[first]].key) {
			first = i;
			continue;
		}
		leaves[order[first]].node = leaves[order[i]].node;
		leaves[order[i]].node = nullptr;
	}
	for (leaf &one : leaves) {
		if (one.node)
			united.push_back(std::move(one));
	}
	leaves.swap(united);
}

int append(const leaf &one, value_map *out, reason *why)
{
	const toml::node &node = *one.node;
	struct value value = {};

	if (one.key.find('\0') != std::string::npos)
		return reason_code(why, -EINVAL, "a key must not contain a NUL character");
	if (const auto *text = node.as_string()) {
		const std::string &s = text->get();

		if (value_set_bytes(&value, VALUE_STRING, s.data(), s.size()) < 0)
			return -ENOMEM;
	} else if (const auto *integer = node.as_integer()) {
		value.kind = VALUE_SINT;
		value.i = integer->get();
	} else if (const auto *floating = node.as_floating_point()) {
		value.kind = VALUE_DOUBLE;
		value.d = floating->get();
	} else if (const auto *boolean = node.as_boolean()) {
		value.kind = VALUE_BOOL;
		value.b = boolean->get();
	} else {
		return reason_code(why, -EINVAL,
			"the value of %.100s is %s: it must be a bool, an integer, a float or a "
			"string",
			one.key.c_str(), node.is_array() ? "an array" : "a date or a time");
	}
	return value_map_append(out, one.key.data(), one.key.size(), &value);
}

} // namespace

struct toml_document {
	toml::table root;
};

namespace
{

int parse(std::string_view text, struct toml_document **out, reason *why)
{
	if (nesting(text).too_deep())
		return reason_code(why, -EINVAL, "the TOML document is nested too deeply");
	try {
		toml::table root = toml::parse(text);

		if (deeper_than(root, depth_max))
			return reason_code(why, -EINVAL, "the TOML document is nested too deeply");
		*out = new toml_document{std::move(root)};
	} catch (const toml::parse_error &error) {
		return reason_code(why, -EINVAL, "line %u: %.300s",
			(unsigned int)error.source().begin.line,
			std::string(error.description()).c_str());
	}
	return 0;
}

int flatten(const toml::table &root, const char *path, value_map *out, reason *why)
{
	const toml::node *node = find(root, path);
	std::vector<leaf> leaves;

	if (!node)
		return 0;
	if (!node->is_table())
		return reason_code(why, -EINVAL, "%.100s is not a table", path);
	collect(*node->as_table(), "", leaves);
	std::stable_sort(leaves.begin(), leaves.end(), is_before);
	unite(leaves);
	for (const leaf &one : leaves) {
		int r = append(one, out, why);

		if (r < 0)
			return r;
	}
	return 0;
}

} // namespace

extern "C" int toml_parse(
	const char *text, size_t len, struct toml_document **out, struct reason *why)
{
	try {
		return parse(std::string_view(text, len), out, why);
	} catch (...) { /* of memory, that is */
		return -ENOMEM;
	}
}

extern "C" const char *toml_string(const struct toml_document *doc, const char *path)
{
	try {
		const toml::node *node = find(doc->root, path);
		const auto *text = node ? node->as_string() : nullptr;

		if (!text || text->get().find('\0') != std::string::npos)
			return nullptr;
		return text->get().c_str();
	} catch (...) {
		return nullptr;
	}
}

extern "C" int toml_flatten(const struct toml_document *doc, const char *path,
	struct value_map *out, struct reason *why)
{
	try {
		return flatten(doc->root, path, out, why);
	} catch (...) {
		return -ENOMEM;
	}
}

extern "C" void toml_free(struct toml_document *doc)
{
	delete doc;
}
