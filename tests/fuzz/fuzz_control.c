/*
 * Fuzz target: the control socket between agent and worker. The first byte says how many
 * descriptors come with the datagram. What is taken has one form only; no descriptor is left open.
 */
#include "fuzz.h"

#include "common/launch/control.h"

#include <sys/socket.h>

#define FDS_MAX   6
#define MAX_BYTES 65536

FUZZ_MEMORY(128, 16);

static int ends[2] = {-1, -1};
static uint8_t version; /* that a datagram begins with; not left to chance */

static void set_up(void)
{
	const struct control_message stop = {.kind = CONTROL_APP_STOP, .fd = -1};
	uint8_t datagram[16];

	if (ends[0] >= 0)
		return;
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
	CHECK(control_send(ends[1], &stop) == 0);
	CHECK(recv(ends[0], datagram, sizeof datagram, 0) > 1);
	version = datagram[0];
}

static void send_datagram(const uint8_t *data, size_t len, size_t n_fds)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control = {0};
	struct iovec part = {(void *)data, len};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	int fds[FDS_MAX] = {ends[1], ends[1], ends[1], ends[1], ends[1], ends[1]};

	if (n_fds) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		control.head = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
			.cmsg_len = CMSG_LEN(n_fds * sizeof(int))};
		memcpy(CMSG_DATA(&control.head), fds, n_fds * sizeof(int));
	}
	CHECK(sendmsg(ends[1], &message, MSG_NOSIGNAL) == (ssize_t)len);
}

/* Sent again, it is the datagram that it was. */
static void check_again(const struct control_message *got, const uint8_t *data, size_t len)
{
	uint8_t again[MAX_BYTES];

	CHECK(got->kind < CONTROL_KIND_N);
	CHECK((got->kind == CONTROL_APP_STARTED) == (got->fd >= 0));
	CHECK(control_send(ends[1], got) == 0);
	CHECK(recv(ends[0], again, sizeof again, 0) == (ssize_t)len);
	CHECK(memcmp(again, data, len) == 0);
}

void fuzz(const uint8_t *data, size_t len)
{
	uint8_t datagram[MAX_BYTES];
	struct control_message got;
	int next_fd;

	set_up();
	if (len < 2 || len > sizeof datagram)
		return;
	memcpy(datagram, data + 1, len - 1);
	datagram[0] = version;
	next_fd = fuzz_next_fd();
	send_datagram(datagram, len - 1, data[0] % (FDS_MAX + 1));
	if (control_receive(ends[0], &got) == 1) {
		check_again(&got, datagram, len - 1);
		control_message_done(&got);
	}
	CHECK(fuzz_next_fd() == next_fd);
}
