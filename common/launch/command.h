/*
 * command: another worker program, by a template (--clientapp-command): words as a shell has them,
 * with placeholders for what is known only when it starts. Any thread.
 */
#ifndef FLWR_LAUNCH_COMMAND_H
#define FLWR_LAUNCH_COMMAND_H

#include "common/base/reason.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define COMMAND_TOKEN_FILE "{token_file}"

struct command_values {
	const char *address; /* of the worker API, as gRPC takes it */
	uint64_t token;
	const char *task_token;        /* in its place; NULL: none */
	const char *token_file;        /* a file with the token in it; NULL: none */
	bool tls;                      /* spoken at the address */
	const char *root_certificates; /* of TLS: a file; NULL: the system's */
	pid_t parent_pid;              /* the process whose end the worker has to follow */
};

/* Is it the template of a launcher: it has placeholders, but none of a token, so that its program
 * has to ask for messages itself? */
bool command_is_launcher(const char *template);

/* Does its program speak HTTP, which Flower's workers do not over a unix socket? It has the option
 * that these have from 1.36 on. NULL: no. */
bool command_speaks_http(const char *template);

/*
 * The words of template, with quotes, backslashes, ~ and $NAME as in a shell (but neither commands
 * nor arithmetic in it), and {address}, {token}, {token_file} and {parent_pid} replaced; without
 * any of these "--clientappio-api-address {address} --token {token}" is appended, with
 * "--insecure", or for TLS what Flower's workers take for it (1.30 and later; those before speak
 * none): the file by "--root-certificates", nothing for the system's. The first word becomes the
 * absolute path of a program that can be executed. 0: *argv_out ends in NULL, for command_free();
 * -EINVAL, -ENOENT, -EACCES, -ENOMEM with a sentence.
 */
int command_build(const char *template, const struct command_values *values, char ***argv_out,
	struct reason *why);
void command_free(char **argv);

#endif
