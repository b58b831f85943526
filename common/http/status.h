/*
 * status: the one place that maps HTTP statuses to outcomes, and outcomes to statuses. Any thread.
 */
#ifndef FLWR_HTTP_STATUS_H
#define FLWR_HTTP_STATUS_H

#include "common/base/outcome.h"

#define HTTP_STATUS_OK             200
#define HTTP_STATUS_UNAUTHORIZED   401
#define HTTP_STATUS_FORBIDDEN      403
#define HTTP_STATUS_PROXY_PASSWORD 407

/*
 * The outcome that a SuperLink, or a proxy before it, means by a status; code is Flower's number in
 * the answer's JSON, 0 when there was none. Statuses that no SuperLink uses, and numbers out of
 * range, are OUTCOME_UNKNOWN.
 */
enum outcome http_outcome_of(int status, int code);

/* The status that tells a caller of an outcome, and Flower's number for the JSON beside it; 0:
 * none. */
int http_status_of(enum outcome outcome);
int http_code_of(enum outcome outcome);

#endif
