#include "common/rpc/traffic.h"

#include "common/base/cleanup.h"
#include "common/base/number.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <linux/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* Does the peer hold the other end of fd? */
static bool is_peer(int fd, const char *peer)
{
	struct sockaddr_storage address = {0};
	const struct sockaddr_in *v4 = (const void *)&address;
	const struct sockaddr_in6 *v6 = (const void *)&address;
	socklen_t len = sizeof address;
	char host[INET6_ADDRSTRLEN] = "";
	char text[INET6_ADDRSTRLEN + 32] = "";

	if (getpeername(fd, (struct sockaddr *)&address, &len) < 0)
		return false;
	if (address.ss_family == AF_INET) {
		inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
		snprintf(text, sizeof text, "ipv4:%s:%u", host, ntohs(v4->sin_port));
	} else if (address.ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
		/* gRPC's sockets are of both families. */
		inet_ntop(AF_INET, v6->sin6_addr.s6_addr + 12, host, sizeof host);
		snprintf(text, sizeof text, "ipv4:%s:%u", host, ntohs(v6->sin6_port));
	} else if (address.ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
		snprintf(text, sizeof text, "ipv6:%%5B%s%%5D:%u", host, ntohs(v6->sin6_port));
	}
	return strcmp(text, peer) == 0;
}

/* The same of one socket; false: it is no TCP connection. */
static bool traffic_of(int fd, struct traffic *out)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof info;

	*out = (struct traffic){0};
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return false;
	out->sent = info.tcpi_bytes_acked;
	out->received = info.tcpi_bytes_received;
	return true;
}

bool traffic_with(const char *peer, struct traffic *out)
{
	auto_(closedir_at_exit) DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	bool found = false;

	*out = (struct traffic){0};
	while (dir && (entry = readdir(dir))) {
		struct traffic one;
		uint64_t fd;

		if (number_u64(entry->d_name, &fd) < 0 || !is_peer((int)fd, peer) ||
			!traffic_of((int)fd, &one))
			continue;
		out->sent += one.sent;
		out->received += one.received;
		found = true;
	}
	return found;
}
