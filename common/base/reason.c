/*
 * reason: a sentence in a fixed buffer.
 */
#include "common/base/reason.h"

#include <stdio.h>

static void reason_vset(struct reason *why, const char *format, va_list args)
{
	if (why && vsnprintf(why->text, sizeof(why->text), format, args) < 0)
		why->text[0] = '\0';
}

void reason_clean(struct reason *why)
{
	for (char *c = why->text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
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
