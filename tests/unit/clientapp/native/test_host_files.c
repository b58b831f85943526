/*
 * Files that the native host cannot run as apps: each is refused with a sentence that says why.
 */
#include "kit/dir.h"
#include "rig.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define LOAD "An exception was raised when attempting to load `ClientApp`: "

/* A copy of a good app in which one field of the ELF header is another. */
static char *spoilt_copy(const char *name, size_t offset, uint16_t value)
{
	auto_(close_at_exit) int from = open(APPS "/sample.so", O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *bytes, *path;

	assert_return_code(from, errno);
	assert_return_code(fstat(from, &st), errno);
	bytes = malloc((size_t)st.st_size);
	assert_non_null(bytes);
	assert_int_equal(read(from, bytes, (size_t)st.st_size), st.st_size);
	memcpy(bytes + offset, &value, offset < 16 ? 1 : sizeof value);
	path = kit_dir_write(name, bytes, (size_t)st.st_size);
	free(bytes);
	return path;
}

static void refused(const char *file, const char *symbol, const char *sentence)
{
	struct kit_app app;

	open_app(&app, file, symbol);
	kit_app_wait(&app);
	assert_error(&app, 1, LOAD);
	assert_true(app_host_refused(app.host));
	if (strcmp(app.reply.error_reason + strlen(LOAD), sentence) != 0)
		fail_msg("%s", app.reply.error_reason);
	/* The reply names no folder of this machine, the log does. */
	assert_null(strchr(app.reply.error_reason, '/'));
	assert_non_null(strstr(kit_app_printed(&app), "ERROR /"));
	assert_int_equal(WEXITSTATUS(app.status), 1);
	kit_app_close(&app);
}

static void each_wrong_file_has_its_sentence(void **state)
{
	auto_(free_at_exit) char *text = kit_dir_write_text("text.so", "this is text\n");
	auto_(free_at_exit) char *empty = kit_dir_write_text("empty.so", "");
	auto_(free_at_exit) char *arm = spoilt_copy("arm.so", 18, 183);
	auto_(free_at_exit) char *small = spoilt_copy("small.so", 4, 1);
	auto_(free_at_exit) char *swapped = spoilt_copy("swapped.so", 5, 2);
	auto_(free_at_exit) char *program = spoilt_copy("program.so", 16, 2);
	auto_(free_at_exit) char *object = spoilt_copy("object.so", 16, 1);
	auto_(free_at_exit) char *folder = kit_dir_path("folder.so");
	auto_(free_at_exit) char *pipe = kit_dir_path("pipe.so");

	assert_return_code(mkdir(folder, 0700), errno);
	assert_return_code(mkfifo(pipe, 0600), errno);
	refused("/nonexistent/robot.so", NULL, "robot.so: No such file or directory");
	refused(folder, NULL, "folder.so is no file");
	refused(pipe, NULL, "pipe.so is no file");
	refused(text, NULL, "text.so is no shared object");
	refused(empty, NULL, "empty.so is no shared object");
#ifdef __x86_64__
	refused(arm, NULL,
		"arm.so is for another machine (ELF machine 183 with 64 bits, this one is 62 with 64)");
	refused(small, NULL,
		"small.so is for another machine (ELF machine 62 with 32 bits, this one is 62 with 64)");
#endif
	refused(swapped, NULL, "swapped.so is for a machine with another byte order");
	refused(program, NULL, "program.so is no shared object: link it with -shared (and -fPIC)");
	refused(object, NULL, "object.so is no shared object: link it with -shared (and -fPIC)");
}

static void each_wrong_app_has_its_sentence(void **state)
{
	refused("no_function.so", NULL,
		"no_function.so has no function flwr_app(), or hides it: declare it FLWR_API");
	refused("hidden_function.so", "make",
		"hidden_function.so has no function make(), or hides it: declare it FLWR_API");
	refused("sample.so", "nothing",
		"sample.so has no function nothing(), or hides it: declare it FLWR_API");
	refused("no_reason.so", NULL, "flwr_app() of no_reason.so returned NULL without a reason");
	refused("missing.so", NULL,
		"missing.so cannot be loaded: undefined symbol: flwr_of_the_future");
	refused("own_library.so", NULL,
		"own_library.so brings a libflwr-app of its own: link it with the shared one (-lflwr-app)");
	refused("own_visible_library.so", NULL,
		"own_visible_library.so brings a libflwr-app of its own: link it with the shared one (-lflwr-app)");
}

/* Sentences of libflwr-app, of which only the gist is known here. */
static void apps_of_other_headers_are_refused(void **state)
{
	static const struct {
		const char *file, *gist;
	} rows[] = {{"version.so", "99.0"}, {"short.so", "short.so"}, {"longer.so", "longer.so"},
		{"table.so", "training"}, {"returns_null.so", "no camera at "}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct kit_app app;

		open_app(&app, rows[i].file, NULL);
		kit_app_wait(&app);
		print_message("%s\n", app.reply.error_reason);
		assert_error(&app, 1, rows[i].gist);
		kit_app_close(&app);
	}
}

static void an_app_that_ends_while_it_is_loaded_says_nothing(void **state)
{
	struct kit_app app;

	open_app(&app, "ends.so", NULL);
	kit_app_wait(&app);
	assert_int_equal(app.events[APP_HOST_HUNG_UP], 1);
	assert_int_equal(WEXITSTATUS(app.status), 5);
	kit_app_close(&app);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_wrong_file_has_its_sentence),
		cmocka_unit_test(each_wrong_app_has_its_sentence),
		cmocka_unit_test(apps_of_other_headers_are_refused),
		cmocka_unit_test(an_app_that_ends_while_it_is_loaded_says_nothing),
	};

	return cmocka_run_group_tests(tests, kit_dir_make, kit_dir_remove);
}
