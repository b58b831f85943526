/*
 * reason: one sentence for a person, beside a code for the program.
 * Any thread; never allocates.
 */
#ifndef FLWR_BASE_REASON_H
#define FLWR_BASE_REASON_H

#include <stdarg.h>

#define REASON_BYTES 512

/* Zero-initialised is "no reason". */
struct reason {
	char text[REASON_BYTES];
};

/* One line for a terminal, whatever paths and arguments it quotes: control characters become '?'.
 */
void reason_clean(struct reason *why);

/* Set the sentence (printf-style, cut when too long). why may be NULL. */
void reason_set(struct reason *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Set the sentence and return code: return reason_code(why, -EINVAL, "..."); */
int reason_code(struct reason *why, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
