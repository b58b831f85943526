#include "common/listen/address.h"

#include "common/base/cleanup.h"
#include "common/base/number.h"
#include "common/base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG     512
#define SOCKET_NAME "worker-api.sock"
#define SOCKET_MODE (S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP)

void address_sockets_done(struct address_sockets *sockets)
{
	for (size_t i = 0; i < sockets->n; i++)
		close_fd(&sockets->fds[i]);
	sockets->n = 0;
	free(take_pointer(&sockets->dial));
}

static void addrinfo_at_exit(struct addrinfo **list)
{
	if (*list)
		freeaddrinfo(*list);
}

/* "host:port" or "[v6]:port" cut in two; both parts are the caller's. */
static int split(const char *host_port, char **host_out, char **port_out)
{
	const char *colon = strrchr(host_port, ':');
	const char *host = host_port;
	size_t len;

	if (!colon)
		return -EINVAL;
	len = (size_t)(colon - host_port);
	if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
	}
	*host_out = text_dup(host, len);
	*port_out = text_dup(colon + 1, strlen(colon + 1));
	if (!*host_out || !*port_out) {
		free(take_pointer(host_out));
		free(take_pointer(port_out));
		return -ENOMEM;
	}
	return 0;
}

static in_port_t *port_of(struct sockaddr *address)
{
	if (address->sa_family == AF_INET6)
		return &((struct sockaddr_in6 *)(void *)address)->sin6_port;
	return &((struct sockaddr_in *)(void *)address)->sin_port;
}

void address_text(const struct sockaddr_storage *address, char *text, size_t bytes)
{
	char host[INET6_ADDRSTRLEN] = "";

	if (address->ss_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const void *)address;

		inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
		snprintf(text, bytes, "[%s]:%u", host, ntohs(v6->sin6_port));
	} else {
		const struct sockaddr_in *v4 = (const void *)address;

		inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
		snprintf(text, bytes, "%s:%u", host, ntohs(v4->sin_port));
	}
}

bool address_is_loopback(const struct sockaddr *address)
{
	const struct sockaddr_in *v4 = (const void *)address;
	const struct sockaddr_in6 *v6 = (const void *)address;

	if (address->sa_family == AF_INET)
		return ntohl(v4->sin_addr.s_addr) >> IN_CLASSA_NSHIFT == IN_LOOPBACKNET;
	if (address->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
		return v6->sin6_addr.s6_addr[12] == IN_LOOPBACKNET;
	return address->sa_family == AF_UNIX ||
	       (address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr));
}

/* Open a listening socket at info; a port that was chosen by the kernel is stored in *port. */
static int listen_one(const struct addrinfo *info, in_port_t *port)
{
	struct sockaddr_storage address = {0};
	socklen_t len = info->ai_addrlen;
	int on = 1;
	auto_(close_at_exit) int fd = socket(
		info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, info->ai_protocol);

	if (fd < 0)
		return -errno;
	memcpy(&address, info->ai_addr, info->ai_addrlen);
	if (*port_of((struct sockaddr *)&address) == 0)
		*port_of((struct sockaddr *)&address) = *port;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (info->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&address, len) || listen(fd, BACKLOG) ||
		getsockname(fd, (struct sockaddr *)&address, &len))
		return -errno;
	*port = *port_of((struct sockaddr *)&address);
	return take_fd(&fd);
}

/* The address that a worker on this machine dials: the wildcard addresses are reached at loopback.
 */
static char *dial_address(const char *host, in_port_t port)
{
	struct text text = {0};
	const char *to = host;

	if (!*host || strcmp(host, "0.0.0.0") == 0)
		to = "127.0.0.1";
	else if (strcmp(host, "::") == 0)
		to = "::1";
	if (text_printf(&text, strchr(to, ':') ? "[%s]:%u" : "%s:%u", to, ntohs(port))) {
		text_done(&text);
		return NULL;
	}
	return text_take(&text);
}

int address_listen(const char *host_port, struct address_sockets *out, struct reason *why)
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	auto_(addrinfo_at_exit) struct addrinfo *list = NULL;
	auto_(free_at_exit) char *host = NULL;
	auto_(free_at_exit) char *port_text = NULL;
	struct address_sockets sockets = {0};
	in_port_t port = 0;
	int r = split(host_port, &host, &port_text);

	if (r)
		return reason_code(why, r, "%s is no address: expected host:port", host_port);
	r = getaddrinfo(*host ? host : NULL, port_text, &hints, &list);
	if (r)
		return reason_code(
			why, -EADDRNOTAVAIL, "cannot resolve %s: %s", host_port, gai_strerror(r));
	for (struct addrinfo *at = list; at && sockets.n < ADDRESS_SOCKETS_MAX; at = at->ai_next) {
		int fd = listen_one(at, &port);

		/* A host without IPv6 may still have a name with such an address. */
		if (fd < 0 && (fd == -EAFNOSUPPORT || (fd == -EADDRNOTAVAIL && at->ai_next)))
			continue;
		if (fd < 0) {
			address_sockets_done(&sockets);
			return reason_code(why, fd, "cannot listen at %s: %s%s", host_port,
				strerror(-fd),
				fd == -EADDRINUSE ? " (give another port, or port 0 for a free one)"
						  : "");
		}
		sockets.fds[sockets.n++] = fd;
		sockets.open = sockets.open || !address_is_loopback(at->ai_addr);
	}
	if (sockets.n == 0)
		return reason_code(why, -EADDRNOTAVAIL, "cannot listen at %s", host_port);
	sockets.dial = dial_address(host, port);
	if (!sockets.dial) {
		address_sockets_done(&sockets);
		return -ENOMEM;
	}
	*out = sockets;
	return 0;
}

/* An unbound socket, and the address of path. -ENAMETOOLONG with a sentence. */
static int unix_socket(const char *path, struct sockaddr_un *address, struct reason *why)
{
	size_t len = strlen(path);
	int fd;

	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (len >= sizeof address->sun_path)
		return reason_code(why, -ENAMETOOLONG,
			"the path of the worker API's socket is too long: %s", path);
	memcpy(address->sun_path, path, len);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return fd < 0 ? -errno : fd;
}

/* Listen with fd, which is bound to path. fd is taken over with 0. */
static int unix_listen(int *fd, const char *path, struct address_sockets *out, struct reason *why)
{
	struct text dial = {0};
	int r = text_printf(&dial, "unix:%s", path);

	if (r == 0 && listen(*fd, BACKLOG))
		r = reason_code(why, -errno, "cannot listen at unix:%s: %s", path, strerror(errno));
	if (r) {
		text_done(&dial);
		unlink(path);
		return r;
	}
	*out = (struct address_sockets){.fds = {take_fd(fd)}, .n = 1, .dial = text_take(&dial)};
	return 0;
}

int address_listen_private(const char *dir, struct address_sockets *out, struct reason *why)
{
	auto_(free_at_exit) char *path = NULL;
	auto_(close_at_exit) int fd = -1;
	struct sockaddr_un address;

	if (asprintf(&path, "%s/%s", dir, SOCKET_NAME) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	fd = unix_socket(path, &address, why);
	if (fd < 0)
		return fd;
	if (bind(fd, (struct sockaddr *)&address, sizeof address))
		return reason_code(
			why, -errno, "cannot listen at unix:%s: %s", path, strerror(errno));
	return unix_listen(&fd, path, out, why);
}

/* No other user may put a socket in the place of ours. */
static int check_parent(const char *path, struct reason *why)
{
	const char *slash = strrchr(path, '/');
	auto_(free_at_exit) char *dir =
		slash ? text_dup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
	struct stat file;

	if (!dir)
		return -ENOMEM;
	if (stat(dir, &file))
		return reason_code(
			why, -errno, "the directory of unix:%s: %s", path, strerror(errno));
	if (file.st_uid != geteuid() && file.st_uid != 0)
		return reason_code(why, -EPERM,
			"unix:%s: its directory belongs to uid %u, who could put another socket there; use a directory of uid %u",
			path, (unsigned)file.st_uid, (unsigned)geteuid());
	if ((file.st_mode & (S_IWOTH | S_IWGRP)) && !(file.st_mode & S_ISVTX))
		return reason_code(why, -EPERM,
			"unix:%s: others can write to its directory, and could put another socket there: chmod go-w",
			path);
	return 0;
}

/* Remove what a program that was killed has left; nothing else is removed. */
static int remove_stale(const struct sockaddr_un *address, struct reason *why)
{
	const char *path = address->sun_path;
	auto_(close_at_exit) int probe = -1;
	struct stat file;

	if (lstat(path, &file))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(file.st_mode))
		return reason_code(why, -EEXIST,
			"unix:%s is there, and is no socket: give another path", path);
	if (file.st_uid != geteuid())
		return reason_code(why, -EEXIST,
			"unix:%s is there, and belongs to uid %u: remove it, or give another path",
			path, (unsigned)file.st_uid);
	probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (probe < 0)
		return -errno;
	if (connect(probe, (const struct sockaddr *)address, sizeof *address) == 0 ||
		errno != ECONNREFUSED)
		return reason_code(
			why, -EADDRINUSE, "cannot listen at unix:%s: another program does", path);
	return unlink(path) ? -errno : 0;
}

/* group: a name or a number; NULL: that of the process. */
static int group_id(const char *group, gid_t *out, struct reason *why)
{
	const struct group *entry = group ? getgrnam(group) : NULL;
	uint64_t number;

	*out = (gid_t)-1;
	if (!group)
		return 0;
	if (entry)
		*out = entry->gr_gid;
	else if (number_u64(group, &number) == 0 && number < (gid_t)-1)
		*out = (gid_t)number;
	else
		return reason_code(why, -EINVAL, "there is no group %s", group);
	return 0;
}

int address_listen_path(
	const char *path, const char *group, struct address_sockets *out, struct reason *why)
{
	auto_(close_at_exit) int fd = -1;
	struct sockaddr_un address;
	gid_t gid;
	int r = group_id(group, &gid, why);

	if (r == 0)
		r = check_parent(path, why);
	if (r)
		return r;
	fd = unix_socket(path, &address, why);
	if (fd < 0)
		return fd;
	r = remove_stale(&address, why);
	if (r == 0 && bind(fd, (struct sockaddr *)&address, sizeof address))
		r = -errno;
	if (r)
		return why && why->text[0] ? r
					   : reason_code(why, r, "cannot listen at unix:%s: %s",
						     path, strerror(-r));
	/* A client cannot connect before listen(). */
	if ((gid != (gid_t)-1 && lchown(path, (uid_t)-1, gid)) || chmod(path, SOCKET_MODE)) {
		r = reason_code(why, -errno, "the rights of unix:%s cannot be set: %s", path,
			strerror(errno));
		unlink(path);
		return r;
	}
	return unix_listen(&fd, path, out, why);
}
