/*
 * text: growing text and bytes, UTF-8 checks, quoting of what peers send. One thread each.
 */
#ifndef FLWR_BASE_TEXT_H
#define FLWR_BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero-initialised is empty. data is NUL-terminated once something was added; NULs may be inside.
 */
struct text {
	char *data;
	size_t len;
	size_t cap;
};

/* Append. 0 or -ENOMEM (text as before). */
int text_add(struct text *text, const void *bytes, size_t len);
int text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Free; empty and usable afterwards. */
void text_done(struct text *text);

/* The memory (malloc()ed, NUL-terminated, never NULL but on no memory); text is empty afterwards.
 */
char *text_take(struct text *text);

/* Are the bytes well-formed UTF-8 without NUL? */
bool utf8_valid(const void *bytes, size_t len);

/*
 * The length of the character that bytes begin with, if it can be shown to a person as it is: not
 * when it is a control character (a tab and a newline too), a format character (Unicode's category
 * Cf: what changes the direction of text or is not seen), a line or paragraph separator, or no
 * UTF-8. Then 0: the first byte is to be escaped. len is 1 at least.
 */
size_t text_shown(const void *bytes, size_t len);

/* Printable form of a peer's bytes: quotes, \xNN for what is not printable, cut with "..." at
 * out_bytes. */
void text_quote(const void *bytes, size_t len, char *out, size_t out_bytes);

/*
 * The candidate nearest to word (edit distance, at most a third of its length), or NULL: for "did
 * you mean". candidates ends in NULL.
 */
const char *text_nearest(const char *word, const char *const *candidates);

/* Cut text to at most max bytes, where no character is split, in place. */
void text_cut(char *text, size_t max);

/*
 * text as a word of a log line: spaces, quotes, '=' and what is not printable ASCII become '?', cut
 * at out_bytes. text may be NULL.
 */
void text_word(const char *text, char *out, size_t out_bytes);

/* strdup() of len bytes; NULL on no memory. */
char *text_dup(const void *bytes, size_t len);

#endif
