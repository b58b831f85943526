#include "kit/dir.h"

#include "common/base/files.h"

#include <fcntl.h>

char kit_dir[64];

int kit_dir_make(void **state)
{
	(void)state;
	snprintf(kit_dir, sizeof kit_dir, "%s/flwr-test-XXXXXX",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	return mkdtemp(kit_dir) ? 0 : -1;
}

int kit_dir_remove(void **state)
{
	int r = dir_remove(kit_dir);

	(void)state;
	kit_dir[0] = '\0';
	return r;
}

char *kit_dir_path(const char *name)
{
	char *path = path_join(kit_dir, name);

	assert_true(kit_dir[0] && path);
	return path;
}

char *kit_dir_write(const char *name, const void *data, size_t len)
{
	char *path = kit_dir_path(name);
	auto_(close_at_exit) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_return_code(fd, errno);
	assert_int_equal(fd_write_all(fd, data, len), 0);
	return path;
}

char *kit_dir_write_text(const char *name, const char *text)
{
	return kit_dir_write(name, text, strlen(text));
}
