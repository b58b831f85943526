/*
 * Fuzz target: numbers, sizes, addresses and base64 as texts. What is taken can be written again.
 */
#include "fuzz.h"

#include "common/base/address_text.h"
#include "common/base/number.h"
#include "common/base/text.h"
#include "common/keys/base64.h"
#include "common/keys/ssh.h"

#include <inttypes.h>
#include <math.h>

FUZZ_MEMORY(64, 16);

static void fuzz_numbers(const char *text)
{
	char again[32];
	const char *digits = text + (text[0] == '-');
	uint64_t bytes, u;
	int64_t i;
	double d;

	digits += strspn(digits, "0");
	if (number_u64(text, &u) == 0) {
		snprintf(again, sizeof again, "%" PRIu64, u);
		CHECK(strcmp(u ? again : "", digits) == 0);
		CHECK(number_bytes(text, &bytes) == 0 && bytes == u);
	}
	if (number_i64(text, &i) == 0) {
		snprintf(again, sizeof again, "%" PRId64, i);
		CHECK(strcmp(i ? again + (i < 0) : "", digits) == 0);
		CHECK(i == 0 || (i < 0) == (text[0] == '-'));
	}
	if (number_double(text, &d) == 0)
		CHECK(isfinite(d));
}

static void fuzz_base64(const char *text, size_t len)
{
	auto_(free_at_exit) unsigned char *bytes = NULL, *again = NULL;
	auto_(free_at_exit) char *letters = NULL;
	size_t n, n_again;

	if (base64_decode(text, len, &bytes, &n))
		return;
	CHECK(n <= len);
	CHECK(base64_encode(bytes, n, &letters) == 0);
	CHECK(base64_decode(letters, strlen(letters), &again, &n_again) == 0);
	CHECK(n == n_again && memcmp(bytes, again, n) == 0);
}

static void fuzz_public_line(const char *text, size_t len)
{
	auto_(free_at_exit) unsigned char *blob = NULL;
	struct ssh_bytes type, rest, string;

	if (ssh_public_line(text, len, &blob, &type, &rest))
		return;
	CHECK(type.data == blob + 4 && type.data + type.len == rest.data);
	text += strspn(text, " \t");
	CHECK(strncmp(text, (const char *)type.data, type.len) == 0);
	while (ssh_string(&rest, &string) == 0)
		CHECK(string.data + string.len == rest.data);
}

void fuzz(const uint8_t *data, size_t len)
{
	auto_(free_at_exit) char *text = text_dup(data, len);
	struct reason why = {0};

	CHECK(text);
	fuzz_numbers(text);
	fuzz_base64(text, len);
	fuzz_public_line(text, len);
	if (address_check(text, false, &why) == 0)
		CHECK(address_check(text, true, NULL) == 0 && strrchr(text, ':') != text);
	else
		CHECK(why.text[0] && fuzz_is_clean(why.text, strlen(why.text), ""));
}
