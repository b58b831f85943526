/*
 * libcurl: its functions that this folder calls, curl_lib.easy_init(); loaded by http_new(), so
 * that workers whose calls are gRPC's start without it. Private to this folder.
 */
#ifndef FLWR_HTTP_LIBCURL_H
#define FLWR_HTTP_LIBCURL_H

#include "common/base/library.h"

#include <curl/curl.h>

/* clang-format off */
#define CURL_FUNCTIONS(X) \
	X(curl, easy_cleanup) \
	X(curl, easy_getinfo) \
	X(curl, easy_init) \
	X(curl, easy_setopt) \
	X(curl, getdate) \
	X(curl, global_cleanup) \
	X(curl, global_init) \
	X(curl, multi_add_handle) \
	X(curl, multi_assign) \
	X(curl, multi_cleanup) \
	X(curl, multi_info_read) \
	X(curl, multi_init) \
	X(curl, multi_remove_handle) \
	X(curl, multi_setopt) \
	X(curl, multi_socket_action) \
	X(curl, slist_append) \
	X(curl, slist_free_all) \
	X(curl, strequal)
/* clang-format on */

LIBRARY_DECLARE(curl, CURL_FUNCTIONS);

#endif
