#include "common/config/toml_source.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

source_text::source_text(std::string_view document)
{
	bytes.reserve(document.size());
	/* Flower's parser leaves them out too, which makes a difference within strings. */
	for (size_t i = 0; i < document.size(); i++)
		if (document.compare(i, 2, "\r\n") != 0)
			bytes.push_back(document[i]);
	lines.push_back(0);
	for (size_t i = 0; i < bytes.size(); i++) {
		if ((bytes[i] & 0xc0) == 0x80)
			continue;
		characters.push_back(static_cast<uint32_t>(i));
		if (bytes[i] == '\n')
			lines.push_back(static_cast<uint32_t>(characters.size()));
	}
}

size_t source_text::at(size_t line, size_t column) const
{
	size_t i;

	if (line < 1 || column < 1 || line > lines.size())
		return bytes.size();
	i = lines[line - 1] + column - 1;
	return i < characters.size() ? characters[i] : bytes.size();
}

namespace
{

/* ---- numbers that the library does not take ---- */

bool is_number_part(char c)
{
	return isalnum(static_cast<unsigned char>(c)) || strchr("_+-.", c);
}

/* Digits of the base with single underscores between them: how many characters of text. */
size_t digits(std::string_view text, int base)
{
	size_t i = 0;

	while (i < text.size()) {
		size_t digit = i + (i > 0 && text[i] == '_');
		unsigned char c = digit < text.size() ? static_cast<unsigned char>(text[digit]) : 0;
		int value = isdigit(c) ? c - '0' : isxdigit(c) ? tolower(c) - 'a' + 10 : 99;

		if (value >= base)
			break;
		i = digit + 1;
	}
	return i;
}

enum number { NO_NUMBER, INTEGER, FLOATING_POINT };

number kind_of(std::string_view word)
{
	static const struct {
		const char *prefix;
		int base;
	} forms[] = {{"0x", 16}, {"0o", 8}, {"0b", 2}};
	size_t at, n;

	for (const auto &form : forms)
		if (word.size() > 2 && word.compare(0, 2, form.prefix) == 0)
			return digits(word.substr(2), form.base) == word.size() - 2 ? INTEGER
										    : NO_NUMBER;
	at = !word.empty() && (word[0] == '+' || word[0] == '-');
	n = digits(word.substr(at), 10);
	if (n == 0 || (n > 1 && word[at] == '0'))
		return NO_NUMBER;
	at += n;
	if (at == word.size())
		return INTEGER;
	if (word[at] == '.') {
		n = digits(word.substr(at + 1), 10);
		if (n == 0)
			return NO_NUMBER;
		at += 1 + n;
	}
	if (at < word.size() && (word[at] == 'e' || word[at] == 'E')) {
		at++;
		at += at < word.size() && (word[at] == '+' || word[at] == '-');
		n = digits(word.substr(at), 10);
		if (n == 0)
			return NO_NUMBER;
		at += n;
	}
	return at == word.size() ? FLOATING_POINT : NO_NUMBER;
}

std::string without_underscores(std::string_view word)
{
	std::string plain(word);

	plain.erase(std::remove(plain.begin(), plain.end(), '_'), plain.end());
	return plain;
}

bool fits(std::string_view integer, long long *out = nullptr)
{
	long long value;
	std::string plain = without_underscores(integer);
	int base = 10;

	if (plain.size() > 2 && plain[0] == '0') {
		base = plain[1] == 'x' ? 16 : plain[1] == 'o' ? 8 : 2;
		plain.erase(0, 2);
	}
	errno = 0;
	value = strtoll(plain.c_str(), nullptr, base);
	if (out)
		*out = value;
	return errno == 0;
}

/* The library's own way to write a floating-point number that is too large, small or long for it.
 */
std::string shorter(std::string_view floating_point)
{
	double value = strtod(without_underscores(floating_point).c_str(), nullptr);
	char text[64];

	if (std::isinf(value))
		return value < 0 ? "-inf" : "inf";
	if (value == 0)
		return std::signbit(value) ? "-0.0" : "0.0";
	snprintf(text, sizeof(text), "%.16e", value);
	return text;
}

} // namespace

bool rewriting::at(size_t offset)
{
	size_t end = offset, begin;

	while (end < source.bytes.size() && is_number_part(source.bytes[end]))
		end++;
	while (end > 0 && !is_number_part(source.bytes[end - 1]))
		end--;
	begin = start_of(end);
	if (!replace(begin, end))
		return false;
	while ((begin = next_in_list(end)) != std::string::npos) {
		end = end_of(begin);
		if (!fits(word(begin, end)))
			replace(begin, end);
	}
	return true;
}

std::string_view rewriting::word(size_t begin, size_t end) const
{
	return std::string_view(source.bytes).substr(begin, end - begin);
}

size_t rewriting::start_of(size_t end) const
{
	while (end > 0 && is_number_part(source.bytes[end - 1]))
		end--;
	return end;
}

size_t rewriting::end_of(size_t begin) const
{
	while (begin < source.bytes.size() && is_number_part(source.bytes[begin]))
		begin++;
	return begin;
}

size_t rewriting::skip(size_t place) const
{
	return std::min(source.bytes.find_first_not_of(" \t\n", place), source.bytes.size());
}

/* The integer behind this one's comma, or npos: the numbers of a list are replaced at once. A word
 * in front of '=' or '.' is a key. */
size_t rewriting::next_in_list(size_t end) const
{
	size_t place = skip(end), after;

	if (place == source.bytes.size() || source.bytes[place] != ',')
		return std::string::npos;
	place = skip(place + 1);
	after = skip(end_of(place));
	if (after == source.bytes.size() || !strchr(",]#", source.bytes[after]) ||
		kind_of(word(place, end_of(place))) != INTEGER)
		return std::string::npos;
	return place;
}

bool rewriting::replace(size_t begin, size_t end)
{
	number kind = kind_of(word(begin, end));
	bool is_large = false;
	std::string other;

	if (kind == NO_NUMBER)
		return false;
	if (kind == INTEGER) {
		long long value;

		is_large = !fits(word(begin, end), &value);
		other = is_large ? "0" : std::to_string(value);
	} else {
		other = shorter(word(begin, end));
	}
	if (other.size() > end - begin)
		return false;
	other.resize(end - begin, ' ');
	if (source.bytes.compare(begin, other.size(), other) == 0)
		return false;
	source.bytes.replace(begin, other.size(), other);
	if (is_large)
		large.insert(begin);
	return true;
}
