/*
 * log: a line is one write(), which never waits for the reader.
 */
#include "common/base/log.h"

#include "common/base/array.h"
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/text.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define LOG_LINE_BYTES 8192 /* of a line of ours, escaped */
#define LEVEL_FORMAT   "%-5s "
#define LOG_EDGE_BYTES 256 /* time, level, what was dropped, the line's end */
#define LOG_END_MS     500 /* for what was kept, at the end */

struct log {
	int fd;
	log_take_fn *take; /* gets the lines; NULL: fd does */
	void *take_arg;
	mode_t type; /* S_IFIFO, S_IFSOCK, ... */
	enum log_level level;
	atomic_ulong dropped; /* lines since the last one that got through */
	atomic_bool torn; /* a line has been written in part: the next one starts with its end */
	char *name;
	bool output_has_level;
	bool passing; /* a terminal's last line is progress, which the next one takes away */
	/* Lines that wait for the descriptor: only those of the owner's thread. */
	pthread_t owner;
	atomic_size_t kept; /* bytes */
	char *keep;
	size_t keep_room, keep_max; /* bytes; max 0: nothing is kept */
	log_waiting_fn *waiting;
	void *waiting_arg;
};

struct line {
	char *data;
	size_t len;
	size_t room;
};

static const char *const level_names[] = {
	[LOG_LEVEL_CRITICAL] = "CRIT",
	[LOG_LEVEL_ERROR] = "ERROR",
	[LOG_LEVEL_WARN] = "WARN",
	[LOG_LEVEL_INFO] = "INFO",
	[LOG_LEVEL_DEBUG] = "DEBUG",
};

_Static_assert(ARRAY_LEN(level_names) == LOG_LEVEL_N, "each level has a name");

struct log *log_new(int fd, const char *name, enum log_level level)
{
	struct log *log = calloc(1, sizeof *log);
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
	atomic_init(&log->kept, 0);
	return log;
}

struct log *log_new_for(log_take_fn *take, void *arg, enum log_level level)
{
	struct log *log = log_new(-1, NULL, level);

	if (!log)
		return NULL;
	log->take = take;
	log->take_arg = arg;
	return log;
}

void log_free(struct log *log)
{
	if (!log)
		return;
	log_drain(log);
	free(log->keep);
	free(log->name);
	free(log);
}

int log_level_parse(const char *text, enum log_level *out)
{
	static const struct {
		const char *word;
		enum log_level level;
	} words[] = {
		{"critical", LOG_LEVEL_CRITICAL},
		{"fatal", LOG_LEVEL_CRITICAL},
		{"error", LOG_LEVEL_ERROR},
		{"warn", LOG_LEVEL_WARN},
		{"warning", LOG_LEVEL_WARN},
		{"info", LOG_LEVEL_INFO},
		{"debug", LOG_LEVEL_DEBUG},
		{"notset", LOG_LEVEL_DEBUG},
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcasecmp(text, words[i].word) == 0) {
			*out = words[i].level;
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
		size_t n = (size_t)snprintf(head, sizeof head, LEVEL_FORMAT, level_names[i]);

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

/* The first character at text as it is shown, to *out (4 bytes at least): how many bytes of text it
 * is, and in *out_len how many are shown. */
static size_t escape(const char *text, size_t len, char *out, size_t *out_len)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = text_shown(text, len);
	unsigned char byte = (unsigned char)text[0];
	const char escaped[4] = {'\\', 'x', hex[byte >> 4], hex[byte & 15]};

	memcpy(out, n ? text : escaped, n ? n : sizeof escaped);
	*out_len = n ? n : sizeof escaped;
	if (byte == '\n' || byte == '\t') {
		out[1] = byte == '\n' ? 'n' : 't';
		*out_len = 2;
	}
	return n ? n : 1;
}

static void line_add(struct line *line, const char *text, size_t len)
{
	char shown[4];
	size_t n;

	for (size_t i = 0; i < len;) {
		i += escape(text + i, len - i, shown, &n);
		if (line->len + n + LOG_EDGE_BYTES / 2 > line->room)
			return;
		memcpy(line->data + line->len, shown, n);
		line->len += n;
	}
}

static size_t escaped_length(const char *text, size_t len)
{
	char shown[4];
	size_t n, sum = 0;

	for (size_t i = 0; i < len; sum += n)
		i += escape(text + i, len - i, shown, &n);
	return sum;
}

/* Write at most PIPE_BUF bytes, which a pipe that is ready takes at once. The result is write()'s,
 * -1 instead of waiting. */
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
		/* Another process may have filled the pipe since poll(). Older kernels do not know
		 * the flag, and the write may block there. */
		n = pwritev2(log->fd, &piece, 1, -1, RWF_NOWAIT);
		if (n >= 0 || errno != EOPNOTSUPP)
			return n;
	}
	return write(log->fd, data, len);
}

/* Write what the descriptor takes now. The number of bytes. */
static size_t write_now(const struct log *log, const char *data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		size_t part = len - done < PIPE_BUF ? len - done : PIPE_BUF;
		ssize_t n = write_some(log, data + done, part);

		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return done;
}

/* May the descriptor take more later? A pipe whose reader has gone does not. */
static bool may_take_more(const struct log *log)
{
	struct pollfd ready = {.fd = log->fd, .events = POLLOUT};

	return poll(&ready, 1, 0) >= 0 && !(ready.revents & (POLLERR | POLLHUP | POLLNVAL));
}

/* ---- what waits ---- */

bool log_flush(struct log *log)
{
	size_t kept = atomic_load(&log->kept);
	size_t done = kept ? write_now(log, log->keep, kept) : 0;

	if (done > 0 && done < kept) {
		memmove(log->keep, log->keep + done, kept - done);
	} else if (done == kept) {
		free_at_exit(&log->keep);
		log->keep_room = 0;
	}
	atomic_store(&log->kept, kept - done);
	return done < kept && may_take_more(log);
}

void log_drain(struct log *log)
{
	int64_t end_ms = clock_now_ms() + LOG_END_MS;
	struct pollfd ready = {.fd = log->fd, .events = POLLOUT};
	int64_t now_ms;

	log_flush(log);
	while (atomic_load(&log->kept) && (now_ms = clock_now_ms()) < end_ms) {
		if (poll(&ready, 1, (int)(end_ms - now_ms)) != 1 || !(ready.revents & POLLOUT))
			break;
		log_flush(log);
	}
}

/* Room for len bytes more? */
static bool keep_reserve(struct log *log, size_t len)
{
	size_t kept = atomic_load(&log->kept);

	if (kept + len > log->keep_max)
		return false;
	return array_reserve(&log->keep, &log->keep_room, kept, len, 1) == 0;
}

/* True when all of it got through, or will. */
static bool line_write(struct log *log, const char *data, size_t len)
{
	bool owner = log->keep_max && pthread_equal(pthread_self(), log->owner);
	size_t done = 0;

	if (owner)
		log_flush(log);
	if (!atomic_load(&log->kept))
		done = write_now(log, data, len);
	if (done < len && owner && keep_reserve(log, len - done)) {
		memcpy(log->keep + atomic_load(&log->kept), data + done, len - done);
		atomic_fetch_add(&log->kept, len - done);
		log->waiting(log->waiting_arg);
		done = len;
	}
	if (done > 0)
		atomic_store(&log->torn, done < len);
	return done == len;
}

void log_keep(struct log *log, size_t max_bytes, log_waiting_fn *waiting, void *arg)
{
	if (!max_bytes)
		log_drain(log);
	log->owner = pthread_self();
	log->keep_max = max_bytes;
	log->waiting = waiting;
	log->waiting_arg = arg;
}

bool log_crowded(const struct log *log)
{
	return log && log->keep_max && atomic_load(&log->kept) > log->keep_max / 2;
}

int log_descriptor(const struct log *log)
{
	return log->fd;
}

/* ---- lines ---- */

/* Write the beginning of a line: the end of an earlier one, time, level, name. */
static void line_begin(struct log *log, struct line *line, enum log_level level)
{
	static const char erase[] = "\r\x1b[K";
	char head[CLOCK_ISO8601_BYTES];

	if (log->passing) {
		memcpy(line->data, erase, sizeof erase - 1);
		line->len = sizeof erase - 1;
	} else if (atomic_load(&log->torn)) {
		line->data[line->len++] = '\n';
	}
	if (log->name) {
		clock_iso8601(clock_wall_s(), head);
		/* Milliseconds are enough for a person: the last three digits of the second go. */
		memmove(head + 23, head + 26, sizeof head - 26);
		line->len += (size_t)snprintf(
			line->data + line->len, line->room - line->len, "%.29s ", head);
	}
	line->len += (size_t)snprintf(
		line->data + line->len, line->room - line->len, LEVEL_FORMAT, level_names[level]);
	if (log->name) {
		line_add(line, log->name, strlen(log->name));
		line_add(line, ": ", 2);
	}
}

/* passing: a terminal's line that the next one takes the place of. */
static void line_end(struct log *log, struct line *line, bool passing)
{
	unsigned long dropped = atomic_exchange(&log->dropped, 0);

	if (dropped)
		line->len += (size_t)snprintf(line->data + line->len, LOG_EDGE_BYTES / 2 - 1,
			" (%lu lines before this one were dropped)", dropped);
	if (!passing)
		line->data[line->len++] = '\n';
	log->passing = passing;
	if (!line_write(log, line->data, line->len))
		atomic_fetch_add(&log->dropped, dropped + 1);
}

/* Give the line, of which there is nothing but text, to who takes lines. */
static void line_give(struct log *log, const struct line *line, enum log_level level)
{
	line->data[line->len] = '\0';
	log->take(log->take_arg, level, line->data);
}

static void write_line(
	struct log *log, enum log_level level, bool passing, const char *format, va_list args)
{
	char text[LOG_LINE_BYTES];
	char data[LOG_LINE_BYTES];
	struct line line = {.data = data, .room = sizeof data};

	if (!log_enabled(log, level) || vsnprintf(text, sizeof text, format, args) < 0)
		return;
	if (!log->take)
		line_begin(log, &line, level);
	line_add(&line, text, strlen(text));
	if (log->take)
		line_give(log, &line, level);
	else
		line_end(log, &line, passing);
}

void log_level_output(struct log *log)
{
	log->output_has_level = true;
}

void log_output(
	struct log *log, enum log_level level, const char *head, const char *bytes, size_t len)
{
	auto_(free_at_exit) char *data = NULL;
	struct line line = {.room = LOG_EDGE_BYTES};

	if (!log || (log->output_has_level && !log_enabled(log, level)))
		return;
	line.room += escaped_length(head, strlen(head)) + escaped_length(bytes, len) +
		     (log->name ? escaped_length(log->name, strlen(log->name)) : 0);
	data = malloc(line.room);
	if (!data) {
		atomic_fetch_add(&log->dropped, 1);
		return;
	}
	line.data = data;
	if (!log->take)
		line_begin(log, &line, level);
	line_add(&line, head, strlen(head));
	line_add(&line, bytes, len);
	if (log->take)
		line_give(log, &line, level);
	else
		line_end(log, &line, false);
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
