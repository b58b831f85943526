#include "common/base/library.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

int library_load(
	const char *file, const struct library_function *functions, size_t n, struct reason *why)
{
	void *library = dlopen(file, RTLD_LAZY | RTLD_LOCAL);
	void *address;

	if (!library)
		return reason_code(why, -ELIBACC,
			"the shared library %s cannot be loaded: is its package installed?", file);
	for (size_t i = 0; i < n; i++) {
		address = dlsym(library, functions[i].name);
		if (!address)
			return reason_code(why, -ELIBACC, "%s has no function %s: is it too old?",
				file, functions[i].name);
		memcpy(functions[i].slot, &address, sizeof address);
	}
	return 0;
}
