#include "common/rpc/rpc.h"
#include "kit/test.h"
#include "life.h"
#include "supernode/link/transports.h"

static void test_a_life_at_a_real_fleet_api(void **state)
{
	life_run(KIT_OLDEST, FLWR_TEST_DIR "/superlink.py", "Flower-1.15-to-1.18");
}

static void test_an_address_that_is_none(void **state)
{
	struct transport *transport = NULL;
	struct loop *loop = NULL;
	struct rpc *rpc = NULL;

	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(rpc_new(loop, &rpc), 0);
	assert_int_equal(transport_grpc.open(
				 &(struct transport_options){
					 .rpc = rpc, .address = "", .receive_max_bytes = INT32_MAX},
				 &transport),
		-EINVAL);
	assert_null(transport);
	rpc_free(rpc);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_life_at_a_real_fleet_api),
		cmocka_unit_test(test_an_address_that_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
