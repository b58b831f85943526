/*
 * error_internal: the sentence behind flwr_error(), one for each thread, and the rule for tables
 * that programs fill. For libflwr-app, libflwr and flwr-native-host, which are of one release. Any
 * thread.
 */
#ifndef FLWR_APP_ERROR_INTERNAL_H
#define FLWR_APP_ERROR_INTERNAL_H

#include "common/base/reason.h"

#include <flwr/flwr.h>

/*
 * An internal function that other parts of the same release may call. In C it has its own name; for
 * the linker it is flwr_private_<name>, which meets no name of a program's. The shared library
 * exports it under the version FLWR_PRIVATE, which no program of others links against.
 */
#define FLWR_PRIVATE(name) __asm__("flwr_private_" #name) FLWR_API

/* Set this thread's flwr_error() (printf-style, cut at REASON_BYTES) and return code, a enum
 * flwr_result. Arguments may point into the sentence before. */
int error_set(int code, const char *format, ...) FLWR_PRIVATE(error_set) FLWR_PRINTF(2, 3);

/* error_set() with the sentence of why; code is returned. */
int error_from(int code, const struct reason *why) FLWR_PRIVATE(error_from);

/* error_set() of a -errno: FLWR_E_MEMORY for -ENOMEM, else FLWR_E_SYSTEM, with "what: text". */
int error_system(int r, const char *what) FLWR_PRIVATE(error_system);

/*
 * Copy a table that a program filled (it begins with its size, uint32_t) to *out, which has known
 * bytes: what it has not is zero, what it has beyond known must be zero. 0; FLWR_E_ARGUMENT (NULL);
 * FLWR_E_VERSION (size below minimum, or something set that this release does not know), with a
 * sentence that calls it what ("struct flwr_options").
 */
int table_read(const void *given, void *out, size_t known, size_t minimum, const char *what)
	FLWR_PRIVATE(table_read);

#endif
