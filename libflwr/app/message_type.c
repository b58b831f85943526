/*
 * message_type: the parts of a type, and their comparison.
 */
#include "libflwr/app/message_type.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"

#include <string.h>

#define DEFAULT_ACTION "default"

/* A letter of an identifier; Python takes letters of all languages, which are not told apart here.
 */
static bool is_letter(unsigned char c, bool first)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80 ||
	       (!first && c >= '0' && c <= '9');
}

static bool is_identifier(const char *text)
{
	for (const char *at = text; *at; at++) {
		if (!is_letter((unsigned char)*at, at == text))
			return false;
	}
	return *text && utf8_valid(text, strlen(text));
}

static struct message_type split(const char *type)
{
	const size_t len = strcspn(type, ".");

	return (struct message_type){
		.category_len = len, .action = type[len] ? type + len + 1 : DEFAULT_ACTION};
}

bool message_type_parse(const char *type, struct message_type *out)
{
	static const char *const categories[] = {"train", "evaluate", "query"};
	const struct message_type parts = split(type);

	for (size_t i = 0; i < ARRAY_LEN(categories); i++) {
		if (strlen(categories[i]) != parts.category_len ||
			memcmp(type, categories[i], parts.category_len) != 0)
			continue;
		*out = parts;
		return is_identifier(parts.action);
	}
	return false;
}

bool message_type_equal(const char *a, const char *b)
{
	const struct message_type x = split(a), y = split(b);

	return x.category_len == y.category_len && memcmp(a, b, x.category_len) == 0 &&
	       strcmp(x.action, y.action) == 0;
}
