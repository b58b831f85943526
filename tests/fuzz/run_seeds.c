/*
 * Runs a fuzz target over each file of a folder, without a fuzzer: its seeds as an ordinary test.
 */
#include "fuzz.h"

#include "common/base/files.h"

#include <dirent.h>
#include <errno.h>

#define SEED_MAX_BYTES (16 << 20)

static int run_seed(const char *folder, const char *name)
{
	auto_(free_at_exit) char *path = path_join(folder, name);
	auto_(free_at_exit) char *data = NULL;
	size_t len;
	int r = path ? file_read(path, SEED_MAX_BYTES, &data, &len) : -ENOMEM;

	if (r) {
		fprintf(stderr, "%s: %s\n", name, strerror(-r));
		return r;
	}
	printf("%s: %zu bytes\n", name, len);
	fflush(stdout);
	return LLVMFuzzerTestOneInput((const uint8_t *)data, len);
}

int main(int argc, char **argv)
{
	const struct dirent *entry;
	unsigned seeds = 0;
	int failed = 0;
	DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;

	if (!dir) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return EXIT_FAILURE;
	}
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		seeds++;
		failed |= run_seed(argv[1], entry->d_name);
	}
	closedir(dir);
	if (!seeds)
		fprintf(stderr, "%s: no seeds\n", argv[1]);
	return seeds && !failed ? EXIT_SUCCESS : EXIT_FAILURE;
}
