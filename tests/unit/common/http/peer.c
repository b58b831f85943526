#include "peer.h"
#include "kit/test.h"

#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>

extern char **environ;

void peer_start(struct peer *peer, const char *variable, const char *script)
{
	const char *python = getenv(variable);
	char *const argv[] = {(char *)python, (char *)script, NULL};
	posix_spawn_file_actions_t actions;
	int ends[2];

	if (!python || access(python, X_OK) < 0) {
		print_message("%s names no python: configure with it\n", variable);
		skip();
	}
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	assert_int_equal(posix_spawn(&peer->pid, python, &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	peer->file = fdopen(ends[0], "r");
	assert_non_null(peer->file);
}

void peer_read(struct peer *peer, const char *name, char *value, size_t value_bytes)
{
	char line[512];
	size_t len = strlen(name);

	assert_non_null(fgets(line, sizeof line, peer->file));
	line[strcspn(line, "\n")] = '\0';
	assert_memory_equal(line, name, len);
	assert_int_equal(line[len], ' ');
	assert_true(strlen(line + len + 1) < value_bytes);
	memcpy(value, line + len + 1, strlen(line + len + 1) + 1);
}

void peer_stop(struct peer *peer)
{
	char rest[512];
	int status;

	shutdown(fileno(peer->file), SHUT_WR);
	while (fgets(rest, sizeof rest, peer->file))
		print_message("%s", rest);
	fclose(peer->file);
	assert_int_equal(waitpid(peer->pid, &status, 0), peer->pid);
	assert_int_equal(status, 0);
}
