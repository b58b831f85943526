/*
 * address: from host:port, or a directory, to listening sockets. Blocks on name look-ups; start-up
 * only.
 */
#ifndef FLWR_LISTEN_ADDRESS_H
#define FLWR_LISTEN_ADDRESS_H

#include "common/base/reason.h"

#include <stdbool.h>
#include <stddef.h>

#define ADDRESS_SOCKETS_MAX 4

struct address_sockets {
	int fds[ADDRESS_SOCKETS_MAX]; /* listening, non-blocking, CLOEXEC; the caller's */
	size_t n;
	char *dial; /* as a worker on this machine dials it; malloc()ed */
	bool open;  /* other machines can reach one of them */
};

/* Close them; none afterwards. */
void address_sockets_done(struct address_sockets *sockets);

struct sockaddr;
struct sockaddr_storage;

/* Is it an address that only this machine reaches? */
bool address_is_loopback(const struct sockaddr *address);

/* "127.0.0.1:51234", "[::1]:51234" for log lines; of IPv4 and IPv6 only. */
void address_text(const struct sockaddr_storage *address, char *text, size_t bytes);

/*
 * Listen at every address that host:port stands for (with port 0 at one and the same free port). 0,
 * or -errno and a sentence. SO_REUSEPORT is not set: a port in use is -EADDRINUSE.
 */
int address_listen(const char *host_port, struct address_sockets *out, struct reason *why);

/* Listen on the unix socket "worker-api.sock" in dir, which is ours alone. 0, or -errno and a
 * sentence. */
int address_listen_private(const char *dir, struct address_sockets *out, struct reason *why);

/*
 * Listen on the unix socket path, mode 0660, of this group (a name or a number; NULL: the process's
 * own). A socket there that nobody listens at, and that is ours, is replaced; nothing else is, and
 * the directory must be one in which no other user can replace ours. 0, or -errno and a sentence.
 */
int address_listen_path(
	const char *path, const char *group, struct address_sockets *out, struct reason *why);

#endif
