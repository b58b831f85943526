#include "reaper/letter.h"

#include "common/base/cleanup.h"

#include <fcntl.h>

void letter_read(int fd, struct letter *out)
{
	char text[PATH_MAX + 16];
	ssize_t n = read(fd, text, sizeof text);

	*out = (struct letter){0};
	for (ssize_t at = 0; at < n; at++) {
		const char *path = text + at + 1;
		size_t room = (size_t)(n - at - 1);

		if (text[at] == 'r') {
			out->restarts = true;
		} else if (text[at] == 'd' && memchr(path, '\0', room) &&
			   strlen(path) < sizeof out->dir) {
			memcpy(out->dir, path, strlen(path) + 1);
			at += (ssize_t)strlen(path) + 1;
		}
	}
}

void letter_remove(const char *dir)
{
	auto_(close_at_exit) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	auto_(closedir_at_exit) DIR *files = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *file;

	if (!files)
		return;
	fd = -1; /* files has it */
	while ((file = readdir(files)))
		unlinkat(dirfd(files), file->d_name, 0);
	rmdir(dir);
}
