#include "kit/vectors.h"

#include <time.h>

#define SPOILT 200 /* times */

uint32_t vector_random(void)
{
	static bool seeded;
	static uint32_t state;
	const char *seed = getenv("FLWR_TEST_SEED");

	if (!seeded) {
		state = seed ? (uint32_t)strtoul(seed, NULL, 10) : (uint32_t)time(NULL);
		print_message("FLWR_TEST_SEED=%u\n", state);
		seeded = true;
	}
	state = state * 1664525u + 1013904223u;
	return state >> 8;
}

const char *vector_seed(void)
{
	static char text[16];

	snprintf(text, sizeof text, "%u", (unsigned)vector_random());
	return text;
}

struct slices vector_whole(const void *data, size_t len)
{
	struct slices list = {0};

	assert_int_equal(slices_append_copy(&list, data, len), 0);
	return list;
}

struct slices vector_cut(const void *data, size_t len, size_t most)
{
	const uint8_t *bytes = data;
	struct slices list = {0};

	for (size_t at = 0; at < len;) {
		size_t part = 1 + vector_random() % most;

		if (part > len - at)
			part = len - at;
		assert_int_equal(slices_append_copy(&list, bytes + at, part), 0);
		at += part;
	}
	return list;
}

/* ---- abuse ---- */

static void decode_broken(vector_decode_fn *decode, struct slices list)
{
	int r = decode(&list);

	assert_true(r == 0 || r == 1 || r == -EBADMSG || r == -EMSGSIZE);
	slices_done(&list);
}

void vector_abuse(vector_decode_fn *decode, const void *data, size_t len)
{
	size_t step = len > 4096 ? len / 1024 : 1;
	uint8_t *bad = malloc(len + 1);

	assert_non_null(bad);
	for (size_t cut = 0; cut < len; cut += step)
		decode_broken(decode, vector_whole(data, cut));
	for (int i = 0; i < SPOILT; i++) {
		memcpy(bad, data, len);
		for (uint32_t n = 1 + vector_random() % 3; n > 0 && len > 0; n--)
			bad[vector_random() % len] = (uint8_t)vector_random();
		decode_broken(decode, vector_cut(bad, len, 40));
	}
	free(bad);
}

static vector_again_fn *abused;

static int abused_decode(const struct slices *bytes)
{
	auto_(slices_done) struct slices again = {0};

	return abused(bytes, &again);
}

static void check_same(vector_again_fn *again, const char *name, struct slices bytes)
{
	auto_(slices_done) struct slices made = {0};

	assert_int_equal(again(&bytes, &made), 0);
	if (!slices_equal(&made, &bytes))
		fail_msg("%s differs", name);
	slices_done(&bytes);
}

void vector_check(vector_again_fn *again, const char *name, const void *data, size_t len)
{
	check_same(again, name, vector_whole(data, len));
	check_same(again, name, vector_cut(data, len, 7));
	abused = again;
	vector_abuse(abused_decode, data, len);
}

/* ---- scripts ---- */

void vectors_start(struct vectors *vectors, enum kit_python which, const char *script)
{
	*vectors = (struct vectors){0};
	kit_child_start(&vectors->child, which, script, vector_seed());
}

static uint8_t digit_of(char c)
{
	return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

bool vectors_next(struct vectors *vectors)
{
	char *line = kit_child_line(&vectors->child), *hex = line ? strchr(line, ' ') : NULL;
	size_t n = 0;

	slices_done(&vectors->bytes);
	if (!line) {
		kit_child_end(&vectors->child);
		return false;
	}
	assert_non_null(hex);
	*hex++ = '\0';
	for (; hex[2 * n]; n++)
		hex[n] = (char)(digit_of(hex[2 * n]) << 4 | digit_of(hex[2 * n + 1]));
	vectors->name = line;
	vectors->data = (uint8_t *)hex;
	vectors->len = n;
	vectors->bytes = vector_whole(hex, n);
	return true;
}
