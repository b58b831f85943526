#include "common/launch/launch_paths.h"
#include "rig.h"

static void programs_are_found_beside_the_running_one(void **state)
{
	struct launch_paths paths;

	assert_int_equal(launch_paths_find(&paths), 0);
	assert_non_null(strstr(paths.worker, "/flwr-clientapp"));
	assert_non_null(strstr(paths.start, "/libexec/flwr-native/flwr-app-start"));
	assert_non_null(strstr(paths.bridge, "/share/flwr-native/flwr_native_bridge/main.py"));
	assert_non_null(strstr(paths.host, "/libexec/flwr-native/flwr-native-host"));
	assert_int_equal(access(paths.start, X_OK), 0);
	launch_paths_done(&paths);
	assert_null(paths.worker);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(programs_are_found_beside_the_running_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
