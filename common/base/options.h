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
	OPTION_REFUSED, /* known, not there (yet): why_refused is the sentence; takes a value if
			   metavar is set */
	OPTION_ACTION,  /* stops parsing: options_parse() returns action (>= 1) */
};

#define OPTION_NAMES_MAX 32

/* Names of environment variables, by lists "NAME,PREFIX*" that point into argv; ends in NULL. */
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
 * Fill into (defaults are there already). 0; a positive action; -EINVAL with one line in why that
 * names the right option ("unknown option --superlnk: did you mean --superlink?"). Positional
 * arguments are refused.
 */
int options_parse(const struct option_spec *specs, size_t n, int argc, char *const *argv,
	void *into, struct reason *why);

/* Free what the OPTION_PATH rows have stored, whatever options_parse() said. */
void options_free_paths(const struct option_spec *specs, size_t n, void *into);

/* The list of options, wrapped at 80 columns. */
void options_help(FILE *file, const struct option_spec *specs, size_t n);

/*
 * Check an address of the form host:port, [v6]:port (as Flower takes it; no scheme). port 0 only
 * when zero_ok. 0, or -EINVAL with one line in why that says the right form.
 */
int address_check(const char *text, bool zero_ok, struct reason *why);

/* Check an address as address_check() does, or unix:PATH: the path must fit into a socket's
 * address. */
int address_check_unix(const char *text, bool zero_ok, struct reason *why);

#endif
