/*
 * log: lines for people, on a descriptor that may be blocked: lines are dropped and counted then,
 * and no caller waits. A log belongs to the main thread of its program; the debug line of another
 * thread is safe. There is no global log: each part is given one.
 */
#ifndef FLWR_BASE_LOG_H
#define FLWR_BASE_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

enum log_level {
	LOG_LEVEL_CRITICAL, /* of no line: a log of this level is silent */
	LOG_LEVEL_ERROR,    /* someone must act */
	LOG_LEVEL_WARN,     /* we went on, and the line says so */
	LOG_LEVEL_INFO,     /* life cycle, one line per event */
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_N
};

struct log;

/*
 * A log that writes lines up to level to fd (borrowed; not made non-blocking, since it may be a
 * shared terminal). Form: `2026-11-20T12:00:00.123+00:00 INFO  name: text`. NULL on no memory. name
 * is copied. NULL instead of a name: just `INFO  text`, for a program whose lines another one puts
 * into its log.
 */
struct log *log_new(int fd, const char *name, enum log_level level);
/*
 * A log that gives lines up to level to take(), on the thread that writes them: text is escaped and
 * cut as elsewhere, and has no time, level, name or newline. NULL on no memory.
 */
typedef void log_take_fn(void *arg, enum log_level level, const char *text);
struct log *log_new_for(log_take_fn *take, void *arg, enum log_level level);
void log_free(struct log *log);
void log_set_level(struct log *log, enum log_level level);

/* The words of Python's logging, which Flower takes: "critical"/"fatal", "error", "warn"/"warning",
 * "info", "debug"/"notset" in any case to *out; 0 or -EINVAL. */
int log_level_parse(const char *text, enum log_level *out);

/*
 * The level of a line that begins as those of a log without a name do ("WARN  text") goes to *out.
 * The bytes to skip to the text; 0: line is none of these.
 */
size_t log_level_of(const char *line, size_t len, enum log_level *out);

bool log_enabled(const struct log *log, enum log_level level);

/*
 * Write one line, cut at 8 KiB; control and format characters (what turns the direction of text, or
 * is not seen) are escaped. log may be NULL (nothing is written). Never blocks, never fails. The
 * first line that gets through again says how many were dropped.
 */
void log_line(struct log *log, enum log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Write one line of another program's: head, then the bytes, escaped and uncut. The log's own level
 * does not hold it back; it is marked with level, unless log_level_output() was called. Else as
 * log_line().
 */
void log_output(
	struct log *log, enum log_level level, const char *head, const char *bytes, size_t len);

/* Lines of log_output() are written to a log of their level only from now on, as others are. */
void log_level_output(struct log *log);

/*
 * Keep up to max_bytes of lines of this thread that the descriptor does not take at once, instead
 * of dropping them. waiting(arg) is called when some are kept: log_flush() is due when
 * log_descriptor() can be written to.
 */
typedef void log_waiting_fn(void *arg);
void log_keep(struct log *log, size_t max_bytes, log_waiting_fn *waiting, void *arg);
int log_descriptor(const struct log *log);
/* Is half of the room for waiting lines in use? A caller that can wait with a line should wait. */
bool log_crowded(const struct log *log);
/* Write as much of the kept lines as the descriptor takes; never blocks. Is it worth waiting for
 * the descriptor again? (Not when all is written, nor when nothing could be: its reader has gone.)
 */
bool log_flush(struct log *log);
/* Wait until the descriptor has taken all lines, half a second at most; log_free() does so, too. */
void log_drain(struct log *log);

/* Does the log go to a terminal now? */
bool log_on_terminal(const struct log *log);

/*
 * Tell the progress of a long call: on a terminal by a line that the next line of any kind
 * replaces, else by an ordinary one. Level info.
 */
void log_progress(struct log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(log, ...) log_line(log, LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(log, ...)  log_line(log, LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(log, ...)  log_line(log, LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(log, ...) log_line(log, LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
