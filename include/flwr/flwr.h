/*
 * flwr/flwr.h - what all of libflwr has in common: results, sentences, log lines, versions.
 *
 * Include <flwr/clientapp.h> to write a ClientApp, <flwr/client.h> to run a node in a program of
 * your own; both include this. C11, C17 and C++17 (<flwr/flwr.hpp> makes C++ shorter); Linux.
 *
 * Rules that hold everywhere:
 *  - A pointer that a function returns is borrowed, and one that it is given stays the caller's,
 *    unless the comment says otherwise. Only objects of a ..._new() are freed, by their ..._free(),
 *    which takes NULL, too.
 *  - Text is UTF-8, NUL-terminated. Functions copy what they are given, but for array memory in
 *    flwr_set_array_ref().
 *  - An object belongs to one thread at a time. Different objects: any threads at once.
 *  - Every callback gets the user pointer that came with it, and is called on the thread that runs
 *    the node (or called the function), never on a thread of the library's.
 *  - Structs that you fill begin with their size, sizeof the struct; every other member that is
 *    zero means "the default". Structs that the library fills may grow at their end: do not copy
 *    them.
 *  - No function exits the process, prints, starts a process, or changes signal handlers and masks,
 *    the working directory, the locale or malloc's options.
 *  - After fork() the child must not touch any object but by exec() or _exit().
 */
#ifndef FLWR_FLWR_H
#define FLWR_FLWR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLWR_API              __attribute__((__visibility__("default")))
#define FLWR_PRINTF(n, first) __attribute__((__format__(__printf__, n, first)))

#ifdef __cplusplus
extern "C" {
#endif

/* The version of these headers: major * 10000 + minor * 100 + patch. Another major is another ABI
 * (and another soname); a greater minor has more functions, and structs that are longer at their
 * end. */
enum { FLWR_VERSION = 100 };

/* The version of the library that runs: such a number, and a text ("0.1.0, Flower 1.15-1.42"). */
FLWR_API int flwr_version(void);
FLWR_API const char *flwr_version_text(void);

/*
 * Results of functions: 0, a positive outcome that the function's comment names, or one of the
 * negative ones. A handler may return any of them, FLWR_FAILED when it has none at hand: its error
 * reply then says what flwr_error() says.
 */
enum flwr_result {
	FLWR_OK = 0,
	FLWR_ABSENT = 1, /* there is no such key; the output is as it was */
	FLWR_ENDED = 2,  /* the node has ended as it should */

	FLWR_FAILED = -1000,     /* for handlers: see flwr_error() */
	FLWR_E_ARGUMENT = -1001, /* the call cannot be right: a mistake in the program */
	FLWR_E_TYPE = -1002,     /* there is such a key, with a value of another type */
	FLWR_E_RANGE = -1003,    /* a number or a size that does not fit */
	FLWR_E_DATA = -1004,     /* bytes are not what they say they are */
	FLWR_E_MEMORY = -1005,   /* out of memory */
	FLWR_E_APP = -1006,      /* flwr_fail(), or a handler that failed */
	FLWR_E_FILE = -1007,     /* a file that cannot be read, or does not hold what it must */
	FLWR_E_CONNECT = -1008,  /* no connection: max_retries or max_wait_time is over */
	FLWR_E_REFUSED = -1009,  /* the server was reached and wants none of this */
	FLWR_E_STATE = -1010,    /* not now: runs already, is over */
	FLWR_E_VERSION = -1011,  /* built against other headers than this library can serve */
	FLWR_E_SYSTEM = -1012    /* the system has no more threads, descriptors, ... */
};

/* "FLWR_E_TYPE" and so on; never NULL. */
FLWR_API const char *flwr_result_name(int result);

/*
 * The reason why a function of this library returned FLWR_ABSENT, a negative result or NULL, the
 * last time on this thread, in one sentence without a full stop: `config "lr" is a string ("0.1"),
 * not a number`. Every such function sets it, functions that succeed leave it alone. Never NULL;
 * the text is valid until the next one fails on this thread, and cut at 511 bytes. A language that
 * moves work between threads must ask where it called.
 */
FLWR_API const char *flwr_error(void);

/*
 * Say why something of yours failed: set flwr_error() to sentence and return FLWR_E_APP, so that a
 * handler can `return flwr_fail("no data below /var/lib/sensor")`. The second one formats. What
 * cannot be shown on one line becomes '?'.
 */
FLWR_API int flwr_fail(const char *sentence);
FLWR_API int flwr_failf(const char *format, ...) FLWR_PRINTF(1, 2);

/* ---- log lines ---- */

enum flwr_level {
	FLWR_LOG_ERROR = 1, /* someone must act */
	FLWR_LOG_WARN = 2,  /* it went on, and the line says so */
	FLWR_LOG_INFO = 3,  /* what happens, one line per event */
	FLWR_LOG_DEBUG = 4
};

/*
 * A function that takes a line: without newline, control characters escaped, at most 8 KiB. time_s:
 * seconds since 1970 when it was logged, which is earlier than now for lines that waited while a
 * handler worked.
 */
typedef void flwr_log_fn(int level, double time_s, const char *line, void *user);

/* Such a function: it writes `12:00:00.123 INFO  line` to stderr. The user pointer is ignored. */
FLWR_API void flwr_log_to_stderr(int level, double time_s, const char *line, void *user);

#ifdef __cplusplus
}
#endif
#endif
