#include "kit/dir.h"

#include "common/base/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

char kit_dir[64];

int kit_dir_make(void **state)
{
	(void)state;
	snprintf(kit_dir, sizeof kit_dir, "/tmp/flwr-test-XXXXXX");
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

static void write_file(const char *path, const void *data, size_t len)
{
	auto_(close_at_exit) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_return_code(fd, errno);
	assert_int_equal(fd_write_all(fd, data, len), 0);
}

void kit_file_write(const char *path, const char *text)
{
	write_file(path, text, strlen(text));
}

char *kit_dir_write(const char *name, const void *data, size_t len)
{
	char *path = kit_dir_path(name);

	write_file(path, data, len);
	return path;
}

char *kit_dir_write_text(const char *name, const char *text)
{
	return kit_dir_write(name, text, strlen(text));
}

char *kit_dir_script(const char *name, const char *text)
{
	char *path = kit_dir_write_text(name, text);

	assert_return_code(chmod(path, 0700), errno);
	return path;
}

unsigned kit_dir_count(const char *path)
{
	const struct dirent *entry;
	DIR *dir = opendir(path);
	unsigned n = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)))
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
}
