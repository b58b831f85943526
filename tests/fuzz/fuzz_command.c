/*
 * Fuzz target: the template of another worker program. No value of a placeholder becomes more than
 * a part of one word.
 */
#include "fuzz.h"

#include "common/base/text.h"
#include "common/launch/command.h"

FUZZ_MEMORY(512, 256);

#define LEN_MAX 200
#define ADDRESS "$(id) `id` ; * ~ 'a\\"
#define TOKEN   4711

void fuzz(const uint8_t *data, size_t len)
{
	const struct command_values values = {.address = ADDRESS, .token = TOKEN, .parent_pid = 5};
	auto_(free_at_exit) char *text = text_dup(data, len < LEN_MAX ? len : LEN_MAX);
	auto_(free_at_exit) char *template = NULL;
	struct reason why = {0};
	char **argv = NULL;
	size_t addresses = 0;

	CHECK(text);
	if (strpbrk(text, "*?["))
		return; /* as many words as this machine has files; who writes one means it */
	CHECK(asprintf(&template, "/bin/true %s {address}", text) > 0);
	if (command_build(template, &values, &argv, &why)) {
		CHECK(why.text[0] && !argv);
		return;
	}
	CHECK(strcmp(argv[0], "/bin/true") == 0);
	for (size_t i = 1; argv[i]; i++)
		addresses += strstr(argv[i], ADDRESS) != NULL;
	CHECK(addresses > 0);
	command_free(argv);
}
