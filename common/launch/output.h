/*
 * output: what a started process writes to its pipes, by lines into the log. A flood is bounded by
 * bytes: what comes first is written at once, of the rest the last lines are held and written when
 * there is time, or at the end; a line between says how many were left out. The last lines of
 * stderr are kept for an error reply, too. Main thread. Private to common/launch.
 */
#ifndef FLWR_LAUNCH_OUTPUT_H
#define FLWR_LAUNCH_OUTPUT_H

#include "common/launch/held_lines.h"
#include "common/launch/process.h"

#include <stdint.h>

#define OUTPUT_BURST_BYTES (1 << 20)   /* of one process's log lines, that may come at once */
#define OUTPUT_BYTES_PER_S (32 << 10)  /* afterwards */
#define OUTPUT_HELD_BYTES  (256 << 10) /* of stdout, and of stderr */
#define OUTPUT_TRACE_BYTES (2 << 20)   /* of tracebacks: a RecursionError's has thousands */
#define OUTPUT_LINE_COST   80          /* what a line takes beside its text, in the log too */
#define OUTPUT_AFTER_BYTES (32 << 10)  /* behind a frame of a traceback: the error's text */
#define OUTPUT_STEP_MS     1000        /* between two looks at the lines held */

/* The kinds of lines that are held. A line pushes out older ones of its own kind only. */
enum output_kind { OUTPUT_OUT, OUTPUT_ERR, OUTPUT_TRACEBACK, OUTPUT_KINDS };

/* Lines with their newlines. Zero-initialised is empty. */
struct output_tail {
	char bytes[PROCESS_TAIL_BYTES];
	size_t len;
	unsigned lines;
};

/* Allowance of a process for the log; shared by its pipes. Embedded by value. */
struct output_flow {
	struct log *log;   /* borrowed, as name */
	const char *name;  /* of the process */
	int64_t may_bytes; /* that may be written now */
	int64_t filled_ms;
	uint64_t lines;   /* that came */
	uint64_t written; /* number of the last line that was written */
	struct held_lines held[OUTPUT_KINDS];
	struct timer *timer;
};

/* A pipe. Embedded by value. */
struct output {
	struct output_flow *flow; /* borrowed */
	const char *label;        /* "out" or "err" */
	enum output_kind kind;    /* OUTPUT_OUT or OUTPUT_ERR */
	bool levels; /* lines may begin with their level, as a log of ours writes them */
	struct output_tail *tail;  /* borrowed; NULL: not kept */
	process_filter_fn *filter; /* of lines; NULL: all are logged */
	void *filter_arg;          /* borrowed */
	uint64_t topic;            /* for filter */
	void (*closed)(
		void *arg); /* the end was read; from the loop, the output may be freed inside */
	void *arg;
	int fd; /* -1 when closed */
	struct watch *watch;
	size_t after;     /* bytes of text that may still belong to a traceback */
	char *line;       /* at hand, malloc()ed */
	size_t len, room; /* of it; PROCESS_LINE_BYTES at most */
};

/* 0 or -ENOMEM. log and name are borrowed. */
int output_flow_init(
	struct output_flow *flow, struct loop *loop, struct log *log, const char *name);
/* Write all that is held, now. */
void output_flow_flush(struct output_flow *flow);
/* After its pipes are closed. Flushes; one that was never made (all zero) is fine. */
void output_flow_done(struct output_flow *flow);

/* Start to read fd (taken over when 0 is returned; non-blocking from now on). The members above fd
 * are set. 0 or -errno. */
int output_open(struct output *output, struct loop *loop, int fd);

/* Take what is in the pipe now. Never waits, does not call closed(). */
void output_drain(struct output *output);
/* The line at hand is one, unfinished as it is. */
void output_end_line(struct output *output);

/* Log what is left of a line and stop reading. Closed already is fine. */
void output_close(struct output *output);

/* The tail as text without its last newline. */
void output_tail_text(const struct output_tail *tail, char text[PROCESS_TAIL_BYTES + 1]);

#endif
