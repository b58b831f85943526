/*
 * library: a shared library that a process loads when it first needs it. libcurl and libarchive
 * bring forty others: a start that needs neither is 4 ms shorter without them; libmicrohttpd brings
 * GnuTLS. Each library is used by one thread at a time.
 *
 * A folder that uses such a library lists its functions in a table, and calls them by that. In a
 * static program the table is full from the start.
 */
#ifndef FLWR_BASE_LIBRARY_H
#define FLWR_BASE_LIBRARY_H

#include "common/base/cleanup.h"
#include "common/base/reason.h"

#include <stdbool.h>
#include <stddef.h>

struct library_function {
	const char *name;
	void *slot; /* a pointer to a function, which gets the address */
};

/*
 * Load file, "libcurl.so.4", and find the functions in it. The library stays loaded. 0; -ELIBACC
 * (why says what is missing).
 */
int library_load(
	const char *file, const struct library_function *functions, size_t n, struct reason *why);

/*
 * A table of functions, in a header and in one source:
 *
 *     #define CURL_FUNCTIONS(X) X(curl, easy_init) X(curl, easy_cleanup)
 *     LIBRARY_DECLARE(curl, CURL_FUNCTIONS);            curl_lib.easy_init(), once it is loaded
 *     LIBRARY_DEFINE(curl, CURL_FUNCTIONS, CURL_SONAME) curl_lib_load(why): library_load(), once
 */
#define LIBRARY_DECLARE(library, FUNCTIONS)                                                        \
	extern struct library##_lib {                                                              \
		FUNCTIONS(LIBRARY_SLOT)                                                            \
	} library##_lib;                                                                           \
	int library##_lib_load(struct reason *why)

#ifdef FLWR_STATIC
#define LIBRARY_DEFINE(library, FUNCTIONS, file)                                                   \
	struct library##_lib library##_lib = {FUNCTIONS(LIBRARY_LINKED)};                          \
	int library##_lib_load(struct reason *why)                                                 \
	{                                                                                          \
		(void)why;                                                                         \
		return 0;                                                                          \
	}
#else
#define LIBRARY_DEFINE(library, FUNCTIONS, file)                                                   \
	struct library##_lib library##_lib;                                                        \
	int library##_lib_load(struct reason *why)                                                 \
	{                                                                                          \
		static const struct library_function functions[] = {FUNCTIONS(LIBRARY_FIND)};      \
		static bool loaded;                                                                \
		int r = loaded ? 0 : library_load(file, functions, ARRAY_LEN(functions), why);     \
                                                                                                   \
		loaded = r == 0;                                                                   \
		return r;                                                                          \
	}
#endif

#define LIBRARY_SLOT(library, name)   __typeof__(library##_##name) *(name);
#define LIBRARY_LINKED(library, name) .name = library##_##name,
#define LIBRARY_FIND(library, name)   {#library "_" #name, &library##_lib.name},

#endif
