/*
 * failure_internal: libcurl's results as failures. Private to this folder.
 */
#ifndef FLWR_HTTP_FAILURE_INTERNAL_H
#define FLWR_HTTP_FAILURE_INTERNAL_H

#include "common/http/failure.h"
#include "common/http/libcurl.h"

/* The failure of a handle that has ended with code. */
enum http_failure http_failure_of(CURL *easy, CURLcode code);

#endif
