#include "common/listen/way.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

void way_clear(struct way *way)
{
	free(way->v);
	*way = (struct way){0};
}

int way_keep(struct way *way, const uint8_t *bytes, size_t n, size_t sent, size_t passed)
{
	uint8_t *v;

	if (way->v) {
		way->at += sent;
		way->passed = way->at + passed - sent;
		return 0;
	}
	v = malloc(n - sent);
	if (!v)
		return -ENOMEM;
	memcpy(v, bytes + sent, n - sent);
	*way = (struct way){.v = v, .n = n - sent, .passed = passed - sent};
	return 0;
}

ssize_t way_send(int fd, const uint8_t *bytes, size_t n)
{
	size_t sent = 0;

	while (sent < n) {
		ssize_t r = send(fd, bytes + sent, n - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0 && errno == EAGAIN)
			break;
		if (r < 0)
			return -errno;
		sent += (size_t)r;
	}
	return (ssize_t)sent;
}

bool way_has_hung_up(int fd)
{
	struct pollfd end = {.fd = fd, .events = POLLRDHUP};

	return poll(&end, 1, 0) == 1;
}

bool way_is_gone(int fd)
{
	struct pollfd end = {.fd = fd};

	return poll(&end, 1, 0) == 1;
}
