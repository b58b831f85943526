/*
 * reason: a sentence in a fixed buffer.
 */
#include "common/base/reason.h"

#include "common/base/exit_code.h"
#include "common/base/text.h"

#include <stdio.h>
#include <string.h>

static void reason_vset(struct reason *why, const char *format, va_list args)
{
	if (!why)
		return;
	if (vsnprintf(why->text, sizeof why->text, format, args) < 0)
		why->text[0] = '\0';
	why->exit_code = EXIT_CODE_NONE;
}

void reason_clean(struct reason *why)
{
	size_t left = strlen(why->text);

	for (char *at = why->text; left;) {
		size_t n = text_shown(at, left);

		if (n == 0) {
			*at = '?';
			n = 1;
		}
		at += n;
		left -= n;
	}
}

void reason_set(struct reason *why, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	reason_vset(why, format, args);
	va_end(args);
}

int reason_code(struct reason *why, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	reason_vset(why, format, args);
	va_end(args);
	return code;
}

int reason_exit(struct reason *why, int code, int exit_code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	reason_vset(why, format, args);
	va_end(args);
	if (why)
		why->exit_code = exit_code;
	return code;
}

void reason_print(struct reason *why, const char *program, int r)
{
	const char *meaning = exit_code_meaning(why->exit_code);

	reason_clean(why);
	fprintf(stderr, "%s: %s", program, why->text[0] ? why->text : strerror(-r));
	if (meaning)
		fprintf(stderr, " (Exit Code: %d, %s)", why->exit_code, meaning);
	fputc('\n', stderr);
}
