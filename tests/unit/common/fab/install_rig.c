#include "install_rig.h"

#include "common/base/files.h"
#include "kit/child.h"

#include <dirent.h>
#include <sys/stat.h>

struct fab_fixture fixture;

void new_home(char home[HOME_BYTES])
{
	snprintf(home, HOME_BYTES, "%s/home-%u", fixture.dir, fixture.homes++);
}

void fab_of(const void *bytes, size_t len, size_t piece, struct fab *out)
{
	*out = (struct fab){0};
	for (size_t at = 0; at < len; at += piece) {
		size_t n = len - at < piece ? len - at : piece;

		assert_int_equal(slices_append_copy(&out->content, (const char *)bytes + at, n), 0);
	}
	assert_int_equal(sha256_slices(&out->content, out->hash), 0);
}

char *load(const char *file, size_t *len_out)
{
	auto_(free_at_exit) char *path = path_join(fixture.dir, file);
	char *bytes;

	assert_int_equal(file_read(path, 64 << 20, &bytes, len_out), 0);
	return bytes;
}

void fab_load(const char *file, size_t piece, struct fab *out)
{
	size_t len;
	auto_(free_at_exit) char *bytes = load(file, &len);

	fab_of(bytes, len, piece, out);
}

int install_with(const struct fab *fab, const struct fab_install_options *options, char **dir_out,
	struct reason *why)
{
	struct fab_install_options whole = *options;
	struct manifest manifest = {0};
	int r;

	whole.hash = fab->hash;
	whole.limits = fab_limits_default();
	r = fab_install(&fab->content, &whole, &manifest, dir_out, why);
	manifest_done(&manifest);
	return r;
}

int install(const struct fab *fab, const char *home, char **dir_out, struct reason *why)
{
	return install_with(fab, &(struct fab_install_options){.flwr_home = home}, dir_out, why);
}

unsigned count_entries(const char *home, const char *below)
{
	auto_(free_at_exit) char *path = path_join(home, below);
	DIR *dir = opendir(path);
	unsigned n = 0;
	struct dirent *item;

	while (dir && (item = readdir(dir)))
		n += strcmp(item->d_name, ".") != 0 && strcmp(item->d_name, "..") != 0;
	if (dir)
		closedir(dir);
	return n;
}

bool same_trees(const char *a, const char *b)
{
	auto_(free_at_exit) char *command = NULL;

	assert_true(asprintf(&command, "diff -r '%s' '%s'", a, b) > 0);
	return system(command) == 0;
}

int group_setup(void **state)
{
	struct kit_child maker;

	umask(022);
	/* In memory where that is to be had: every install is synced to the disk. */
	snprintf(fixture.dir, sizeof fixture.dir, "%s/flwr-test-fab-XXXXXX",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(fixture.dir));
	kit_child_start(&maker, KIT_OLDEST, FLWR_TEST_DIR "/gen_fab.py", fixture.dir);
	snprintf(fixture.name, sizeof fixture.name, "%s", kit_child_line(&maker));
	kit_child_end(&maker);
	return 0;
}

int group_teardown(void **state)
{
	return dir_remove(fixture.dir);
}
