/*
 * Which device files the strict cage grants. A directory of the test stands for /dev.
 */
#include "common/launch/sandbox.h"

#include "common/base/files.h"
#include "common/launch/sandbox_internal.h"
#include "kit/dir.h"
#include "kit/test.h"
#include "sandbox_rig.h"

#include <sys/stat.h>

static const struct {
	const char *name;
	bool granted;
} files[] = {{"nvidia0", true}, {"nvidia15", true}, {"nvidiactl", true}, {"nvidia-uvm", true},
	{"nvidia-uvm-tools", true}, {"nvidia-modeset", true}, {"kfd", true}, {"null", true},
	{"zero", true}, {"full", true}, {"random", true}, {"urandom", true}, {"sda", false},
	{"mem", false}, {"fuse", false}, {"kvm", false}, {"tty", false}, {"kfd.other", false}};

/* Apps get all that is in these: card0, renderD128, nvidia-cap1. */
static const char *const directories[] = {"nvidia-caps", "dri"};

static char *make_dir(const char *name)
{
	char *path = kit_dir_path(name);

	assert_int_equal(mkdir(path, 0755), 0);
	return path;
}

/* The rules of an app's cage where dev has the device files; malloc()ed. */
static char *rules_of(const char *dev)
{
	auto_(free_at_exit) char *apps = make_dir("apps");
	auto_(free_at_exit) char *own = make_dir("apps/own");
	auto_(sandbox_cage_done) struct sandbox_cage cage = {0};
	struct launch_options launch;
	struct sandbox sandbox = sandbox_rig(SANDBOX_STRICT, &launch, dev);
	struct sandbox_app app = sandbox_rig_app(own);
	struct reason why = {.text = ""};

	assert_int_equal(sandbox_strict_new(&sandbox, &why), 0);
	assert_int_equal(sandbox_cage(&sandbox, &app, &cage, &why), 0);
	sandbox_strict_done(&sandbox);
	return take_pointer(&cage.description);
}

static bool is_granted(const char *rules, const char *word, const char *dev, const char *name)
{
	auto_(free_at_exit) char *line = NULL;

	assert_true(asprintf(&line, "\n%s %s%s%s\n", word, dev, *name ? "/" : "", name) > 0);
	return strstr(rules, line);
}

/* GPUs, by the names that their drivers give them, and no other device. */
static void devices_of_gpus(void **state)
{
	auto_(free_at_exit) char *dev = make_dir("dev");
	auto_(free_at_exit) char *rules = NULL;

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		auto_(free_at_exit) char *path = path_join(dev, files[i].name);

		kit_file_write(path, "");
	}
	for (size_t i = 0; i < ARRAY_LEN(directories); i++) {
		auto_(free_at_exit) char *path = path_join(dev, directories[i]);

		assert_int_equal(mkdir(path, 0755), 0);
	}
	rules = rules_of(dev);
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		if (is_granted(rules, "write", dev, files[i].name) != files[i].granted ||
			is_granted(rules, "read", dev, files[i].name))
			fail_msg("%s: %s", files[i].name, rules);
	for (size_t i = 0; i < ARRAY_LEN(directories); i++)
		if (!is_granted(rules, "write", dev, directories[i]))
			fail_msg("%s: %s", directories[i], rules);
	assert_false(is_granted(rules, "write", dev, "") || is_granted(rules, "read", dev, ""));
}

/* A machine without GPUs. */
static void no_devices(void **state)
{
	auto_(free_at_exit) char *dev = make_dir("dev");
	auto_(free_at_exit) char *rules = rules_of(dev);

	assert_null(strstr(rules, dev));
}

static void devices_of_the_machine(void **state)
{
	struct launch_options options = {.sandbox = "off"};
	struct sandbox *sandbox = NULL;
	struct reason why = {.text = ""};
	int r = sandbox_new(&(struct sandbox_options){.launch = &options, .flwr_home = kit_dir},
		&sandbox, &why);

	assert_int_equal(r, 0);
	assert_string_equal(sandbox->dev, "/dev");
	sandbox_free(sandbox);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(devices_of_gpus, kit_dir_make, kit_dir_remove),
		cmocka_unit_test_setup_teardown(no_devices, kit_dir_make, kit_dir_remove),
		cmocka_unit_test_setup_teardown(
			devices_of_the_machine, kit_dir_make, kit_dir_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
