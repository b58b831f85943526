/*
 * Fuzz target: what an app process says to the worker: a list of datagrams, each with its length
 * before it (a byte; its highest bit: a descriptor comes with it). There is one end, and no
 * descriptor is left.
 */
#include "fuzz.h"

#include "clientapp/form/form_layout.h"
#include "clientapp/run/app_host.h"
#include "common/base/text.h"

#include <sys/socket.h>

#define DATAGRAMS_MAX 8 /* the socket takes so many at once */

FUZZ_MEMORY(512, 64);

struct conversation {
	struct app_host *host;
	unsigned hellos, ends;
};

static void on_event(void *arg, enum app_host_event event)
{
	struct conversation *conversation = arg;
	struct app_reply reply;
	const char *text;

	CHECK(conversation->ends == 0);
	if (event == APP_HOST_HELLO) {
		conversation->hellos++;
		text = app_host_hello_text(conversation->host);
		CHECK(text && utf8_valid(text, strlen(text)));
		return;
	}
	conversation->ends++;
	if (event == APP_HOST_BROKEN)
		CHECK(app_host_reason(conversation->host)[0]);
	if (event != APP_HOST_REPLY)
		return;
	app_host_take_reply(conversation->host, &reply);
	CHECK(app_host_refused(conversation->host) && reply.error_reason);
	app_reply_done(&reply);
}

static void say(int socket, const uint8_t *data, size_t len, bool stray)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct form_datagram head = {0};
	uint8_t datagram[128];
	struct iovec part = {datagram, len};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	memcpy(datagram, data, len);
	/* Set the fields that random bytes would hardly ever get right. */
	if (len >= sizeof head) {
		memcpy(&head, datagram, sizeof head);
		head.version = APP_FORM_VERSION;
		head.text_len = (uint32_t)(len - sizeof head);
		memcpy(datagram, &head, sizeof head);
	}
	if (stray) {
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof control.bytes;
		control.head = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
			.cmsg_len = CMSG_LEN(sizeof(int))};
		memcpy(CMSG_DATA(&control.head), &socket, sizeof(int));
	}
	CHECK(sendmsg(socket, &message, MSG_NOSIGNAL) == (ssize_t)len || len == 0);
}

static void say_all(int socket, const uint8_t *data, size_t len)
{
	for (int said = 0; len > 0 && said < DATAGRAMS_MAX; said++) {
		bool stray = *data & 0x80;
		size_t n = *data & 0x7f;

		data++;
		len--;
		if (n > len)
			n = len;
		if (n > 0)
			say(socket, data, n, stray);
		data += n;
		len -= n;
	}
}

void fuzz(const uint8_t *data, size_t len)
{
	static struct loop *loop;
	struct conversation conversation = {0};
	int next_fd, ends[2];

	if (!loop)
		CHECK(loop_new(&loop) == 0);
	next_fd = fuzz_next_fd();
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
	conversation.host = app_host_new(loop, ends[0], on_event, &conversation);
	CHECK(conversation.host);
	say_all(ends[1], data, len);
	close(ends[1]);
	for (int i = 0; i < 3; i++)
		loop_step(loop, 0);
	CHECK(conversation.ends == 1 && conversation.hellos <= 1);
	app_host_free(conversation.host);
	CHECK(fuzz_next_fd() == next_fd);
}
