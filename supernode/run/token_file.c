#include "supernode/run/token_file.h"

#include "common/base/cleanup.h"
#include "common/base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* malloc()ed; NULL on no memory. */
static char *path_of(const char *dir, uint64_t message)
{
	char *path = NULL;

	return asprintf(&path, "%s/token-%" PRIu64, dir, message) < 0 ? NULL : path;
}

int token_file_make(const char *dir, uint64_t message, const char *token, char **path_out)
{
	auto_(free_at_exit) char *path = path_of(dir, message);
	auto_(close_at_exit) int fd = -1;
	int r;

	if (!path)
		return -ENOMEM;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = fd_write_all(fd, token, strlen(token));
	if (r < 0) {
		unlink(path);
		return r;
	}
	*path_out = take_pointer(&path);
	return 0;
}

void token_file_remove(const char *dir, uint64_t message)
{
	auto_(free_at_exit) char *path = path_of(dir, message);

	if (path)
		unlink(path);
}
