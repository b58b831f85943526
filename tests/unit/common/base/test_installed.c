#include "common/base/installed.h"
#include "kit/dir.h"
#include "kit/test.h"

#include <sys/stat.h>
#include <sys/wait.h>

static void the_program_knows_its_folder(void **state)
{
	auto_(free_at_exit) char *dir = path_program_dir();
	auto_(free_at_exit) char *file = path_installed("share/x");
	size_t prefix;

	assert_non_null(dir);
	assert_int_equal(dir[0], '/');
	assert_int_equal(access(dir, X_OK), 0);
	prefix = (size_t)(strrchr(dir, '/') - dir);
	assert_memory_equal(file, dir, prefix);
	assert_string_equal(file + prefix, "/share/x");
}

/* As flower-supernode, which its reaper executes there. */
static void a_program_may_lie_in_libexec(void **state)
{
	static const char *const folders[] = {"libexec", "libexec/flwr-native", "bin"};
	auto_(free_at_exit) char *wanted = kit_dir_path("share/x");
	char said[256] = "";

	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		auto_(free_at_exit) char *folder = kit_dir_path(folders[i]);

		assert_int_equal(mkdir(folder, 0700), 0);
	}
	for (size_t i = 1; i < ARRAY_LEN(folders); i++) {
		char command[512];

		snprintf(command, sizeof command, "cp /proc/%d/exe %s/%s/this && %s/%s/this tell",
			(int)getpid(), kit_dir, folders[i], kit_dir, folders[i]);
		auto_(fclose_at_exit) FILE *output = popen(command, "re");
		assert_non_null(fgets(said, sizeof said, output));
		assert_string_equal(said, wanted);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_program_knows_its_folder),
		cmocka_unit_test(a_program_may_lie_in_libexec),
	};

	(void)argv;
	if (argc > 1) {
		auto_(free_at_exit) char *file = path_installed("share/x");

		return file && fputs(file, stdout) >= 0 ? 0 : 1;
	}
	return cmocka_run_group_tests(tests, kit_dir_make, kit_dir_remove);
}
