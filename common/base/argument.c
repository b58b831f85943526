#include "common/base/argument.h"

#include <string.h>

void argument_hide(char *const *argv, const char *option)
{
	size_t len = strlen(option);

	for (char *const *word = argv; *word; word++) {
		char *value = NULL;

		if (strcmp(*word, option) == 0)
			value = word[1];
		else if (strncmp(*word, option, len) == 0 && (*word)[len] == '=')
			value = *word + len + 1;
		if (value)
			memset(value, 'x', strlen(value));
	}
}
