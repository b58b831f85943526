#include "common/http/flower_error.h"

#include <jansson.h>
#include <limits.h>

void flower_error_read(const char *json, size_t len, int *code_out, struct text *words)
{
	static const char *const members[] = {"detail", "public_message", "public_details"};
	const char *between = "";
	json_int_t code;
	json_t *root;

	if (len == 0 || len > FLOWER_ERROR_MAX_BYTES || json[0] != '{')
		return;
	root = json_loadb(json, len, 0, NULL);
	code = json_integer_value(json_object_get(root, "code"));
	if (code > 0 && code <= INT_MAX)
		*code_out = (int)code;
	for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
		const char *said = json_string_value(json_object_get(root, members[i]));

		if (!said || !*said)
			continue;
		text_printf(words, "%s%s", between, said);
		between = ": ";
	}
	json_decref(root);
}
