/*
 * Fuzz target: what an app writes to its stderr, on its way to the log and to an error reply.
 */
#include "fuzz.h"

#include "common/base/files.h"
#include "common/base/log.h"
#include "common/launch/output.h"
#include "common/loop/loop.h"

#include <fcntl.h>

#define LOG_MAX_BYTES (1 << 20)

FUZZ_MEMORY(512, 32);

static struct loop *loop;
static struct log *log_of_lines;
static int log_fd = -1;

static void set_up(void)
{
	if (loop)
		return;
	log_fd = memfd_new("log");
	log_of_lines = log_new(log_fd, NULL, LOG_LEVEL_DEBUG);
	CHECK(log_fd >= 0 && log_of_lines && loop_new(&loop) == 0);
}

/* Each line is one of ours, whatever the app has written. */
static void check_log(void)
{
	static char text[LOG_MAX_BYTES];
	ssize_t n = pread(log_fd, text, sizeof text, 0);
	enum log_level level;

	CHECK(n >= 0);
	CHECK(fuzz_is_clean(text, (size_t)n, "\n\t"));
	for (char *line = text, *end; line < text + n; line = end + 1) {
		end = memchr(line, '\n', (size_t)(text + n - line));
		CHECK(end || n == sizeof text);
		if (!end)
			break;
		CHECK(log_level_of(line, (size_t)(end - line), &level) > 0);
	}
	CHECK(ftruncate(log_fd, 0) == 0 && lseek(log_fd, 0, SEEK_SET) == 0);
}

static void closed(void *arg)
{
	(void)arg;
}

void fuzz(const uint8_t *data, size_t len)
{
	struct output_flow flow;
	struct output_tail tail = {0};
	struct output output = {.flow = &flow,
		.label = "err",
		.kind = OUTPUT_ERR,
		.levels = true,
		.tail = &tail,
		.closed = closed};
	char text[PROCESS_TAIL_BYTES + 1];
	int ends[2];

	set_up();
	CHECK(output_flow_init(&flow, loop, log_of_lines, "app") == 0);
	CHECK(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
	CHECK(output_open(&output, loop, ends[0]) == 0);
	for (size_t at = 0; at < len; at += 4096) {
		CHECK(fd_write_all(ends[1], data + at, len - at < 4096 ? len - at : 4096) == 0);
		loop_step(loop, 0);
	}
	close(ends[1]);
	output_drain(&output);
	output_close(&output);
	output_flow_done(&flow);
	output_tail_text(&tail, text);
	CHECK(fuzz_is_clean(text, strlen(text), "\n\t"));
	check_log();
}
