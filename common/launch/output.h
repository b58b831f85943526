/*
 * output: what a started process writes to a pipe, by lines into the log, at a bounded rate; the
 * last lines of stderr are kept. Main thread. Private to common/launch.
 */
#ifndef FLWR_LAUNCH_OUTPUT_H
#define FLWR_LAUNCH_OUTPUT_H

#include "common/launch/process.h"

#include <stdint.h>

#define OUTPUT_LINES_PER_S 200  /* of one process, both pipes */
#define OUTPUT_BURST_LINES 1000 /* that may come at once */
#define OUTPUT_REPORT_MS   10000

/* Lines with their newlines. Zero-initialised is empty. */
struct output_tail {
	char bytes[PROCESS_TAIL_BYTES];
	size_t len;
	unsigned lines;
};

/* What a process may still log; shared by its pipes. */
struct output_rate {
	int64_t thousandths; /* of a line */
	int64_t filled_ms;
	uint64_t dropped;
	int64_t reported_ms;
};

/* One pipe. Embedded by value. */
struct output {
	struct log *log;
	const char *name;  /* of the process; borrowed */
	const char *label; /* "out" or "err" */
	bool levels;       /* lines may begin with their level, as a log of ours writes them */
	struct output_rate *rate; /* borrowed */
	struct output_tail *tail; /* borrowed; NULL: not kept */
	void (*closed)(
		void *arg); /* the end was read; from the loop, the output may be freed inside */
	void *arg;
	int fd; /* -1 when closed */
	struct watch *watch;
	size_t len;
	char line[PROCESS_LINE_BYTES];
};

void output_rate_init(struct output_rate *rate);

/* Start to read fd (taken over when 0 is returned; non-blocking from now on). The members above fd
 * are set. 0 or -errno. */
int output_open(struct output *output, struct loop *loop, int fd);

/* Take what is in the pipe now, its unfinished line too. Never waits, does not call closed(). */
void output_drain(struct output *output);

/* Log what is left of a line and stop reading. Closed already is fine. */
void output_close(struct output *output);

/* Say how many lines were not logged, if any: at most every OUTPUT_REPORT_MS, and at the end. */
void output_rate_report(struct output_rate *rate, struct log *log, const char *name);

/* The tail as text without its last newline. */
void output_tail_text(const struct output_tail *tail, char text[PROCESS_TAIL_BYTES + 1]);

#endif
