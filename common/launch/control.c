/*
 * A message is one datagram in the byte order of the machine, which both ends share: version and
 * kind (a byte each), then the members of its kind. Strings are a 16 bit length and as many bytes.
 */
#include "common/launch/control.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define CONTROL_VERSION      7
#define CONTROL_BYTES        32768
#define CONTROL_STRING_BYTES 3072 /* nine of them fit, and a token */
#define CONTROL_TOKEN_BYTES  1024
#define CONTROL_FDS          4 /* more than one is wrong, but must be seen to be closed */

struct packet {
	uint8_t bytes[CONTROL_BYTES];
	size_t len;
	size_t at;   /* read up to here */
	bool broken; /* something did not fit or was not there */
};

static void put(struct packet *packet, const void *bytes, size_t len)
{
	if (len > sizeof packet->bytes - packet->len) {
		packet->broken = true;
		return;
	}
	memcpy(packet->bytes + packet->len, bytes, len);
	packet->len += len;
}

static void put_string(struct packet *packet, const char *text, size_t max)
{
	size_t len = strlen(text);
	uint16_t head = (uint16_t)len;

	if (len > max) {
		packet->broken = true;
		return;
	}
	put(packet, &head, sizeof head);
	put(packet, text, len);
}

/* NULL is "". */
static void put_optional(struct packet *packet, const char *text, size_t max)
{
	put_string(packet, text ? text : "", max);
}

/* Zeros when it is not there. */
static void get(struct packet *packet, void *bytes, size_t len)
{
	if (packet->broken || len > packet->len - packet->at) {
		packet->broken = true;
		memset(bytes, 0, len);
		return;
	}
	memcpy(bytes, packet->bytes + packet->at, len);
	packet->at += len;
}

/* Into text of max + 1 bytes. */
static void get_text(struct packet *packet, char *text, size_t max, bool utf8)
{
	uint16_t len;

	get(packet, &len, sizeof len);
	if (len > max) {
		packet->broken = true;
		len = 0;
	}
	get(packet, text, len);
	text[len] = '\0';
	if (memchr(text, '\0', len) || (utf8 && !utf8_valid(text, len)))
		packet->broken = true;
}

static char *get_string(struct packet *packet)
{
	char text[CONTROL_STRING_BYTES + 1];
	char *copy;

	get_text(packet, text, CONTROL_STRING_BYTES, false);
	copy = strdup(text);
	explicit_bzero(text, sizeof text);
	if (!copy)
		packet->broken = true;
	return copy;
}

/* NULL when it is empty. */
static char *get_optional(struct packet *packet)
{
	char *text = get_string(packet);

	if (text && !text[0])
		free(take_pointer(&text));
	return text;
}

/* ---- the kinds ---- */

static void start_put(struct packet *packet, const struct control_message *message)
{
	int32_t log_level = message->start.log_level;
	uint8_t stderr_in_replies = message->start.stderr_in_replies;
	uint8_t signed_apps = message->start.signed_apps;
	uint8_t names_apps = message->start.names_apps;
	uint8_t tls = message->start.tls;

	put(packet, &message->start.token, sizeof message->start.token);
	put(packet, &message->start.content_max_bytes, sizeof message->start.content_max_bytes);
	put(packet, &log_level, sizeof log_level);
	put(packet, &stderr_in_replies, sizeof stderr_in_replies);
	put(packet, &signed_apps, sizeof signed_apps);
	put(packet, &names_apps, sizeof names_apps);
	put(packet, &tls, sizeof tls);
	put_string(packet, message->start.address, CONTROL_STRING_BYTES);
	put_string(packet, message->start.flwr_home, CONTROL_STRING_BYTES);
	put_optional(packet, message->start.command, CONTROL_STRING_BYTES);
	put_optional(packet, message->start.token_file, CONTROL_STRING_BYTES);
	put_optional(packet, message->start.task_token, CONTROL_TOKEN_BYTES);
	put_optional(packet, message->start.spelling, CONTROL_STRING_BYTES);
	put_optional(packet, message->start.root_certificates, CONTROL_STRING_BYTES);
	put_optional(packet, message->start.client_certificate, CONTROL_STRING_BYTES);
	put_optional(packet, message->start.client_key, CONTROL_STRING_BYTES);
}

static void start_get(struct packet *packet, struct control_message *message)
{
	uint8_t stderr_in_replies = 0, signed_apps = 0, names_apps = 0, tls = 0;
	int32_t log_level;

	get(packet, &message->start.token, sizeof message->start.token);
	get(packet, &message->start.content_max_bytes, sizeof message->start.content_max_bytes);
	get(packet, &log_level, sizeof log_level);
	get(packet, &stderr_in_replies, sizeof stderr_in_replies);
	get(packet, &signed_apps, sizeof signed_apps);
	get(packet, &names_apps, sizeof names_apps);
	get(packet, &tls, sizeof tls);
	message->start.log_level = log_level;
	message->start.address = get_string(packet);
	message->start.flwr_home = get_string(packet);
	message->start.command = get_optional(packet);
	message->start.token_file = get_optional(packet);
	message->start.task_token = get_optional(packet);
	message->start.spelling = get_optional(packet);
	message->start.root_certificates = get_optional(packet);
	message->start.client_certificate = get_optional(packet);
	message->start.client_key = get_optional(packet);
	message->start.stderr_in_replies = stderr_in_replies;
	message->start.signed_apps = signed_apps;
	message->start.names_apps = names_apps;
	message->start.tls = tls;
	if (log_level < 0 || log_level >= LOG_LEVEL_N || stderr_in_replies > 1 || signed_apps > 1 ||
		names_apps > 1 || tls > 1)
		packet->broken = true;
}

static void nothing_put(struct packet *packet, const struct control_message *message)
{
	(void)packet;
	(void)message;
}

static void nothing_get(struct packet *packet, struct control_message *message)
{
	(void)packet;
	(void)message;
}

static void app_put(struct packet *packet, const struct control_message *message)
{
	put_optional(packet, message->app.fab_id, CONTROL_STRING_BYTES);
	put_optional(packet, message->app.component, CONTROL_STRING_BYTES);
	put_optional(packet, message->app.dir, CONTROL_STRING_BYTES);
	put(packet, &message->app.run_id, sizeof message->app.run_id);
}

/* An app has all three names. */
static void app_get(struct packet *packet, struct control_message *message)
{
	struct control_app *app = &message->app;

	app->fab_id = get_optional(packet);
	app->component = get_optional(packet);
	app->dir = get_optional(packet);
	get(packet, &app->run_id, sizeof app->run_id);
	if (!app->fab_id != !app->component || !app->fab_id != !app->dir)
		packet->broken = true;
}

static void started_put(struct packet *packet, const struct control_message *message)
{
	uint8_t native = message->native;

	put(packet, &native, sizeof native);
}

static void started_get(struct packet *packet, struct control_message *message)
{
	uint8_t native;

	get(packet, &native, sizeof native);
	message->native = native;
	if (native > 1)
		packet->broken = true;
}

static void ended_put(struct packet *packet, const struct control_message *message)
{
	const struct process_end *end = &message->end;
	const uint8_t head[] = {(uint8_t)end->kind, (uint8_t)end->stop, end->out_of_memory,
		end->never_ready, end->over_memory_limit};
	int32_t value = end->value;

	put(packet, head, sizeof head);
	put(packet, &value, sizeof value);
	put_string(packet, end->why.text, sizeof end->why.text - 1);
	put_string(packet, end->tail, sizeof end->tail - 1);
}

static void ended_get(struct packet *packet, struct control_message *message)
{
	struct process_end *end = &message->end;
	uint8_t head[5];
	int32_t value;

	get(packet, head, sizeof head);
	get(packet, &value, sizeof value);
	get_text(packet, end->why.text, sizeof end->why.text - 1, false);
	get_text(packet, end->tail, sizeof end->tail - 1, true);
	if (head[0] > PROCESS_NOT_STARTED || head[1] > PROCESS_STOPPED || head[2] > 1 ||
		head[3] > 1 || head[4] > 1) {
		packet->broken = true;
		return;
	}
	end->kind = (enum process_end_kind)head[0];
	end->stop = (enum process_stop)head[1];
	end->out_of_memory = head[2];
	end->never_ready = head[3];
	end->over_memory_limit = head[4];
	end->value = value;
}

static const struct {
	void (*put)(struct packet *packet, const struct control_message *message);
	void (*get)(struct packet *packet, struct control_message *message);
	bool with_fd;
} kinds[] = {
	[CONTROL_START] = {start_put, start_get, false},
	[CONTROL_APP_START] = {app_put, app_get, false},
	[CONTROL_APP_STARTED] = {started_put, started_get, true},
	[CONTROL_APP_STOP] = {nothing_put, nothing_get, false},
	[CONTROL_GIVE_UP] = {nothing_put, nothing_get, false},
	[CONTROL_APP_ENDED] = {ended_put, ended_get, false},
};
_Static_assert(ARRAY_LEN(kinds) == CONTROL_KIND_N, "every kind has a row");

void control_message_done(struct control_message *message)
{
	free(message->start.address);
	free(message->start.flwr_home);
	free(message->start.command);
	free(message->start.token_file);
	free(message->start.root_certificates);
	free(message->start.client_certificate);
	free(message->start.client_key);
	if (message->start.task_token)
		explicit_bzero(message->start.task_token, strlen(message->start.task_token));
	free(message->start.task_token);
	free(message->start.spelling);
	free(message->app.fab_id);
	free(message->app.component);
	free(message->app.dir);
	message->app = (struct control_app){0};
	close_fd(&message->fd);
	explicit_bzero(&message->start, sizeof message->start);
}

/* ---- sockets ---- */

union fds_space {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(CONTROL_FDS * sizeof(int))];
};

int control_send(int socket, const struct control_message *message)
{
	const uint8_t head[] = {CONTROL_VERSION, (uint8_t)message->kind};
	struct packet packet = {.len = 0};
	union fds_space space = {.bytes = {0}};
	struct iovec piece = {.iov_base = packet.bytes};
	struct msghdr header = {.msg_iov = &piece, .msg_iovlen = 1};
	ssize_t n;

	put(&packet, head, sizeof head);
	kinds[message->kind].put(&packet, message);
	if (packet.broken)
		return -EMSGSIZE;
	if (kinds[message->kind].with_fd) {
		header.msg_control = space.bytes;
		header.msg_controllen = CMSG_SPACE(sizeof(int));
		struct cmsghdr *with = CMSG_FIRSTHDR(&header);
		with->cmsg_level = SOL_SOCKET;
		with->cmsg_type = SCM_RIGHTS;
		with->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(with), &message->fd, sizeof(int));
	}
	piece.iov_len = packet.len;
	do
		n = sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	int r = n < 0 ? -errno : 0;
	explicit_bzero(&packet, sizeof packet);
	return r == -ECONNRESET ? -EPIPE : r;
}

/* Keep the first descriptor in *fd, close the others; their number. */
static int fds_take(struct msghdr *header, int *fd)
{
	int count = 0;

	for (struct cmsghdr *with = CMSG_FIRSTHDR(header); with; with = CMSG_NXTHDR(header, with)) {
		size_t n = (with->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (with->cmsg_level != SOL_SOCKET || with->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int got;

			memcpy(&got, CMSG_DATA(with) + i * sizeof(int), sizeof(int));
			if (count++ == 0)
				*fd = got;
			else
				close(got);
		}
	}
	return count;
}

static int packet_decode(struct packet *packet, int n_fds, struct control_message *message)
{
	uint8_t head[2];

	get(packet, head, sizeof head);
	if (packet->broken || head[0] != CONTROL_VERSION || head[1] >= CONTROL_KIND_N)
		return -EBADMSG;
	message->kind = (enum control_kind)head[1];
	if (n_fds != kinds[message->kind].with_fd)
		return -EBADMSG;
	kinds[message->kind].get(packet, message);
	return packet->broken || packet->at != packet->len ? -EBADMSG : 1;
}

int control_receive(int socket, struct control_message *out)
{
	struct packet packet = {.len = 0};
	union fds_space space = {.bytes = {0}};
	struct iovec piece = {.iov_base = packet.bytes, .iov_len = sizeof packet.bytes};
	struct msghdr header = {.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = space.bytes,
		.msg_controllen = sizeof space.bytes};
	struct control_message message = {.fd = -1};
	ssize_t n;

	/* A reset is told once, when the other end left something unread; what it had sent before
	 * comes after that. */
	do
		n = recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n <= 0)
		return n < 0 ? -errno : 0;
	packet.len = (size_t)n;
	int n_fds = fds_take(&header, &message.fd);
	int r = header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)
			? -EBADMSG
			: packet_decode(&packet, n_fds, &message);
	explicit_bzero(&packet, sizeof packet);
	if (r < 0) {
		control_message_done(&message);
		return r;
	}
	*out = message;
	return 1;
}
