#include "common/base/clock.h"
#include "common/loop/loop.h"
#include "kit/test.h"

#include <time.h>

#define MANY 300

struct alarms {
	struct loop *loop;
	struct timer *timers[MANY];
	int64_t at_ms[MANY]; /* CLOCK_NEVER: not set */
	int64_t last_ms;
	size_t fired;
};

struct alarm {
	struct alarms *alarms;
	size_t i;
};

static void alarm_fired(void *arg)
{
	const struct alarm *alarm = arg;
	struct alarms *alarms = alarm->alarms;
	int64_t at_ms = alarms->at_ms[alarm->i];

	assert_true(at_ms != CLOCK_NEVER);
	assert_true(clock_now_ms() >= at_ms);  /* never early */
	assert_true(at_ms >= alarms->last_ms); /* in order */
	alarms->last_ms = at_ms;
	alarms->at_ms[alarm->i] = CLOCK_NEVER;
	alarms->fired++;
}

static void random_timers_fire_in_order(void **state)
{
	static struct alarm each[MANY];
	struct alarms alarms = {.loop = NULL};
	unsigned int seed = (unsigned int)time(NULL);
	size_t set = 0;

	print_message("seed %u\n", seed);
	srand(seed);
	assert_int_equal(loop_new(&alarms.loop), 0);
	for (size_t i = 0; i < MANY; i++) {
		each[i] = (struct alarm){.alarms = &alarms, .i = i};
		alarms.at_ms[i] = CLOCK_NEVER;
		alarms.timers[i] = timer_new(alarms.loop, alarm_fired, &each[i]);
		assert_non_null(alarms.timers[i]);
	}
	for (size_t n = 0; n < 5 * MANY; n++) {
		size_t i = (size_t)rand() % MANY;

		alarms.at_ms[i] = rand() % 4 ? clock_now_ms() + 20 + rand() % 80 : CLOCK_NEVER;
		timer_set(alarms.timers[i], alarms.at_ms[i]);
	}
	for (size_t i = 0; i < MANY; i++)
		set += alarms.at_ms[i] != CLOCK_NEVER;
	while (alarms.fired < set)
		loop_step(alarms.loop, 1000);
	loop_step(alarms.loop, 5);
	assert_int_equal(alarms.fired, set);
	for (size_t i = 0; i < MANY; i++)
		timer_free(alarms.timers[i]);
	loop_free(alarms.loop);
}

struct pair {
	struct timer *own, *other;
	int fired;
};

static void free_both(void *arg)
{
	struct pair *pair = arg;

	pair->fired++;
	timer_free(pair->own);
	timer_free(pair->other);
}

static void freed_in_callbacks(void **state)
{
	struct loop *loop;
	struct pair pair = {0};
	int64_t now_ms = clock_now_ms();

	assert_int_equal(loop_new(&loop), 0);
	pair.own = timer_new(loop, free_both, &pair);
	pair.other = timer_new(loop, free_both, &pair);
	timer_set(pair.own, now_ms - 1);
	timer_set(pair.other, now_ms);
	loop_step(loop, 1000);
	loop_step(loop, 0);
	assert_int_equal(pair.fired, 1);
	timer_free(NULL);
	loop_free(loop);
}

struct again {
	struct timer *timer;
	struct loop *loop;
	int left;
};

static void set_again(void *arg)
{
	struct again *again = arg;

	if (--again->left > 0)
		timer_set(again->timer, 0); /* long ago: due at once */
	else
		loop_stop(again->loop);
}

static void set_anew_in_its_callback(void **state)
{
	struct again again = {.left = 50};

	assert_int_equal(loop_new(&again.loop), 0);
	again.timer = timer_new(again.loop, set_again, &again);
	timer_set(again.timer, INT64_MIN);
	loop_step(again.loop, 1000);
	assert_int_equal(again.left, 49); /* once a round, whatever the time */
	assert_int_equal(loop_run(again.loop), 0);
	assert_int_equal(again.left, 0);
	timer_set(again.timer, CLOCK_NEVER - 1);
	loop_step(again.loop, 0);
	assert_int_equal(again.left, 0);
	/* A timer may outlive its loop; it only never fires. */
	loop_free(again.loop);
	timer_set(again.timer, 0);
	timer_free(again.timer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_timers_fire_in_order),
		cmocka_unit_test(freed_in_callbacks),
		cmocka_unit_test(set_anew_in_its_callback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
