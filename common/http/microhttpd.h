/*
 * microhttpd: libmicrohttpd's functions that this folder calls, MHD_lib.run(); loaded by
 * http_server_new(): it brings GnuTLS, which a node without such a server starts without. Private
 * to this folder.
 */
#ifndef FLWR_HTTP_MICROHTTPD_H
#define FLWR_HTTP_MICROHTTPD_H

#include "common/base/library.h"

#include <microhttpd.h>

/* clang-format off */
#define MHD_FUNCTIONS(X) \
	X(MHD, add_connection) \
	X(MHD, add_response_header) \
	X(MHD, create_response_from_buffer) \
	X(MHD, create_response_from_iovec) \
	X(MHD, destroy_response) \
	X(MHD, get_connection_info) \
	X(MHD, get_connection_values) \
	X(MHD, get_daemon_info) \
	X(MHD, get_reason_phrase_for) \
	X(MHD, get_timeout) \
	X(MHD, lookup_connection_value) \
	X(MHD, queue_response) \
	X(MHD, resume_connection) \
	X(MHD, run) \
	X(MHD, start_daemon) \
	X(MHD, stop_daemon) \
	X(MHD, suspend_connection)
/* clang-format on */

LIBRARY_DECLARE(MHD, MHD_FUNCTIONS);

#endif
