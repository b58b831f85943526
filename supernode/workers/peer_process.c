/*
 * A unix socket knows its peer. For TCP a peer of ours says who it is. For others the kernel is
 * asked for the inode of the socket at the other end (sock_diag), which is then looked for among
 * the descriptors of all processes.
 */
#include "supernode/workers/peer_process.h"

#include "common/base/cleanup.h"
#include "common/base/number.h"
#include "common/base/process_mark.h"
#include "common/listen/address.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

struct endpoint {
	int family;
	uint16_t port; /* network order, as the address */
	unsigned char address[16];
};

static int pidfd_of(pid_t pid)
{
	int fd = pid > 0 ? pidfd_open(pid, 0) : -1;

	return fd < 0 ? -ESRCH : fd;
}

/* 0, or -ESRCH when it is no end of a TCP connection over loopback. */
static int endpoint_of(const struct sockaddr_storage *address, struct endpoint *out)
{
	const struct sockaddr_in *v4 = (const void *)address;
	const struct sockaddr_in6 *v6 = (const void *)address;

	*out = (struct endpoint){.family = address->ss_family};
	if (!address_is_loopback((const struct sockaddr *)address))
		return -ESRCH;
	if (address->ss_family == AF_INET) {
		out->port = v4->sin_port;
		memcpy(out->address, &v4->sin_addr, 4);
		return 0;
	}
	if (address->ss_family != AF_INET6)
		return -ESRCH;
	out->port = v6->sin6_port;
	memcpy(out->address, &v6->sin6_addr, 16);
	if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
		/* The other end is a socket of IPv4. */
		out->family = AF_INET;
		memmove(out->address, out->address + 12, 4);
	}
	return 0;
}

/* The inode of the TCP socket from local to remote; 0: there is none. */
static uint32_t tcp_inode(const struct endpoint *local, const struct endpoint *remote)
{
	struct {
		struct nlmsghdr head;
		struct inet_diag_req_v2 body;
	} request = {
		.head = {.nlmsg_len = sizeof request,
			.nlmsg_type = SOCK_DIAG_BY_FAMILY,
			.nlmsg_flags = NLM_F_REQUEST},
		.body = {.sdiag_family = (uint8_t)local->family,
			.sdiag_protocol = IPPROTO_TCP,
			.idiag_states = UINT32_MAX,
			.id = {.idiag_sport = local->port,
				.idiag_dport = remote->port,
				.idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}}},
	};
	struct {
		struct nlmsghdr head;
		struct inet_diag_msg body;
		char rest[512];
	} answer;
	auto_(close_at_exit) int diag =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	ssize_t n;

	memcpy(request.body.id.idiag_src, local->address, sizeof local->address);
	memcpy(request.body.id.idiag_dst, remote->address, sizeof remote->address);
	if (diag < 0 || send(diag, &request, sizeof request, 0) != sizeof request)
		return 0;
	/* The kernel has answered before send() returns. */
	n = recv(diag, &answer, sizeof answer, MSG_DONTWAIT);
	if (n < (ssize_t)(sizeof answer.head + sizeof answer.body) ||
		answer.head.nlmsg_type != SOCK_DIAG_BY_FAMILY)
		return 0;
	return answer.body.idiag_inode;
}

/* Has the process whose /proc/PID/fd is at path this socket open? */
static bool holds(const char *path, const char *socket)
{
	auto_(closedir_at_exit) DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char link[64];
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, link, sizeof link - 1);

		link[n > 0 ? n : 0] = '\0';
		if (strcmp(link, socket) == 0)
			return true;
	}
	return false;
}

static int holder_of(uint32_t inode)
{
	auto_(closedir_at_exit) DIR *proc = opendir("/proc");
	struct dirent *entry;
	char socket[32];

	snprintf(socket, sizeof socket, "socket:[%u]", inode);
	while (proc && (entry = readdir(proc))) {
		char path[32];
		uint64_t pid;

		if (number_u64(entry->d_name, &pid) || pid > INT32_MAX || pid == (uint64_t)getpid())
			continue;
		snprintf(path, sizeof path, "/proc/%u/fd", (unsigned)pid);
		if (holds(path, socket))
			return pidfd_of((pid_t)pid);
	}
	return -ESRCH;
}

int peer_process_open(int fd, const char *said)
{
	struct sockaddr_storage ours = {0}, theirs = {0};
	socklen_t ours_len = sizeof ours, theirs_len = sizeof theirs;
	struct ucred credentials = {0};
	socklen_t len = sizeof credentials;
	struct endpoint local, remote;
	uint32_t inode;
	int process;

	if (getsockname(fd, (struct sockaddr *)&ours, &ours_len) ||
		getpeername(fd, (struct sockaddr *)&theirs, &theirs_len))
		return -ESRCH;
	if (ours.ss_family == AF_UNIX)
		return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &len)
			       ? -ESRCH
			       : pidfd_of(credentials.pid);
	if (endpoint_of(&theirs, &local) || endpoint_of(&ours, &remote))
		return -ESRCH;
	process = process_mark_open(said);
	if (process >= 0)
		return process;
	inode = tcp_inode(&local, &remote);
	return inode ? holder_of(inode) : -ESRCH;
}
