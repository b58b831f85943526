#include "common/launch/output.h"

#include "common/base/array.h"
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>

#define OUTPUT_READ_BYTES 16384 /* for one event, so that a flood leaves the loop to others */

/* ---- what may be written ---- */

static void flow_refill(struct output_flow *flow)
{
	int64_t now_ms = clock_now_ms();
	int64_t passed_ms = now_ms - flow->filled_ms;

	if (passed_ms <= 0)
		return;
	flow->filled_ms = now_ms;
	if (passed_ms >= OUTPUT_BURST_BYTES * 1000LL / OUTPUT_BYTES_PER_S)
		flow->may_bytes = OUTPUT_BURST_BYTES;
	else
		flow->may_bytes += passed_ms * OUTPUT_BYTES_PER_S / 1000;
	if (flow->may_bytes > OUTPUT_BURST_BYTES)
		flow->may_bytes = OUTPUT_BURST_BYTES;
}

/* May a line of len bytes be written now? Then it counts. */
static bool flow_take(struct output_flow *flow, size_t len)
{
	int64_t cost = (int64_t)len + OUTPUT_LINE_COST;

	flow_refill(flow);
	if (flow->may_bytes < cost || log_crowded(flow->log))
		return false;
	flow->may_bytes -= cost;
	return true;
}

/* The kind whose first line is the oldest one held; OUTPUT_KINDS: none is. */
static enum output_kind flow_oldest(const struct output_flow *flow)
{
	enum output_kind oldest = OUTPUT_KINDS;

	for (enum output_kind kind = 0; kind < OUTPUT_KINDS; kind++) {
		const struct held_line *line = flow->held[kind].first;

		if (line &&
			(oldest == OUTPUT_KINDS || line->number < flow->held[oldest].first->number))
			oldest = kind;
	}
	return oldest;
}

static void line_write(
	struct output_flow *flow, const struct output *from, const char *line, size_t len)
{
	enum log_level level = LOG_LEVEL_INFO;
	size_t skip = from->levels ? log_level_of(line, len, &level) : 0;
	auto_(text_done) struct text head = {0};

	/* A log of another program has been asked for its level, what an app prints has none. */
	if (skip && !log_enabled(flow->log, level))
		return;
	if (skip)
		text_printf(&head, "%s: ", flow->name);
	else
		text_printf(&head, "%s %s: ", flow->name, from->label);
	log_output(flow->log, level, head.data ? head.data : "", line + skip, len - skip);
}

/* The numbers say what was left out before this one. */
static void flow_write(struct output_flow *flow, const struct output *from, uint64_t number,
	const char *line, size_t len)
{
	uint64_t left_out = number - flow->written - 1;
	auto_(text_done) struct text told = {0};

	if (left_out && !text_printf(&told, "%llu lines of its output were left out here",
				(unsigned long long)left_out)) {
		auto_(text_done) struct text head = {0};

		text_printf(&head, "%s: ", flow->name);
		log_output(
			flow->log, LOG_LEVEL_WARN, head.data ? head.data : "", told.data, told.len);
	}
	flow->written = number;
	line_write(flow, from, line, len);
}

static void flow_write_held(struct output_flow *flow, enum output_kind kind)
{
	auto_(free_at_exit) struct held_line *line = held_lines_take(&flow->held[kind]);

	flow_write(flow, line->from, line->number, line->bytes, line->len);
}

static void flow_step(void *arg)
{
	struct output_flow *flow = arg;
	enum output_kind kind;

	while ((kind = flow_oldest(flow)) != OUTPUT_KINDS &&
		flow_take(flow, flow->held[kind].first->len))
		flow_write_held(flow, kind);
	timer_set(
		flow->timer, kind == OUTPUT_KINDS ? CLOCK_NEVER : clock_now_ms() + OUTPUT_STEP_MS);
}

int output_flow_init(struct output_flow *flow, struct loop *loop, struct log *log, const char *name)
{
	*flow = (struct output_flow){.log = log,
		.name = name,
		.may_bytes = OUTPUT_BURST_BYTES,
		.filled_ms = clock_now_ms()};
	for (enum output_kind kind = 0; kind < OUTPUT_KINDS; kind++)
		flow->held[kind].max_bytes =
			kind == OUTPUT_TRACEBACK ? OUTPUT_TRACE_BYTES : OUTPUT_HELD_BYTES;
	flow->timer = timer_new(loop, flow_step, flow);
	return flow->timer ? 0 : -ENOMEM;
}

void output_flow_flush(struct output_flow *flow)
{
	enum output_kind kind;

	while ((kind = flow_oldest(flow)) != OUTPUT_KINDS)
		flow_write_held(flow, kind);
	if (flow->timer)
		timer_set(flow->timer, CLOCK_NEVER);
}

void output_flow_done(struct output_flow *flow)
{
	output_flow_flush(flow);
	if (flow->timer)
		timer_free(flow->timer);
	flow->timer = NULL;
}

/* ---- lines ---- */

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

/* An error reply shall carry no bytes that do something to who reads it; the log has its own way.
 */
static void line_clean(char *line, size_t len)
{
	for (size_t i = 0; i < len;) {
		size_t n = line[i] == '\t' ? 1 : text_shown(line + i, len - i);

		if (n == 0) {
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
	while (len >= sizeof tail->bytes || (len && ((unsigned char)*line & 0xc0) == 0x80)) {
		line++;
		len--;
	}
	while (tail->lines &&
		(tail->lines >= PROCESS_TAIL_LINES || tail->len + len + 1 > sizeof tail->bytes))
		tail_drop_first(tail);
	memcpy(tail->bytes + tail->len, line, len);
	line_clean(tail->bytes + tail->len, len);
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

/*
 * The kind of a line. A traceback is its head, the lines after it that are indented, the line of
 * the error, and some bytes after that, since an error's text may have lines, too. What a process
 * writes otherwise cannot push it out.
 */
static enum output_kind kind_of(struct output *output, const char *line, size_t len)
{
	static const char head[] = "Traceback (most recent call last):";

	if (output->kind != OUTPUT_ERR)
		return output->kind;
	if (memmem(line, len, head, sizeof head - 1) || (output->after && line[0] == ' ')) {
		output->after = OUTPUT_AFTER_BYTES;
		return OUTPUT_TRACEBACK;
	}
	if (!output->after)
		return OUTPUT_ERR;
	output->after -= output->after < len ? output->after : len;
	return OUTPUT_TRACEBACK;
}

/* The first len bytes of the buffer are a line, or all that fits of one. */
static void line_end(struct output *output, size_t len)
{
	struct output_flow *flow = output->flow;
	enum output_kind kind;

	len = line_uncolour(output->line, len);
	if (!len)
		return;
	if (output->tail)
		tail_add(output->tail, output->line, len);
	if (output->filter && output->filter(output->filter_arg, output->topic, output->line, len))
		return;
	kind = kind_of(output, output->line, len);
	flow->lines++;
	if (flow_oldest(flow) == OUTPUT_KINDS && flow_take(flow, len)) {
		flow_write(flow, output, flow->lines, output->line, len);
		return;
	}
	if (flow_oldest(flow) == OUTPUT_KINDS)
		timer_set(flow->timer, clock_now_ms() + OUTPUT_STEP_MS);
	held_lines_add(&flow->held[kind], output, flow->lines, output->line, len);
}

/* A line that is too long is cut where no character is split. */
static void line_cut(struct output *output)
{
	size_t cut = output->len;
	size_t back = 0;
	char end[4];

	while (back < 3 && ((unsigned char)output->line[cut - 1 - back] & 0xc0) == 0x80)
		back++;
	if (sequence_length((unsigned char)output->line[cut - 1 - back]) > back + 1)
		cut -= back + 1;
	memcpy(end, output->line + cut, output->len - cut);
	line_end(output, cut);
	memcpy(output->line, end, output->len - cut);
	output->len -= cut;
}

/* Room for a byte more? */
static bool line_grow(struct output *output)
{
	if (output->len < output->room)
		return true;
	return output->room < PROCESS_LINE_BYTES &&
	       array_reserve(&output->line, &output->room, output->len, 1, 1) == 0;
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
		if (!line_grow(output)) {
			if (!output->room)
				continue; /* no memory for anything */
			line_cut(output);
		}
		output->line[output->len++] = bytes[i];
	}
}

static void output_ready(void *arg, int ready)
{
	struct output *output = arg;
	char buffer[OUTPUT_READ_BYTES];
	ssize_t n = read(output->fd, buffer, sizeof buffer);

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
		ssize_t n = read(output->fd, buffer, sizeof buffer);

		if (n <= 0)
			break;
		output_feed(output, buffer, (size_t)n);
		left -= (int)n;
	}
}

void output_end_line(struct output *output)
{
	line_end(output, output->len);
	output->len = 0;
}

void output_close(struct output *output)
{
	if (output->fd < 0)
		return;
	output_end_line(output);
	watch_free(output->watch);
	output->watch = NULL;
	close_fd(&output->fd);
	free_at_exit(&output->line);
	output->room = 0;
}
