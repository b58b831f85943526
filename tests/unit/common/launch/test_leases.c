#include "common/launch/leases.h"
#include "rig.h"

#include "common/base/files.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define DRIVER_DIR "/nonexistent/gpus"

static void each_worker_has_its_own(void **state)
{
	struct rig *rig = *state;
	struct leases *leases = NULL;
	struct reason why = {.text = ""};
	int first, second;

	assert_int_equal(leases_new("0,GPU-8f2d,MIG-3a/1/0", DRIVER_DIR, &leases, &why), 0);
	assert_int_equal(leases_count(leases), 3);
	first = lease_take(leases);
	second = lease_take(leases);
	assert_string_equal(lease_setting(leases, first), "CUDA_VISIBLE_DEVICES=0");
	assert_string_equal(lease_setting(leases, second), "CUDA_VISIBLE_DEVICES=GPU-8f2d");
	assert_int_equal(lease_take(leases), 2);
	assert_int_equal(lease_take(leases), LEASE_NONE);
	lease_give_back(leases, second);
	assert_int_equal(lease_take(leases), second);
	lease_give_back(leases, LEASE_NONE);
	leases_tell(leases, rig->log);
	assert_int_equal(rig_log_count(rig, "0 GPU-8f2d MIG-3a/1/0\n"), 1);
	leases_free(leases);
}

static void a_gpu_that_is_named_twice_serves_two(void **state)
{
	struct leases *leases = NULL;
	struct reason why = {.text = ""};

	assert_int_equal(leases_new("1,1", DRIVER_DIR, &leases, &why), 0);
	assert_string_equal(lease_setting(leases, lease_take(leases)), "CUDA_VISIBLE_DEVICES=1");
	assert_string_equal(lease_setting(leases, lease_take(leases)), "CUDA_VISIBLE_DEVICES=1");
	leases_free(leases);
}

static void what_is_no_list_is_refused(void **state)
{
	static const char *const texts[] = {"", ",", "0,", "0 1", "0,a=b", "0\n", "autos,"};
	struct leases *leases = NULL;

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct reason why = {.text = ""};

		if (leases_new(texts[i], DRIVER_DIR, &leases, &why) != -EINVAL ||
			!strstr(why.text, "--gpu-slots"))
			fail_msg("%s: %s", texts[i], why.text);
	}
}

static void auto_takes_what_this_program_may_use(void **state)
{
	struct leases *leases = NULL;
	struct reason why = {.text = ""};

	setenv("CUDA_VISIBLE_DEVICES", "2,3", 1);
	assert_int_equal(leases_new("auto", DRIVER_DIR, &leases, &why), 0);
	assert_int_equal(leases_count(leases), 2);
	assert_string_equal(lease_setting(leases, 1), "CUDA_VISIBLE_DEVICES=3");
	leases_free(leases);
	unsetenv("CUDA_VISIBLE_DEVICES");
}

/* A GPU is a directory that has its address on the bus for a name. */
static void auto_counts_what_the_driver_has(void **state)
{
	static const char *const gpus[] = {"0000:01:00.0", "0000:41:00.0", "0000:c1:00.0"};
	struct leases *leases = NULL;
	struct reason why = {.text = ""};
	char dir[] = "/tmp/leases-XXXXXX", path[64];

	assert_non_null(mkdtemp(dir));
	for (size_t i = 0; i < sizeof gpus / sizeof gpus[0]; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, gpus[i]);
		assert_return_code(mkdir(path, 0755), errno);
	}
	assert_int_equal(leases_new("auto", dir, &leases, &why), 0);
	assert_int_equal(leases_count(leases), 3);
	assert_string_equal(lease_setting(leases, 0), "CUDA_VISIBLE_DEVICES=0");
	assert_string_equal(lease_setting(leases, 2), "CUDA_VISIBLE_DEVICES=2");
	leases_free(leases);
	assert_int_equal(dir_remove(dir), 0);
}

/* A nvidia-smi of the test's. */
static void auto_asks_nvidia_smi(void **state)
{
	struct leases *leases = NULL;
	struct reason why = {.text = ""};
	char dir[] = "/tmp/leases-XXXXXX", path[64];
	char *before = strdup(getenv("PATH"));
	FILE *file;

	assert_non_null(mkdtemp(dir));
	setenv("PATH", dir, 1);
	assert_int_equal(leases_new("auto", DRIVER_DIR, &leases, &why), -ENODEV);
	assert_non_null(strstr(why.text, "--gpu-slots auto: there is no GPU"));
	assert_non_null(strstr(why.text, "(neither " DRIVER_DIR " nor nvidia-smi has one)"));
	snprintf(path, sizeof path, "%s/nvidia-smi", dir);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("#!/bin/sh\necho 'GPU 0: A (UUID: x)'\necho 'GPU 1: B (UUID: y)'\n", file);
	fclose(file);
	chmod(path, 0755);
	assert_int_equal(leases_new("auto", DRIVER_DIR, &leases, &why), 0);
	assert_int_equal(leases_count(leases), 2);
	leases_free(leases);
	setenv("PATH", before, 1);
	free(before);
	unlink(path);
	rmdir(dir);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_worker_has_its_own),
		TEST(a_gpu_that_is_named_twice_serves_two),
		TEST(what_is_no_list_is_refused),
		TEST(auto_takes_what_this_program_may_use),
		TEST(auto_counts_what_the_driver_has),
		TEST(auto_asks_nvidia_smi),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
