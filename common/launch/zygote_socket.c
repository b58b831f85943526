#include "common/launch/zygote_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int zygote_socket_open(int *ours_out, int *theirs_out)
{
	int ends[2];
	int on = 1;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	if (setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0) {
		int r = -errno;

		close(ends[0]);
		close(ends[1]);
		return r;
	}
	*ours_out = ends[0];
	*theirs_out = ends[1];
	return 0;
}

int zygote_socket_send(
	int socket, char letter, const char *text, size_t len, const int *fds, int n_fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(ZYGOTE_FDS * sizeof(int))];
	} space = {.bytes = {0}};
	struct iovec pieces[] = {{&letter, 1}, {(void *)text, len}};
	struct msghdr header = {.msg_iov = pieces, .msg_iovlen = 2};
	ssize_t n;

	if (len >= ZYGOTE_BYTES || n_fds > ZYGOTE_FDS)
		return -EMSGSIZE;
	if (n_fds) {
		size_t bytes = (size_t)n_fds * sizeof(int);

		header.msg_control = space.bytes;
		header.msg_controllen = CMSG_SPACE(bytes);
		struct cmsghdr *with = CMSG_FIRSTHDR(&header);
		with->cmsg_level = SOL_SOCKET;
		with->cmsg_type = SCM_RIGHTS;
		with->cmsg_len = CMSG_LEN(bytes);
		memcpy(CMSG_DATA(with), fds, bytes);
	}
	do
		n = sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return 0;
	return errno == ECONNRESET ? -EPIPE : -errno;
}

/* No descriptor is ever expected from there; what came nevertheless is closed. */
static void control_take(struct msghdr *header, pid_t *pid)
{
	for (struct cmsghdr *with = CMSG_FIRSTHDR(header); with; with = CMSG_NXTHDR(header, with)) {
		struct ucred from;

		if (with->cmsg_level != SOL_SOCKET)
			continue;
		if (with->cmsg_type == SCM_CREDENTIALS && with->cmsg_len >= CMSG_LEN(sizeof from)) {
			memcpy(&from, CMSG_DATA(with), sizeof from);
			*pid = from.pid;
		}
		if (with->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < (with->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(with) + i * sizeof(int), sizeof(int));
			close(fd);
		}
	}
}

int zygote_socket_receive(int socket, char text[ZYGOTE_BYTES], size_t *len, pid_t *pid)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(16 * sizeof(int))];
	} space;
	char letter = 0;
	struct iovec pieces[] = {{&letter, 1}, {text, ZYGOTE_BYTES - 1}};
	struct msghdr header = {.msg_iov = pieces,
		.msg_iovlen = 2,
		.msg_control = space.bytes,
		.msg_controllen = sizeof space.bytes};
	ssize_t n;

	do
		n = recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n <= 0)
		return n < 0 ? -errno : 0;
	*pid = 0;
	control_take(&header, pid);
	if (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC) || letter <= 0)
		return -EBADMSG;
	*len = (size_t)n - 1;
	text[*len] = '\0';
	return letter;
}
