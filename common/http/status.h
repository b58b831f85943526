/*
 * status: the one place that maps HTTP statuses to outcomes. Any thread.
 */
#ifndef FLWR_HTTP_STATUS_H
#define FLWR_HTTP_STATUS_H

#include "common/base/outcome.h"

#define HTTP_STATUS_OK 200

/*
 * The outcome that a SuperLink, or a proxy before it, means by a status; code is Flower's number in
 * the answer's JSON, 0 when there was none. Numbers out of range are OUTCOME_UNKNOWN.
 */
enum outcome http_outcome_of(int status, int code);

#endif
