/*
 * Clients that are started by one blocking call.
 */
#include "node_rig.h"

static void started_clients_warn_once_and_check_options(void **state)
{
	struct flwr_options options = options_of();

	world.refuse = -ENOMEM;
	assert_int_equal(flwr_start_client(&options), FLWR_E_MEMORY);
	assert_non_null(strstr(program.lines, "2 DEPRECATED FEATURE: flwr.client.start_client()"));
	program.lines[0] = '\0';
	assert_int_equal(flwr_start_client(&options), FLWR_E_MEMORY);
	assert_string_equal(program.lines, ""); /* once a process */
	assert_int_equal(flwr_start_numpy_client(&options), FLWR_E_MEMORY);
	assert_non_null(strstr(program.lines, "start_numpy_client() is deprecated"));
	options.app = (const struct flwr_clientapp *)&options;
	assert_int_equal(flwr_start_client(&options), FLWR_E_ARGUMENT);
	assert_non_null(strstr(flwr_error(), "options.app is for flwr_node_new()"));
}

/* The reason stays, whatever is called while the node is freed. */
static void a_started_client_says_why_it_ended(void **state)
{
	struct flwr_options options = options_of();

	world.hopeless = true;
	program.fail_in_lines = true;
	assert_int_equal(flwr_start_client(&options), FLWR_E_CONNECT);
	assert_string_equal(flwr_error(), "nobody is there");
	assert_non_null(strstr(program.lines, "abandoned"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(started_clients_warn_once_and_check_options),
		RIG_TEST(a_started_client_says_why_it_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
