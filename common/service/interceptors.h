/*
 * interceptors: three that many servers want: log lines, numbers, and a check of a token. Main
 * thread.
 */
#ifndef FLWR_SERVICE_INTERCEPTORS_H
#define FLWR_SERVICE_INTERCEPTORS_H

#include "common/base/log.h"
#include "common/service/service.h"

/* A line of this level for each request that has ended: caller, path, outcome, milliseconds. log is
 * borrowed. level is LOG_LEVEL_INFO or LOG_LEVEL_DEBUG. */
struct interceptor log_interceptor(struct log *log, enum log_level level);

/* ---- numbers ---- */

/* Requests of one method that have ended with one outcome. Those of unknown methods, and those that
 * the front-end has refused before it looked for one, have a row without a method. */
struct metrics_row {
	const struct service *service; /* NULL, as method */
	const struct method *method;
	enum outcome outcome;
	uint64_t n;
	int64_t total_ms; /* from their arrival to their end */
	int64_t longest_ms;
};

/* Zero-initialised is empty. Outlives its interceptor; on no memory requests are not counted. */
struct metrics {
	struct metrics_row *v; /* in the order in which they came up */
	size_t n;
	uint64_t at_work; /* requests that have not ended */
};

struct interceptor metrics_interceptor(struct metrics *metrics);
/* One line: head, then what there is of each row. Without rows: none. */
void metrics_log(
	const struct metrics *metrics, struct log *log, enum log_level level, const char *head);
void metrics_done(struct metrics *metrics);

/* ---- a token ---- */

struct token_check {
	const char *header; /* lower case: "authorization" */
	const char *value;  /* what it must be; compared in constant time */
};

/* Requests without the header or with another value end with UNAUTHENTICATED. check is borrowed. */
struct interceptor token_interceptor(const struct token_check *check);

#endif
