#include "clientapp/native/conversation.h"

#include "clientapp/form/form_layout.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

static int say(int socket, struct form_datagram datagram, const struct reason *text)
{
	char cleaned[REASON_BYTES];
	size_t len = text ? strlen(text->text) : 0;
	struct iovec pieces[] = {{&datagram, sizeof datagram}, {cleaned, len}};
	struct msghdr message = {.msg_iov = pieces, .msg_iovlen = ARRAY_LEN(pieces)};
	ssize_t n;

	for (size_t i = 0; i < len; i++)
		cleaned[i] = text->text[i];
	for (size_t i = 0; !utf8_valid(cleaned, len) && i < len; i++)
		if ((unsigned char)cleaned[i] >= 0x80)
			cleaned[i] = '?';
	datagram.version = htole32(APP_FORM_VERSION);
	datagram.text_len = htole32((uint32_t)len);
	do
		n = sendmsg(socket, &message, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

int conversation_hello(int socket, uint32_t code, const struct reason *text)
{
	return say(socket,
		(struct form_datagram){.type = htole32(FORM_HELLO),
			.number = htole64((uint64_t)getpid()),
			.code = htole32(code)},
		text);
}

int conversation_reply(int socket, uint64_t bytes)
{
	return say(socket,
		(struct form_datagram){.type = htole32(FORM_GIVE_REPLY), .number = htole64(bytes)},
		NULL);
}

int conversation_failure(int socket, uint32_t code, const struct reason *text)
{
	return say(socket,
		(struct form_datagram){.type = htole32(FORM_FAILURE), .code = htole32(code)}, text);
}

int conversation_task(int socket, int *fd_out)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} space = {.bytes = {0}};
	struct form_datagram datagram;
	struct iovec piece = {&datagram, sizeof datagram};
	struct msghdr message = {.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = space.bytes,
		.msg_controllen = sizeof space.bytes};
	const struct cmsghdr *with;
	ssize_t n;

	do
		n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return 0;
	if (n < 0)
		return -errno;
	with = CMSG_FIRSTHDR(&message);
	if (n != sizeof datagram || le32toh(datagram.type) != FORM_GIVE_TASK ||
		le32toh(datagram.version) != APP_FORM_VERSION || !with ||
		with->cmsg_level != SOL_SOCKET || with->cmsg_type != SCM_RIGHTS)
		return -EBADMSG;
	memcpy(fd_out, CMSG_DATA(with), sizeof *fd_out);
	return 1;
}

bool conversation_over(int socket)
{
	struct pollfd wanted = {.fd = socket};

	return poll(&wanted, 1, 0) == 1;
}
