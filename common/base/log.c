/*
 * log: one line, one write, and never a wait for whoever should read it.
 */
#include "common/base/log.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/text.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define LOG_LINE_BYTES 8192
#define LEVEL_FORMAT   "%-5s "
#define LOG_TAIL_BYTES 64 /* kept free behind the text: what was dropped, the line's end */

struct log {
	int fd;
	mode_t type; /* S_IFIFO, S_IFSOCK, ... */
	enum log_level level;
	atomic_ulong dropped; /* lines since the last one that got through */
	atomic_bool torn; /* a line has been written in part: the next one starts with its end */
	char *name;
	bool passing; /* a terminal's last line is progress, which the next one takes away */
};

struct line {
	char data[LOG_LINE_BYTES];
	size_t len;
};

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "ERROR",
	[LOG_LEVEL_WARN] = "WARN",
	[LOG_LEVEL_INFO] = "INFO",
	[LOG_LEVEL_DEBUG] = "DEBUG",
};

_Static_assert(ARRAY_LEN(level_names) == LOG_LEVEL_N, "each level has a name");

struct log *log_new(int fd, const char *name, enum log_level level)
{
	struct log *log = calloc(1, sizeof(*log));
	struct stat st;

	if (!log)
		return NULL;
	if (name) {
		log->name = strdup(name);
		if (!log->name) {
			free(log);
			return NULL;
		}
	}
	log->fd = fd;
	log->level = level;
	log->type = fstat(fd, &st) == 0 ? st.st_mode & S_IFMT : 0;
	atomic_init(&log->dropped, 0);
	atomic_init(&log->torn, false);
	return log;
}

void log_free(struct log *log)
{
	if (!log)
		return;
	free(log->name);
	free(log);
}

int log_level_parse(const char *text, enum log_level *out)
{
	if (strcasecmp(text, "warning") == 0) {
		*out = LOG_LEVEL_WARN;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
		if (strcasecmp(text, level_names[i]) == 0) {
			*out = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

void log_set_level(struct log *log, enum log_level level)
{
	log->level = level;
}

size_t log_level_of(const char *line, size_t len, enum log_level *out)
{
	for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
		char head[8];
		size_t n = (size_t)snprintf(head, sizeof(head), LEVEL_FORMAT, level_names[i]);

		if (len >= n && memcmp(line, head, n) == 0) {
			*out = (enum log_level)i;
			return n;
		}
	}
	return 0;
}

bool log_enabled(const struct log *log, enum log_level level)
{
	return log && level <= log->level;
}

static void line_add(struct line *line, const char *text, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	const size_t end = sizeof(line->data) - LOG_TAIL_BYTES;

	for (size_t i = 0; i < len;) {
		size_t n = text_shown(text + i, len - i);
		unsigned char byte = (unsigned char)text[i];
		char escaped[4] = {'\\', 'x', hex[byte >> 4], hex[byte & 15]};
		size_t piece = n ? n : sizeof(escaped);

		if (byte == '\n' || byte == '\t') {
			escaped[1] = byte == '\n' ? 'n' : 't';
			piece = 2;
		}
		if (line->len + piece > end)
			return;
		memcpy(line->data + line->len, n ? text + i : escaped, piece);
		line->len += piece;
		i += n ? n : 1;
	}
}

/* At most PIPE_BUF bytes, which a pipe that is ready takes at once. As write(), -1 instead of
 * waiting. */
static ssize_t write_some(const struct log *log, const char *data, size_t len)
{
	struct iovec piece = {.iov_base = (void *)data, .iov_len = len};
	struct pollfd ready = {.fd = log->fd, .events = POLLOUT};
	ssize_t n;

	if (log->type == S_IFSOCK)
		return send(log->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (poll(&ready, 1, 0) != 1 || !(ready.revents & POLLOUT))
		return -1;
	if (log->type == S_IFIFO) {
		/* Another process may have filled it since; older kernels cannot help that. */
		n = pwritev2(log->fd, &piece, 1, -1, RWF_NOWAIT);
		if (n >= 0 || errno != EOPNOTSUPP)
			return n;
	}
	return write(log->fd, data, len);
}

/* True when all of it got through. */
static bool line_write(struct log *log, const char *data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		size_t part = len - done < PIPE_BUF ? len - done : PIPE_BUF;
		ssize_t n = write_some(log, data + done, part);

		if (n <= 0)
			break;
		done += (size_t)n;
	}
	if (done > 0)
		atomic_store(&log->torn, done < len);
	return done == len;
}

/* passing: a terminal's line that the next one takes the place of. */
static void write_line(
	struct log *log, enum log_level level, bool passing, const char *format, va_list args)
{
	static const char erase[] = "\r\x1b[K";
	char text[LOG_LINE_BYTES];
	char head[CLOCK_ISO8601_BYTES];
	struct line line = {.len = 0};
	unsigned long dropped;
	int n;

	if (!log_enabled(log, level))
		return;
	n = vsnprintf(text, sizeof(text), format, args);
	if (n < 0)
		return;
	if (log->passing) {
		memcpy(line.data, erase, sizeof(erase) - 1);
		line.len = sizeof(erase) - 1;
	} else if (atomic_load(&log->torn)) {
		line.data[line.len++] = '\n';
	}
	log->passing = passing;
	if (log->name) {
		clock_iso8601(clock_wall_s(), head);
		/* Milliseconds are enough for a person: the last three digits of the second go. */
		memmove(head + 23, head + 26, sizeof(head) - 26);
		line.len += (size_t)snprintf(
			line.data + line.len, sizeof(line.data) - line.len, "%.29s ", head);
	}
	line.len += (size_t)snprintf(line.data + line.len, sizeof(line.data) - line.len,
		LEVEL_FORMAT, level_names[level]);
	if (log->name) {
		line_add(&line, log->name, strlen(log->name));
		line_add(&line, ": ", 2);
	}
	line_add(&line, text, strlen(text));
	dropped = atomic_exchange(&log->dropped, 0);
	if (dropped)
		line.len += (size_t)snprintf(line.data + line.len, LOG_TAIL_BYTES - 1,
			" (%lu lines before this one were dropped)", dropped);
	if (!passing)
		line.data[line.len++] = '\n';
	if (!line_write(log, line.data, line.len))
		atomic_fetch_add(&log->dropped, dropped + 1);
}

void log_line(struct log *log, enum log_level level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	write_line(log, level, false, format, args);
	va_end(args);
}

bool log_on_terminal(const struct log *log)
{
	return log && log->type == S_IFCHR && isatty(log->fd);
}

void log_progress(struct log *log, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	write_line(log, LOG_LEVEL_INFO, log_on_terminal(log), format, args);
	va_end(args);
}
