/*
 * The process of a fork server. A worker must be a child of the agent, so it is forked by a fork
 * that ends at once: the agent takes in what that leaves.
 */
#include "common/launch/fork_server.h"

#include "common/base/cleanup.h"
#include "common/launch/zygote_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* A datagram: its letter; fds get the descriptors that came with it, or -1. 0: the agent has gone,
 * or says what is not understood. */
static int receive(int fds[FORK_SERVER_FDS])
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(FORK_SERVER_FDS * sizeof(int))];
	} space;
	char letter = 0;
	struct iovec piece = {&letter, 1};
	struct msghdr header = {.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = space.bytes,
		.msg_controllen = sizeof space.bytes};
	struct cmsghdr *with;
	ssize_t n;

	memset(fds, -1, FORK_SERVER_FDS * sizeof *fds);
	do
		n = recvmsg(PROCESS_FD, &header, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return 0;
	with = CMSG_FIRSTHDR(&header);
	if (with && with->cmsg_level == SOL_SOCKET && with->cmsg_type == SCM_RIGHTS)
		memcpy(fds, CMSG_DATA(with), with->cmsg_len - CMSG_LEN(0));
	return letter;
}

/* The worker: wait until the agent knows it, then have everything at its place. */
static void become_worker(int fds[FORK_SERVER_FDS])
{
	static const int places[] = {PROCESS_FD, STDOUT_FILENO, STDERR_FILENO};
	char byte;

	setsid();
	if (read(fds[ARRAY_LEN(places)], &byte, 1) != 1)
		_exit(0);
	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (dup2(fds[i], places[i]) < 0)
			_exit(1);
}

/* Fork a worker, and tell its pid. 1: this is the worker; 0; -errno: nothing more can be done. */
static int serve_one(volatile pid_t *pid, int fds[FORK_SERVER_FDS])
{
	char text[16];
	pid_t between;
	int len;

	*pid = 0;
	between = fork();
	if (between == 0) {
		pid_t worker;

		/* The worker never is in the server's group, which is killed when that ends. */
		setsid();
		worker = fork();
		if (worker) {
			*pid = worker;
			_exit(0);
		}
		become_worker(fds);
		return 1;
	}
	if (between < 0 || waitpid(between, NULL, 0) < 0 || *pid <= 0)
		return -EAGAIN;
	len = snprintf(text, sizeof text, "%d", (int)*pid);
	return zygote_socket_send(PROCESS_FD, 'P', text, (size_t)len, NULL, 0);
}

bool fork_server_serve(void)
{
	/* What the fork between tells: it shares no other memory. */
	volatile pid_t *pid =
		mmap(NULL, sizeof *pid, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int fds[FORK_SERVER_FDS];
	int r = 0;

	if (pid == MAP_FAILED || fcntl(PROCESS_FD, F_SETFD, FD_CLOEXEC) < 0 ||
		zygote_socket_send(PROCESS_FD, 'R', "", 0, NULL, 0))
		return false;
	while (r == 0 && receive(fds) == 'F') {
		r = serve_one(pid, fds);
		for (int i = 0; i < FORK_SERVER_FDS; i++)
			close_fd(&fds[i]);
	}
	munmap((void *)pid, sizeof *pid);
	return r == 1;
}
