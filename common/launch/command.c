/*
 * The words are made by wordexp(). Placeholders stand aside meanwhile, each as a byte that no
 * template has, so that no value is ever taken for syntax.
 */
#include "common/launch/command.h"

#include "common/base/cleanup.h"
#include "common/base/files.h"
#include "common/base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <wordexp.h>

#define DEFAULT_ARGUMENTS " --clientappio-api-address {address} --token {token}"

enum { PLACE_ADDRESS = 1, PLACE_TOKEN, PLACE_TOKEN_FILE, PLACE_PARENT_PID, PLACES_END };
/* The same kind of byte for a value that templates cannot name. */
enum { PLACE_ROOT_CERTIFICATES = PLACES_END };

static const char *const places[PLACES_END] = {
	[PLACE_ADDRESS] = "{address}",
	[PLACE_TOKEN] = "{token}",
	[PLACE_TOKEN_FILE] = COMMAND_TOKEN_FILE,
	[PLACE_PARENT_PID] = "{parent_pid}",
};

void command_free(char **argv)
{
	for (char **word = argv; word && *word; word++)
		free(*word);
	free(argv);
}

static void command_free_at_exit(char ***argv)
{
	command_free(*argv);
}

/* The placeholder at text; 0: there is none. */
static int place_at(const char *text)
{
	for (int place = 1; place < PLACES_END; place++)
		if (strncmp(text, places[place], strlen(places[place])) == 0)
			return place;
	return 0;
}

bool command_is_launcher(const char *template)
{
	bool any = false;

	for (const char *at = template; *at; at++) {
		int place = place_at(at);

		if (place == PLACE_TOKEN || place == PLACE_TOKEN_FILE)
			return false;
		any = any || place;
	}
	return any;
}

bool command_speaks_http(const char *template)
{
	return template && strstr(template, "--runtime-api-address");
}

/* Append the template with each placeholder as one byte. *any_out: there was one. */
static int hide_places(const char *template, struct text *out, bool *any_out, struct reason *why)
{
	*any_out = false;
	for (const char *at = template; *at;) {
		int place = place_at(at);
		char byte = place ? (char)place : *at;

		if (!place && *at == '{')
			return reason_code(why, -EINVAL,
				"%.*s is no placeholder: there are {address}, {token}, {token_file} and {parent_pid}",
				(int)strcspn(at, "} ") + 1, at);
		if (!place && (unsigned char)*at < ' ' && *at != '\t')
			return reason_code(why, -EINVAL, "it has a control character");
		/* wordexp() computes, and ends the program when there is nothing to compute. */
		if (strncmp(at, "$[", 2) == 0 || strncmp(at, "$((", 3) == 0)
			return reason_code(why, -EINVAL, "it has arithmetic in it, $[ or $((");
		if (text_add(out, &byte, 1))
			return reason_code(why, -ENOMEM, "no memory");
		*any_out = *any_out || place;
		at += place ? strlen(places[place]) : 1;
	}
	return 0;
}

/* Append what a template without placeholders is to have. */
static int add_default(const struct command_values *values, struct text *out, struct reason *why)
{
	bool any;
	int r = hide_places(DEFAULT_ARGUMENTS, out, &any, why);

	if (r)
		return r;
	if (!values->tls)
		r = text_printf(out, " --insecure");
	else if (values->root_certificates)
		r = text_printf(out, " --root-certificates %c", PLACE_ROOT_CERTIFICATES);
	return r ? reason_code(why, -ENOMEM, "no memory") : 0;
}

static const char *refusal(int r)
{
	switch (r) {
	case WRDE_BADCHAR:
		return "it has one of | & ; < > ( ) outside of quotes: no shell runs it";
	case WRDE_CMDSUB:
		return "it has a command in it, which is not run";
	case WRDE_BADVAL:
		return "it names a variable that is not set";
	case WRDE_SYNTAX:
		return "its quotes are not closed";
	default:
		return "no memory";
	}
}

/* A word with the values in their places, malloc()ed; NULL on no memory. */
static char *fill(const char *word, const struct command_values *values)
{
	struct text text = {0};
	int r = text_printf(&text, "%s", "");

	for (const char *at = word; *at && !r; at++) {
		if (*at == PLACE_ADDRESS)
			r = text_printf(&text, "%s", values->address);
		else if (*at == PLACE_TOKEN)
			r = values->task_token ? text_add(&text, values->task_token,
							 strlen(values->task_token))
					       : text_printf(&text, "%" PRIu64, values->token);
		else if (*at == PLACE_TOKEN_FILE)
			r = text_printf(&text, "%s", values->token_file ? values->token_file : "");
		else if (*at == PLACE_ROOT_CERTIFICATES)
			r = text_printf(&text, "%s", values->root_certificates);
		else if (*at == PLACE_PARENT_PID)
			r = text_printf(&text, "%d", (int)values->parent_pid);
		else
			r = text_add(&text, at, 1);
	}
	if (r)
		text_done(&text);
	return r ? NULL : text_take(&text);
}

static int take_words(const wordexp_t *words, const struct command_values *values, char ***argv_out,
	struct reason *why)
{
	auto_(command_free_at_exit) char **argv = calloc(words->we_wordc + 1, sizeof *argv);
	int r;

	if (!argv)
		return reason_code(why, -ENOMEM, "no memory");
	if (!words->we_wordc)
		return reason_code(why, -EINVAL, "it names no program");
	r = path_find_program(words->we_wordv[0], &argv[0]);
	if (r)
		return reason_code(
			why, r, "%.200s cannot be executed: %s", words->we_wordv[0], strerror(-r));
	for (size_t i = 1; i < words->we_wordc; i++) {
		argv[i] = fill(words->we_wordv[i], values);
		if (!argv[i])
			return reason_code(why, -ENOMEM, "no memory");
	}
	*argv_out = take_pointer(&argv);
	return 0;
}

int command_build(const char *template, const struct command_values *values, char ***argv_out,
	struct reason *why)
{
	auto_(text_done) struct text hidden = {0};
	wordexp_t words;
	bool any;
	int r;

	if (template[strspn(template, " \t")] == '\0')
		return reason_code(why, -EINVAL, "it names no program");
	r = hide_places(template, &hidden, &any, why);
	if (!r && !any)
		r = add_default(values, &hidden, why);
	if (r)
		return r;
	r = wordexp(hidden.data, &words, WRDE_NOCMD | WRDE_UNDEF);
	if (r == WRDE_NOSPACE)
		wordfree(&words);
	if (r)
		return reason_code(why, r == WRDE_NOSPACE ? -ENOMEM : -EINVAL, "%s", refusal(r));
	r = take_words(&words, values, argv_out, why);
	wordfree(&words);
	return r;
}
