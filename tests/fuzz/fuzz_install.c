/*
 * Fuzz target: the installation of a FAB. Nothing appears outside of the app's own folder, nothing
 * is left of one that was refused, and no file that the list does not have.
 */
#include "fuzz.h"

#include "common/base/files.h"
#include "common/base/sha256.h"
#include "common/fab/install.h"

#include <dirent.h>

#define BASE "/dev/shm/flwr-fuzz-XXXXXX"

FUZZ_MEMORY(4096, 32);

static bool made;
static char base[] = BASE; /* /a/b/home/apps below it, so that a way up stays in it */

static void base_remove(void)
{
	dir_remove(base);
}

/* The folder has nothing but name (NULL: nothing). */
static void check_only(const char *folder, const char *name)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		CHECK(strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
			(name && strcmp(entry->d_name, name) == 0));
	if (dir)
		closedir(dir);
}

static void check_places(const char *home, const char *app)
{
	auto_(free_at_exit) char *a = path_join(base, "a"), *b = path_join(a, "b");
	auto_(free_at_exit) char *apps = path_join(home, "apps");

	check_only(base, "a");
	check_only(a, "b");
	check_only(b, "home");
	check_only(home, "apps");
	CHECK(!app || strncmp(app, apps, strlen(apps)) == 0);
	check_only(apps, app ? app + strlen(apps) + 1 : NULL);
	CHECK(dir_remove(apps) == 0);
}

void fuzz(const uint8_t *data, size_t len)
{
	struct fab_install_options options = {.limits = {.received_max_bytes = 1 << 20,
						      .unpacked_max_bytes = 1 << 20,
						      .files_max = 20}};
	auto_(slices_done) struct slices content = fuzz_cut(data, len, len / 2);
	auto_(free_at_exit) char *home = NULL, *app = NULL;
	char hash[SHA256_HEX_BYTES];
	struct manifest manifest;

	if (!made) {
		CHECK(mkdtemp(base));
		atexit(base_remove);
		made = true;
	}
	home = path_join(base, "a/b/home");
	CHECK(home);
	sha256_slices(&content, hash);
	options.hash = hash;
	options.flwr_home = home;
	if (fab_install(&content, &options, &manifest, &app, NULL) == 0)
		manifest_done(&manifest);
	check_places(home, app);
}
