/*
 * Fuzz target: a node's configuration as its operator writes it, key=value: what was taken can be
 * written again and means the same; and it can stand for a run's configuration.
 */
#include "fuzz.h"

#include "common/base/text.h"
#include "common/config/config.h"

#include <inttypes.h>
#include <math.h>

FUZZ_MEMORY(1024, 1024);

static bool is_file(const char *text)
{
	size_t len = strlen(text);

	return len >= 5 && strcmp(text + len - 5, ".toml") == 0;
}

/* A basic string of TOML: what a key or a value may have is written as an escape. */
static void put_string(struct text *out, const char *string, size_t len)
{
	CHECK(text_add(out, "\"", 1) == 0);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)string[i] <= ' ' || strchr("\"\\='\x7f", string[i]))
			CHECK(text_printf(out, "\\u%04x", (unsigned char)string[i]) == 0);
		else
			CHECK(text_add(out, string + i, 1) == 0);
	CHECK(text_add(out, "\"", 1) == 0);
}

static void put_double(struct text *out, double number)
{
	char digits[64];

	if (isfinite(number))
		snprintf(digits, sizeof digits, "%.17e", number);
	else
		snprintf(digits, sizeof digits, "%s%s", signbit(number) ? "-" : "",
			isnan(number) ? "nan" : "inf");
	CHECK(text_add(out, digits, strlen(digits)) == 0);
}

static void put_value(struct text *out, const struct value *value)
{
	if (value->kind == VALUE_BOOL)
		CHECK(text_printf(out, "%s", value->b ? "true" : "false") == 0);
	else if (value->kind == VALUE_SINT)
		CHECK(text_printf(out, "%" PRId64, value->i) == 0);
	else if (value->kind == VALUE_DOUBLE)
		put_double(out, value->d);
	else if (value->kind == VALUE_STRING)
		put_string(out, value->s.data, value->s.len);
	else
		CHECK(!"a kind that no configuration has");
}

/* Dots in keys are those of tables or a key's own: nobody can tell, so they are written as tables.
 */
static bool put_key(struct text *out, const char *key)
{
	if (!key[0] || strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				   "_-") != strlen(key))
		return false;
	return text_add(out, key, strlen(key)) == 0;
}

static void write_again(const struct value_map *map)
{
	auto_(value_map_done) struct value_map plain = {0}, again = {0};
	auto_(text_done) struct text out = {0};

	for (size_t i = 0; i < map->n; i++) {
		struct value copy;

		if (!put_key(&out, map->v[i].key))
			continue;
		CHECK(text_add(&out, "=", 1) == 0);
		put_value(&out, &map->v[i].value);
		CHECK(text_add(&out, " ", 1) == 0);
		CHECK(value_copy(&map->v[i].value, &copy) == 0);
		CHECK(value_map_set(&plain, map->v[i].key, &copy) == 0);
	}
	CHECK(config_parse(out.data ? out.data : "", &again, NULL) == 0);
	CHECK(value_map_equal(&plain, &again));
}

void fuzz(const uint8_t *data, size_t len)
{
	auto_(value_map_done) struct value_map map = {0}, fused = {0};
	auto_(free_at_exit) char *text = text_dup(data, len);
	struct reason why = {0};

	CHECK(text);
	if (is_file(text))
		return;
	if (config_parse(text, &map, &why)) {
		CHECK(fuzz_is_clean(why.text, strlen(why.text), "") && why.text[0]);
		return;
	}
	fuzz_check_map(&map);
	write_again(&map);
	CHECK(config_fuse(&map, &map, &fused, NULL) == 0);
	CHECK(value_map_equal(&map, &fused));
}
