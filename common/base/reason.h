/*
 * reason: a sentence for a person, beside a code for the program.
 * Any thread; never allocates.
 */
#ifndef FLWR_BASE_REASON_H
#define FLWR_BASE_REASON_H

#include <stdarg.h>

#define REASON_BYTES 512

/* Zero-initialised is "no reason". */
struct reason {
	char text[REASON_BYTES];
	int exit_code; /* Flower's number for it (exit_code.h), set by reason_exit(); 0: none */
};

/* Make the sentence one line for a terminal, whatever paths and arguments it quotes: what
 * text_shown() does not let through becomes '?'. */
void reason_clean(struct reason *why);

/* Set the sentence (printf-style, cut when too long). why may be NULL. */
void reason_set(struct reason *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Set the sentence and return code: return reason_code(why, -EINVAL, "..."); */
int reason_code(struct reason *why, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* reason_code() for what ends a program: exit_code is Flower's number (exit_code.h). */
int reason_exit(struct reason *why, int code, int exit_code, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* "program: sentence (Exit Code: 600, address invalid)", on stderr; of r without a sentence. */
void reason_print(struct reason *why, const char *program, int r);

#endif
