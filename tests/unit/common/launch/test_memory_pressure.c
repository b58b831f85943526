#include "common/launch/memory_pressure.h"
#include "kit/loop.h"

static void count(void *arg)
{
	(*(unsigned *)arg)++;
}

/* Memory is not short here, whatever this machine can tell. */
static void nothing_is_told_while_there_is_enough(void **state)
{
	struct memory_pressure *pressure;
	struct loop *loop;
	unsigned told = 0;

	(void)state;
	assert_int_equal(loop_new(&loop), 0);
	pressure = memory_pressure_new(loop, count, &told);
	for (int i = 0; i < 4; i++)
		loop_step(loop, 10);
	assert_int_equal(told, 0);
	memory_pressure_free(pressure);
	memory_pressure_free(NULL);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_told_while_there_is_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
