#include "reaper/letter.h"

#include "common/base/cleanup.h"

#include <fcntl.h>

/* Where a path behind this letter is kept; NULL: none follows it. */
static char *place_of(struct letter *letter, char kind)
{
	return kind == 'd' ? letter->dir : kind == 'g' ? letter->groups : NULL;
}

void letter_read(int fd, struct letter *out)
{
	char text[2 * PATH_MAX + 16];
	ssize_t n = read(fd, text, sizeof text);

	*out = (struct letter){0};
	for (ssize_t at = 0; at < n; at++) {
		const char *path = text + at + 1;
		size_t room = (size_t)(n - at - 1);
		char *place = place_of(out, text[at]);

		if (text[at] == 'r') {
			out->restarts = true;
		} else if (place && memchr(path, '\0', room) && strlen(path) < PATH_MAX) {
			memcpy(place, path, strlen(path) + 1);
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

void letter_remove_groups(const char *prefix)
{
	const char *slash = strrchr(prefix, '/');
	auto_(free_at_exit) char *dir = slash ? strndup(prefix, (size_t)(slash - prefix)) : NULL;
	auto_(closedir_at_exit) DIR *groups = dir ? opendir(dir) : NULL;
	struct dirent *group;

	while (groups && (group = readdir(groups)))
		if (strncmp(group->d_name, slash + 1, strlen(slash + 1)) == 0)
			unlinkat(dirfd(groups), group->d_name, AT_REMOVEDIR);
}
