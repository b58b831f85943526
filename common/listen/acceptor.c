#include "common/listen/acceptor.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAUSE_MS 200 /* when descriptors or memory are out */
#define BATCH    64

struct acceptor {
	struct loop *loop;
	struct acceptor_ops ops;
	void *arg;
	struct address_sockets sockets;
	struct watch *watches[ADDRESS_SOCKETS_MAX];
	struct timer *resume;
	dev_t device; /* with inode: of a unix socket's name */
	ino_t inode;
};

static void watches_free(struct acceptor *acceptor)
{
	for (size_t i = 0; i < acceptor->sockets.n; i++) {
		watch_free(acceptor->watches[i]);
		acceptor->watches[i] = NULL;
	}
}

static void pause_accepting(struct acceptor *acceptor)
{
	acceptor->ops.paused(acceptor->arg, strerror(errno));
	watches_free(acceptor);
	timer_set(acceptor->resume, clock_after(clock_now_ms(), PAUSE_MS));
}

static void accept_some(struct acceptor *acceptor, int socket)
{
	for (int i = 0; i < BATCH; i++) {
		struct sockaddr_storage address = {0};
		socklen_t len = sizeof address;
		int fd = accept4(
			socket, (struct sockaddr *)&address, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			acceptor->ops.accepted(acceptor->arg, fd, &address);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			pause_accepting(acceptor);
		return;
	}
}

static void ready_to_accept(void *arg, int ready)
{
	struct acceptor *acceptor = arg;

	(void)ready;
	for (size_t i = 0; i < acceptor->sockets.n; i++)
		accept_some(acceptor, acceptor->sockets.fds[i]);
}

static void resume_fire(void *arg)
{
	struct acceptor *acceptor = arg;

	for (size_t i = 0; i < acceptor->sockets.n; i++) {
		if (!acceptor->watches[i])
			acceptor->watches[i] = watch_new(acceptor->loop, acceptor->sockets.fds[i],
				WATCH_READ, ready_to_accept, acceptor);
		if (!acceptor->watches[i])
			timer_set(acceptor->resume, clock_after(clock_now_ms(), PAUSE_MS));
	}
}

int acceptor_new(struct loop *loop, struct address_sockets *sockets, const struct acceptor_ops *ops,
	void *arg, struct acceptor **out)
{
	struct acceptor *acceptor = calloc(1, sizeof *acceptor);
	struct stat file;

	if (!acceptor) {
		address_sockets_done(sockets);
		return -ENOMEM;
	}
	*acceptor = (struct acceptor){.loop = loop, .ops = *ops, .arg = arg, .sockets = *sockets};
	*sockets = (struct address_sockets){0};
	if (strncmp(acceptor->sockets.dial, "unix:", 5) == 0 &&
		lstat(acceptor->sockets.dial + 5, &file) == 0) {
		acceptor->device = file.st_dev;
		acceptor->inode = file.st_ino;
	}
	acceptor->resume = timer_new(loop, resume_fire, acceptor);
	if (!acceptor->resume) {
		acceptor_free(acceptor);
		return -ENOMEM;
	}
	*out = acceptor;
	return 0;
}

void acceptor_start(struct acceptor *acceptor)
{
	resume_fire(acceptor);
}

const char *acceptor_address(const struct acceptor *acceptor)
{
	return acceptor->sockets.dial;
}

/* The name of a unix socket, unless it is another one's by now. */
static void socket_remove(const struct acceptor *acceptor)
{
	const char *dial = acceptor->sockets.dial;
	struct stat file;

	if (strncmp(dial, "unix:", 5) == 0 && lstat(dial + 5, &file) == 0 &&
		file.st_dev == acceptor->device && file.st_ino == acceptor->inode)
		unlink(dial + 5);
}

void acceptor_stop(struct acceptor *acceptor)
{
	if (!acceptor || !acceptor->sockets.n)
		return;
	if (acceptor->resume)
		timer_set(acceptor->resume, CLOCK_NEVER);
	watches_free(acceptor);
	socket_remove(acceptor);
	for (size_t i = 0; i < acceptor->sockets.n; i++)
		close_fd(&acceptor->sockets.fds[i]);
	acceptor->sockets.n = 0;
}

void acceptor_free(struct acceptor *acceptor)
{
	if (!acceptor)
		return;
	acceptor_stop(acceptor);
	timer_free(acceptor->resume);
	address_sockets_done(&acceptor->sockets);
	free(acceptor);
}
