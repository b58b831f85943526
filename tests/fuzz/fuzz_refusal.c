/*
 * Fuzz target: the words of somebody who refuses a call, or is no SuperLink: the JSON of an error,
 * and what a person is told.
 */
#include "fuzz.h"

#include "common/base/text.h"
#include "common/http/flower_error.h"
#include "common/http/status.h"
#include "supernode/link/probe_words.h"

FUZZ_MEMORY(64, 256);

static void check_words(const struct reason *why)
{
	CHECK(why->text[0] && fuzz_is_clean(why->text, strlen(why->text), ""));
}

/* No words of a peer's make a sentence that does more than to be read. */
static void fuzz_words(const char *text, const struct slices *body)
{
	struct http_result result = {.details = text, .content_type = text, .names = text};
	struct reason why;

	result.failure = HTTP_FAILURE_WRONG_NAME;
	probe_say_failure("host:1", &result, &why);
	check_words(&why);
	probe_say_stranger("host:1", body, &why);
	check_words(&why);
}

void fuzz(const uint8_t *data, size_t len)
{
	auto_(slices_done) struct slices body = fuzz_cut(data, len, 3);
	auto_(free_at_exit) char *text = text_dup(data, len);
	auto_(text_done) struct text words = {0};
	int code = -1;

	CHECK(text);
	flower_error_read(text, len, &code, &words);
	CHECK(code == -1 || code > 0);
	CHECK(words.len <= len);
	if (words.len)
		CHECK(utf8_valid(words.data, words.len));
	if (code > 0)
		CHECK(http_outcome_of(500, code) != OUTCOME_OK);
	fuzz_words(text, &body);
}
