#include "common/launch/output.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>

#define OUTPUT_READ_BYTES 16384 /* for one event, so that a flood leaves the loop to others */

void output_rate_init(struct output_rate *rate)
{
	*rate = (struct output_rate){
		.thousandths = OUTPUT_BURST_LINES * 1000, .filled_ms = clock_now_ms()};
}

static bool rate_take(struct output_rate *rate)
{
	const int64_t full = OUTPUT_BURST_LINES * 1000;
	int64_t now_ms = clock_now_ms();
	int64_t passed_ms = now_ms - rate->filled_ms;

	rate->filled_ms = now_ms;
	if (passed_ms >= full / OUTPUT_LINES_PER_S)
		rate->thousandths = full;
	else if (passed_ms > 0)
		rate->thousandths += passed_ms * OUTPUT_LINES_PER_S;
	if (rate->thousandths > full)
		rate->thousandths = full;
	if (rate->thousandths < 1000)
		return false;
	rate->thousandths -= 1000;
	return true;
}

void output_rate_report(struct output_rate *rate, struct log *log, const char *name)
{
	if (!rate->dropped)
		return;
	rate->reported_ms = clock_now_ms();
	log_warn(log, "%s: %llu lines of its output were dropped", name,
		(unsigned long long)rate->dropped);
	rate->dropped = 0;
}

/* Length of the UTF-8 sequence that the byte c begins, 1 for what begins none. */
static size_t sequence_length(unsigned char c)
{
	if (c >= 0xf0)
		return 4;
	if (c >= 0xe0)
		return 3;
	return c >= 0xc0 ? 2 : 1;
}

/* Length of a terminal's control sequence (ESC [ ... letter: colours) at line, 0 when there is
 * none. */
static size_t control_length(const char *line, size_t len)
{
	if (len < 2 || line[0] != '\x1b' || line[1] != '[')
		return 0;
	for (size_t i = 2; i < len; i++)
		if (line[i] >= '@' && line[i] <= '~')
			return i + 1;
	return len;
}

/* Take colours out: they are for terminals only. The length that remains. */
static size_t line_uncolour(char *line, size_t len)
{
	size_t to = 0;

	for (size_t from = 0; from < len;) {
		size_t n = control_length(line + from, len - from);

		if (n == 0)
			line[to++] = line[from++];
		from += n;
	}
	return to;
}

/* Neither the log nor an error reply shall carry bytes that do something to who reads it. */
static void line_clean(char *line, size_t len)
{
	for (size_t i = 0; i < len;) {
		unsigned char c = (unsigned char)line[i];
		size_t n = sequence_length(c);

		if (c < 0x80 ? (c < 0x20 && c != '\t') || c == 0x7f
			     : n == 1 || n > len - i || !utf8_valid(line + i, n)) {
			line[i] = '?';
			n = 1;
		}
		i += n;
	}
}

static void tail_drop_first(struct output_tail *tail)
{
	char *newline = memchr(tail->bytes, '\n', tail->len);
	size_t n = newline ? (size_t)(newline - tail->bytes) + 1 : tail->len;

	memmove(tail->bytes, tail->bytes + n, tail->len - n);
	tail->len -= n;
	tail->lines--;
}

static void tail_add(struct output_tail *tail, const char *line, size_t len)
{
	while (len >= sizeof(tail->bytes) || (len && ((unsigned char)*line & 0xc0) == 0x80)) {
		line++;
		len--;
	}
	while (tail->lines &&
		(tail->lines >= PROCESS_TAIL_LINES || tail->len + len + 1 > sizeof(tail->bytes)))
		tail_drop_first(tail);
	memcpy(tail->bytes + tail->len, line, len);
	tail->len += len;
	tail->bytes[tail->len++] = '\n';
	tail->lines++;
}

void output_tail_text(const struct output_tail *tail, char text[PROCESS_TAIL_BYTES + 1])
{
	size_t len = tail->len ? tail->len - 1 : 0;

	memcpy(text, tail->bytes, len);
	text[len] = '\0';
}

static void log_it(const struct output *output, size_t len)
{
	enum log_level level = LOG_LEVEL_INFO;
	size_t skip = output->levels ? log_level_of(output->line, len, &level) : 0;

	if (skip)
		log_line(output->log, level, "%s: %.*s", output->name, (int)(len - skip),
			output->line + skip);
	else
		log_info(output->log, "%s %s: %.*s", output->name, output->label, (int)len,
			output->line);
}

/* The first len bytes of the buffer are a line, or all that fits of one. */
static void line_end(struct output *output, size_t len)
{
	len = line_uncolour(output->line, len);
	if (!len)
		return;
	line_clean(output->line, len);
	if (output->tail)
		tail_add(output->tail, output->line, len);
	if (!rate_take(output->rate)) {
		output->rate->dropped++;
		return;
	}
	if (clock_now_ms() >= output->rate->reported_ms + OUTPUT_REPORT_MS)
		output_rate_report(output->rate, output->log, output->name);
	log_it(output, len);
}

/* A line that is too long is cut where no character is split. */
static void line_cut(struct output *output)
{
	size_t cut = output->len;
	size_t back = 0;

	while (back < 3 && ((unsigned char)output->line[cut - 1 - back] & 0xc0) == 0x80)
		back++;
	if (sequence_length((unsigned char)output->line[cut - 1 - back]) > back + 1)
		cut -= back + 1;
	line_end(output, cut);
	memmove(output->line, output->line + cut, output->len - cut);
	output->len -= cut;
}

static void output_feed(struct output *output, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		/* A carriage return ends a line too: progress bars write nothing else. */
		if (bytes[i] == '\n' || bytes[i] == '\r') {
			line_end(output, output->len);
			output->len = 0;
			continue;
		}
		if (output->len == sizeof(output->line))
			line_cut(output);
		output->line[output->len++] = bytes[i];
	}
}

static void output_ready(void *arg, int ready)
{
	struct output *output = arg;
	char buffer[OUTPUT_READ_BYTES];
	ssize_t n = read(output->fd, buffer, sizeof(buffer));

	(void)ready;
	if (n > 0) {
		output_feed(output, buffer, (size_t)n);
		return;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	output_close(output);
	output->closed(output->arg);
}

int output_open(struct output *output, struct loop *loop, int fd)
{
	int flags = fcntl(fd, F_GETFL);

	output->len = 0;
	output->fd = -1;
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	output->watch = watch_new(loop, fd, WATCH_READ, output_ready, output);
	if (!output->watch)
		return -ENOMEM;
	output->fd = fd;
	return 0;
}

void output_drain(struct output *output)
{
	char buffer[OUTPUT_READ_BYTES];
	int left = 0;

	if (output->fd < 0)
		return;
	/* Only what is there now: somebody else may hold the pipe and write for ever. */
	if (ioctl(output->fd, FIONREAD, &left) < 0)
		left = 0;
	while (left > 0) {
		ssize_t n = read(output->fd, buffer, sizeof(buffer));

		if (n <= 0)
			break;
		output_feed(output, buffer, (size_t)n);
		left -= (int)n;
	}
	line_end(output, output->len);
	output->len = 0;
}

void output_close(struct output *output)
{
	if (output->fd < 0)
		return;
	line_end(output, output->len);
	output->len = 0;
	watch_free(output->watch);
	output->watch = NULL;
	close_fd(&output->fd);
}
