#include "kit/child.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define ARGUMENTS_MAX 8

extern char **environ;

const char *kit_python(enum kit_python which)
{
	const char *variable = which == KIT_NEWEST ? "FLWR_TEST_PYTHON_NEW" : "FLWR_TEST_PYTHON";
	const char *python = getenv(variable);

	if (python && access(python, X_OK) == 0)
		return python;
	print_message("%s names no python: configure with FLWR_PYTHON_ENV\n", variable);
	if (which == KIT_NEWEST)
		skip();
	fail();
	return NULL;
}

void kit_child_start_with(
	struct kit_child *child, const char *python, const char *const *script_and_arguments)
{
	const char *argv[ARGUMENTS_MAX] = {python};
	posix_spawn_file_actions_t actions;
	int ends[2];

	for (size_t n = 0; script_and_arguments[n]; n++) {
		assert_true(n < ARGUMENTS_MAX - 2);
		argv[n + 1] = script_and_arguments[n];
	}
	assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), errno);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	*child = (struct kit_child){0};
	assert_int_equal(
		posix_spawn(&child->pid, python, &actions, NULL, (char *const *)argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	child->from = fdopen(ends[0], "r");
	child->to = fdopen(fcntl(ends[0], F_DUPFD_CLOEXEC, 0), "w");
	assert_true(child->from && child->to);
}

char *kit_child_line(struct kit_child *child)
{
	ssize_t n = getline(&child->line, &child->room, child->from);

	if (n <= 0)
		return NULL;
	if (child->line[n - 1] == '\n')
		child->line[n - 1] = '\0';
	return child->line;
}

void kit_child_expect(struct kit_child *child, const char *expected)
{
	const char *line = kit_child_line(child);

	assert_string_equal(line ? line : "", expected);
}

void kit_child_put_hex(struct kit_child *child, const void *data, size_t len)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < len; i++)
		fprintf(child->to, "%02x", bytes[i]);
}

char *kit_child_value(struct kit_child *child, const char *name)
{
	char *line = kit_child_line(child);
	size_t len = strlen(name);

	if (!line || strncmp(line, name, len) != 0 || line[len] != ' ')
		fail_msg("\"%s\" instead of \"%s ...\"", line ? line : "", name);
	return line + len + 1;
}

void kit_child_copy_value(struct kit_child *child, const char *name, char *value, size_t bytes)
{
	const char *found = kit_child_value(child, name);

	assert_true(strlen(found) < bytes);
	memcpy(value, found, strlen(found) + 1);
}

void kit_child_close(struct kit_child *child)
{
	if (!child->to)
		return;
	fclose(child->to);
	child->to = NULL;
	shutdown(fileno(child->from), SHUT_WR);
}

static int child_reap(struct kit_child *child)
{
	int status;

	assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
	fclose(child->from);
	free(child->line);
	*child = (struct kit_child){0};
	return status;
}

void kit_child_kill(struct kit_child *child)
{
	if (child->pid == 0)
		return;
	kit_child_close(child);
	kill(child->pid, SIGKILL);
	child_reap(child);
}

void kit_child_end(struct kit_child *child)
{
	const char *line;

	kit_child_close(child);
	while ((line = kit_child_line(child)))
		print_message("%s\n", line);
	assert_int_equal(child_reap(child), 0);
}
