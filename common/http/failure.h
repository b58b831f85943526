/*
 * failure: the reasons for which no answer came, as far as they can be told. Any thread.
 */
#ifndef FLWR_HTTP_FAILURE_H
#define FLWR_HTTP_FAILURE_H

#include "common/base/outcome.h"

enum http_failure {
	HTTP_FAILURE_NONE,         /* an answer came, whole */
	HTTP_FAILURE_NOT_RESOLVED, /* the host's name */
	HTTP_FAILURE_REFUSED,
	HTTP_FAILURE_UNREACHABLE,
	HTTP_FAILURE_NO_CONNECTION, /* in time */
	HTTP_FAILURE_TIMEOUT,       /* connected, but no answer in time, or not all of it */
	HTTP_FAILURE_CLOSED,        /* the connection ended or broke before that */
	HTTP_FAILURE_PROXY,         /* a proxy did not let it through, or is not there */
	HTTP_FAILURE_TLS, /* the handshake did not succeed; no certificate was the cause */
	HTTP_FAILURE_UNKNOWN_CA,
	HTTP_FAILURE_EXPIRED,
	HTTP_FAILURE_NOT_YET_VALID,
	HTTP_FAILURE_WRONG_NAME,
	HTTP_FAILURE_CERTIFICATE, /* anything else about it */
	HTTP_FAILURE_TRUST,       /* our own list of certificates cannot be read */
	HTTP_FAILURE_BROKEN,      /* what came is no HTTP, or contradicts itself */
	HTTP_FAILURE_TOO_LARGE,
	HTTP_FAILURE_HEAD, /* bytes or lines of the answer's head: more than are taken */
	HTTP_FAILURE_MEMORY,
	HTTP_FAILURE_CANCELLED,
	HTTP_FAILURE_OTHER,
	HTTP_FAILURE_N
};

/* The outcome of a call that ended so. */
enum outcome http_failure_outcome(enum http_failure failure);

/* A clause for people; NULL where libcurl's words tell more (and for NONE). Static. */
const char *http_failure_text(enum http_failure failure);

#endif
