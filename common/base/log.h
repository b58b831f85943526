/*
 * log: lines for people, on a descriptor that may be blocked: then lines are dropped and counted,
 * never waited for. A log belongs to the main thread of its program; the debug line of another
 * thread is safe. Holds no globals: what logs is given a log.
 */
#ifndef FLWR_BASE_LOG_H
#define FLWR_BASE_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

enum log_level {
	LOG_LEVEL_ERROR, /* someone must act */
	LOG_LEVEL_WARN,  /* we went on, and the line says so */
	LOG_LEVEL_INFO,  /* life cycle, one line per event */
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
void log_free(struct log *log);
void log_set_level(struct log *log, enum log_level level);

/* "error", "warn"/"warning", "info", "debug" in any case to *out; 0 or -EINVAL. */
int log_level_parse(const char *text, enum log_level *out);

/*
 * Does line begin as those of a log without a name do ("WARN  text")? Then its level in *out, and
 * how many bytes to skip to the text; else 0.
 */
size_t log_level_of(const char *line, size_t len, enum log_level *out);

bool log_enabled(const struct log *log, enum log_level level);

/*
 * One line, cut at 8 KiB; control and format characters (what turns the
 * direction of text, or is not seen) are escaped. log may be NULL (nothing is written).
 * Never blocks, never fails. The first line that gets through again says how many were dropped.
 */
void log_line(struct log *log, enum log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Is it read by a person, now? */
bool log_on_terminal(const struct log *log);

/*
 * How far something is: on a terminal a line that the next line of any kind takes the place of,
 * else an ordinary one. Level info.
 */
void log_progress(struct log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(log, ...) log_line(log, LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(log, ...)  log_line(log, LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(log, ...)  log_line(log, LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(log, ...) log_line(log, LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
