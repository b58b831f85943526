/*
 * options: the command line, by a table. Long options as getopt_long() takes them (unique
 * abbreviations, "--name value" and "--name=value", the last one wins), because Flower's programs
 * use argparse, which does the same. One thread.
 */
#ifndef FLWR_BASE_OPTIONS_H
#define FLWR_BASE_OPTIONS_H

#include "common/base/reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum option_kind {
	OPTION_FLAG,    /* bool, becomes true */
	OPTION_OFF,     /* bool, becomes false: "--no-x" of a flag; the later one wins */
	OPTION_TEXT,    /* const char *, points into argv */
	OPTION_PATH,    /* const char *, malloc()ed, with ~ expanded (home.h); NULL before */
	OPTION_INTEGER, /* int64_t within min .. max */
	OPTION_SECONDS, /* decimal seconds, stored as int64_t milliseconds; min .. max in ms */
	OPTION_BYTES,   /* uint64_t, "64M"; within min .. max */
	OPTION_CHOICE,  /* const char *, one of choices */
	OPTION_NAMES,   /* struct option_names: "NAME,PREFIX*"; each time given adds to it */
	OPTION_TEXTS,   /* struct option_names: texts of any kind; each time given adds to it */
	OPTION_REFUSED, /* known, not there (yet): why_refused is the sentence; takes a value if
			   metavar is set */
	OPTION_ACTION,  /* stops parsing: options_parse() returns action (>= 1) */
};

/* The actions that each program has. */
enum options_action { OPTIONS_RUN, OPTIONS_HELP, OPTIONS_VERSION };

#define OPTION_NAMES_MAX 32
#define OPTION_DAY_MS    86400000LL

/* Names of environment variables, by lists "NAME,PREFIX*", or texts; they point into argv. Ends in
 * NULL. */
struct option_names {
	const char *v[OPTION_NAMES_MAX + 1];
};

struct option_spec {
	const char *name; /* without "--" */
	char letter;      /* 'V' for -V; 0: none */
	enum option_kind kind;
	size_t offset;              /* into the options struct; offsetof() */
	const char *metavar;        /* "ADDR"; NULL for flags */
	const char *const *choices; /* ends in NULL */
	int64_t min,
		max; /* both 0: no bounds (but no negative SECONDS); max INT64_MAX: none above */
	int action;
	const char *why_refused; /* a whole sentence */
	const char *help;        /* one line or more, wrapped by options_help(); NULL: hidden */
};

/*
 * Rows by their kind. Each begins with the option's name and, if it has a value, the place of that:
 * offsetof() in the options struct. A help of NULL hides the option. Bounds of SECONDS are in ms.
 */
#define ROW_FLAG(option, at, text)                                                                 \
	{                                                                                          \
		.name = (option), .kind = OPTION_FLAG, .offset = (at), .help = (text)              \
	}
#define ROW_OFF(option, at, text)                                                                  \
	{                                                                                          \
		.name = (option), .kind = OPTION_OFF, .offset = (at), .help = (text)               \
	}
#define ROW_VALUE(of, option, at, value, text)                                                     \
	{                                                                                          \
		.name = (option), .kind = (of), .offset = (at), .metavar = (value), .help = (text) \
	}
#define ROW_TEXT(option, at, value, text)  ROW_VALUE(OPTION_TEXT, option, at, value, text)
#define ROW_PATH(option, at, value, text)  ROW_VALUE(OPTION_PATH, option, at, value, text)
#define ROW_NAMES(option, at, value, text) ROW_VALUE(OPTION_NAMES, option, at, value, text)
#define ROW_TEXTS(option, at, value, text) ROW_VALUE(OPTION_TEXTS, option, at, value, text)
#define ROW_NUMBER(of, option, at, least, most, value, text)                                       \
	{                                                                                          \
		.name = (option), .kind = (of), .offset = (at), .min = (least), .max = (most),     \
		.metavar = (value), .help = (text)                                                 \
	}
#define ROW_INTEGER(option, at, least, most, value, text)                                          \
	ROW_NUMBER(OPTION_INTEGER, option, at, least, most, value, text)
#define ROW_SECONDS(option, at, least, most, text)                                                 \
	ROW_NUMBER(OPTION_SECONDS, option, at, least, most, "SECONDS", text)
#define ROW_BYTES(option, at, least, most, text)                                                   \
	ROW_NUMBER(OPTION_BYTES, option, at, least, most, "BYTES", text)
#define ROW_CHOICE(option, at, of, value, text)                                                    \
	{                                                                                          \
		.name = (option), .kind = OPTION_CHOICE, .offset = (at), .choices = (of),          \
		.metavar = (value), .help = (text)                                                 \
	}
#define ROW_ACTION(option, letter_, does, text)                                                    \
	{                                                                                          \
		.name = (option), .letter = (letter_), .kind = OPTION_ACTION, .action = (does),    \
		.help = (text)                                                                     \
	}
#define ROW_REFUSED(option, value, sentence)                                                       \
	{                                                                                          \
		.name = (option), .kind = OPTION_REFUSED, .metavar = (value),                      \
		.why_refused = (sentence)                                                          \
	}
/* An option of Flower's programs; option and instead are literals. */
#define ROW_NOT_HERE(option, value, instead)                                                       \
	ROW_REFUSED(option, value, "--" option " is not in this version: " instead)

/* The rows of a program. */
struct option_table {
	const struct option_spec *rows;
	size_t n;
};

/*
 * Fill into (defaults are there already). 0; a positive action; -EINVAL with one line in why that
 * names the right option ("unknown option --superlnk: did you mean --superlink?"). Positional
 * arguments are refused.
 */
int options_parse(const struct option_table *table, int argc, char *const *argv, void *into,
	struct reason *why);

/* Free what the OPTION_PATH rows have stored, whatever options_parse() said. */
void options_free_paths(const struct option_table *table, void *into);

/* The list of options, wrapped at 80 columns. */
void options_help(FILE *file, const struct option_table *table);

#endif
