/*
 * app_host: one conversation: hello, task, reply. Each is one datagram; task and reply are in one
 * file, whose descriptor is given with the task: the worker makes it, because not every Python can,
 * and the reply takes the task's place, because new memory is slow.
 */
#include "clientapp/run/app_host.h"

#include "clientapp/form/form_layout.h"
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/text.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define LOAD_REASON "An exception was raised when attempting to load `ClientApp`"

enum host_state { HOST_WAITS_FOR_HELLO, HOST_READY, HOST_RUNS, HOST_OVER };

struct app_host {
	app_host_fn *fn;
	void *arg;
	struct timer *hello_timer;
	struct watch *watch;
	int fd;
	int task_fd;  /* -1: not given yet, or sent */
	int reply_fd; /* the same file; the app process has it too */
	enum host_state state;
	bool replied;
	bool refused; /* by its hello */
	bool *freed;  /* set by app_host_free() while an event is being told */
	struct app_reply reply;
	struct reason why;
	char hello[FORM_TEXT_MAX + 1];
	uint8_t datagram[sizeof(struct form_datagram) + FORM_TEXT_MAX + 1]; /* the last one */
};

/* false: the host has been freed. */
static bool tell(struct app_host *host, enum app_host_event event)
{
	bool *outer = host->freed;
	bool freed = false;

	host->freed = &freed;
	host->fn(host->arg, event);
	if (freed) {
		if (outer)
			*outer = true;
		return false;
	}
	host->freed = outer;
	return true;
}

/* Nothing more is read: a watch on a socket that has hung up would never rest. */
static void end_conversation(struct app_host *host)
{
	host->state = HOST_OVER;
	timer_set(host->hello_timer, CLOCK_NEVER);
	watch_free(host->watch);
	host->watch = NULL;
	close_fd(&host->task_fd);
}

static bool end_with(struct app_host *host, enum app_host_event event)
{
	end_conversation(host);
	return tell(host, event);
}

static void hello_missing(void *arg)
{
	end_with(arg, APP_HOST_SILENT);
}

/* Gives the file away. 0 or -errno. */
static int send_task(struct app_host *host)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct form_datagram task = {
		.type = htole32(FORM_GIVE_TASK), .version = htole32(APP_FORM_VERSION)};
	struct iovec iov = {&task, sizeof task};
	struct msghdr message = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof control.bytes};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	struct stat st;

	if (fstat(host->task_fd, &st) < 0)
		return -errno;
	task.number = htole64((uint64_t)st.st_size);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &host->task_fd, sizeof(int));
	if (sendmsg(host->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return -errno;
	host->reply_fd = take_fd(&host->task_fd);
	host->state = HOST_RUNS;
	return 0;
}

/* Results as of send_task(); the hang-up tells that the other end has gone. */
static int send_task_if_there(struct app_host *host)
{
	int r = send_task(host);

	return r == -EPIPE || r == -ECONNRESET ? 0 : r;
}

/* An error is the reply, whatever the task. */
static bool take_error(struct app_host *host, uint32_t code, const char *before, const char *reason)
{
	struct text whole = {0};

	if (text_printf(&whole, "%s%s", before, reason) < 0) {
		text_done(&whole);
		reason_set(&host->why, "no memory for the app's reply");
		return end_with(host, APP_HOST_BROKEN);
	}
	host->reply.has_error = true;
	host->reply.error_code = code;
	host->reply.error_reason = text_take(&whole);
	host->reply.traceback = strdup("");
	host->replied = true;
	return end_with(host, APP_HOST_REPLY);
}

/* No app can run there. */
static bool take_refusal(struct app_host *host, uint32_t code)
{
	host->refused = true;
	return take_error(host, code, LOAD_REASON ": ", host->hello);
}

static bool take_hello(
	struct app_host *host, const struct form_datagram *hello, const char *text, size_t len)
{
	uint32_t code = le32toh(hello->code);
	int r;

	if (host->state != HOST_WAITS_FOR_HELLO || !utf8_valid(text, len)) {
		reason_set(&host->why, "the app process said hello in a wrong way");
		return end_with(host, APP_HOST_BROKEN);
	}
	memcpy(host->hello, text, len);
	host->hello[len] = '\0';
	if (code)
		return take_refusal(host, code);
	timer_set(host->hello_timer, CLOCK_NEVER);
	host->state = HOST_READY;
	r = host->task_fd >= 0 ? send_task_if_there(host) : 0;
	if (r < 0) {
		reason_set(
			&host->why, "the task cannot be sent to the app process: %s", strerror(-r));
		return end_with(host, APP_HOST_BROKEN);
	}
	return tell(host, APP_HOST_HELLO);
}

static bool take_reply(struct app_host *host)
{
	if (host->state != HOST_RUNS) {
		reason_set(&host->why, "the app process replied before it had a task");
		return end_with(host, APP_HOST_BROKEN);
	}
	if (app_form_read_reply(host->reply_fd, &host->reply, &host->why) < 0)
		return end_with(host, APP_HOST_BROKEN);
	close_fd(&host->reply_fd);
	host->replied = true;
	return end_with(host, APP_HOST_REPLY);
}

static bool take_failure(struct app_host *host, uint32_t code, const char *text, size_t len)
{
	auto_(free_at_exit) char *reason = NULL;

	if (host->state != HOST_RUNS || !code || !utf8_valid(text, len)) {
		reason_set(&host->why, "the app process told of a failure in a wrong way");
		return end_with(host, APP_HOST_BROKEN);
	}
	reason = text_dup(text, len);
	if (!reason) {
		reason_set(&host->why, "no memory for the app's reply");
		return end_with(host, APP_HOST_BROKEN);
	}
	return take_error(host, code, "", reason);
}

/* No descriptor is ever expected from there; what came nevertheless is closed. true: there was one.
 */
static bool close_strays(struct msghdr *message)
{
	bool found = (message->msg_flags & MSG_CTRUNC) != 0;

	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
		header = CMSG_NXTHDR(message, header)) {
		size_t n = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		found = true;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
			close_fd(&fd);
		}
	}
	return found;
}

/* The last one, of len bytes. */
static bool take_datagram(struct app_host *host, size_t len, bool stray)
{
	struct form_datagram datagram = {0};
	const char *text = (const char *)host->datagram + sizeof datagram;
	uint32_t type;

	if (len >= sizeof datagram)
		memcpy(&datagram, host->datagram, sizeof datagram);
	type = le32toh(datagram.type);
	if (stray || len < sizeof datagram || len > sizeof datagram + FORM_TEXT_MAX ||
		len - sizeof datagram != le32toh(datagram.text_len) ||
		(type != FORM_HELLO && type != FORM_GIVE_REPLY && type != FORM_FAILURE)) {
		reason_set(&host->why, "the app process sent what is no datagram of the app form");
		return end_with(host, APP_HOST_BROKEN);
	}
	if (le32toh(datagram.version) != APP_FORM_VERSION) {
		reason_set(&host->why, "the bridge has app form %u, this program %d",
			le32toh(datagram.version), APP_FORM_VERSION);
		return end_with(host, APP_HOST_BROKEN);
	}
	if (type == FORM_GIVE_REPLY)
		return take_reply(host);
	if (type == FORM_FAILURE)
		return take_failure(host, le32toh(datagram.code), text, len - sizeof datagram);
	return take_hello(host, &datagram, text, len - sizeof datagram);
}

/* Read one datagram. 1: there may be more; 0: nothing is there now, or the conversation is over;
 * -EPIPE: hung up; -ENOLINK: freed. */
static int read_one(struct app_host *host)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(16 * sizeof(int))];
	} control;
	struct iovec iov = {host->datagram, sizeof host->datagram};
	struct msghdr message = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof control.bytes};
	ssize_t n = recvmsg(host->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return -EPIPE;
	if (!take_datagram(host, (size_t)n, close_strays(&message)))
		return -ENOLINK;
	return host->state == HOST_OVER ? 0 : 1;
}

static void host_ready(void *arg, int ready)
{
	struct app_host *host = arg;
	int r;

	(void)ready;
	do {
		r = read_one(host);
	} while (r > 0);
	if (r == -EPIPE)
		end_with(host, APP_HOST_HUNG_UP);
}

struct app_host *app_host_new(struct loop *loop, int fd, app_host_fn *fn, void *arg)
{
	struct app_host *host = calloc(1, sizeof *host);

	if (!host) {
		close(fd);
		return NULL;
	}
	host->fn = fn;
	host->arg = arg;
	host->fd = fd;
	host->task_fd = -1;
	host->reply_fd = -1;
	host->hello_timer = timer_new(loop, hello_missing, host);
	host->watch = watch_new(loop, fd, WATCH_READ, host_ready, host);
	if (!host->hello_timer || !host->watch) {
		app_host_free(host);
		return NULL;
	}
	timer_set(host->hello_timer, clock_after(clock_now_ms(), APP_HELLO_MS));
	return host;
}

int app_host_run(struct app_host *host, const struct app_task *task)
{
	int r;

	if (host->state == HOST_OVER)
		return 0; /* the event that says why has been told */
	if (host->state == HOST_RUNS || host->task_fd >= 0)
		return -EALREADY;
	r = app_form_write_task(task, &host->task_fd);
	if (r < 0)
		return r;
	return host->state == HOST_READY ? send_task_if_there(host) : 0;
}

void app_host_take_reply(struct app_host *host, struct app_reply *out)
{
	*out = host->reply;
	host->reply = (struct app_reply){0};
}

const char *app_host_reason(const struct app_host *host)
{
	return host->why.text;
}

bool app_host_refused(const struct app_host *host)
{
	return host->refused;
}

const char *app_host_hello_text(const struct app_host *host)
{
	return host->hello;
}

bool app_host_ended(struct app_host *host)
{
	int r = 0;

	while (host->state != HOST_OVER) {
		r = read_one(host);
		if (r <= 0)
			break;
	}
	if (r == -ENOLINK)
		return false;
	if (host->state != HOST_OVER)
		end_conversation(host);
	return !host->replied;
}

void app_host_free(struct app_host *host)
{
	if (!host)
		return;
	if (host->freed)
		*host->freed = true;
	timer_free(host->hello_timer);
	watch_free(host->watch);
	close_fd(&host->fd);
	close_fd(&host->task_fd);
	close_fd(&host->reply_fd);
	app_reply_done(&host->reply);
	free(host);
}
