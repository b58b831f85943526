/* The table of a worker: no hole, no dead end, and each owner told what he has to be told, once. */
#include "common/launch/worker_states.h"
#include "rig.h"

#include <stdlib.h>

#define ROUNDS 20000
#define STEPS  40

static bool possible(enum worker_step step, unsigned event)
{
	return !worker_answer(step, (enum worker_event)event)->never;
}

static void every_pair_has_an_answer(void **state)
{
	for (unsigned step = 0; step < WORKER_STEP_N; step++) {
		assert_non_null(worker_step_name((enum worker_step)step));
		for (unsigned event = 0; event < WORKER_EVENT_N; event++) {
			const struct worker_answer *answer =
				worker_answer((enum worker_step)step, (enum worker_event)event);

			if (!answer->known || answer->next >= WORKER_STEP_N)
				fail_msg("%s: event %u has no answer",
					worker_step_name((enum worker_step)step), event);
			if (answer->never)
				assert_int_equal(answer->todo, 0);
			/* Who settles is at the end, and the other way round. */
			assert_int_equal((answer->todo & DO_SETTLE) != 0,
				!answer->never && answer->next == WORKER_GONE);
		}
	}
}

static void nothing_happens_to_what_is_gone(void **state)
{
	for (unsigned event = 0; event < WORKER_EVENT_N; event++)
		assert_false(possible(WORKER_GONE, event));
}

/* Whatever ends is told of where there is somebody to be told. */
static void every_end_is_expected(void **state)
{
	for (unsigned step = WORKER_SPARE; step <= WORKER_BEREFT; step++) {
		bool ends = possible((enum worker_step)step, WORKER_ENDED_WELL);

		assert_true(ends);
		assert_int_equal(ends, possible((enum worker_step)step, WORKER_ENDED_BADLY));
		assert_int_equal(ends, possible((enum worker_step)step, WORKER_STOPPED));
	}
	for (unsigned step = WORKER_OVER; step <= WORKER_OVER_HEARD; step++)
		assert_true(possible((enum worker_step)step, WORKER_IS_GONE));
}

/* What a worker and its app are, told without the table. */
struct model {
	bool lives, gone, message;
	bool app_coming, app_lives, app_there, app_was;
};

/* Can event come from processes like that? */
static bool may_come(const struct model *model, enum worker_event event)
{
	switch (event) {
	case WORKER_BEGINS:
		return model->lives && !model->message;
	case WORKER_WANTS_APP:
	case WORKER_WANTS_NO_APP:
	case WORKER_ENDED_WELL:
	case WORKER_ENDED_BADLY:
		return model->lives;
	case WORKER_APP_ENDED:
		return model->app_lives;
	case WORKER_APP_GONE:
		return model->app_there && !model->app_lives;
	case WORKER_IS_GONE:
		return !model->lives && !model->gone;
	case WORKER_STOPPED:
	case WORKER_APP_LATE:
		return true;
	case WORKER_APP_STARTED:
	case WORKER_APP_FAILED:
		return model->app_coming;
	case WORKER_EVENT_N:
		break;
	}
	return false;
}

static void follow(struct model *model, enum worker_event event)
{
	model->message = model->message || event == WORKER_BEGINS;
	if (event == WORKER_ENDED_WELL || event == WORKER_ENDED_BADLY)
		model->lives = false;
	if (event == WORKER_IS_GONE)
		model->gone = true;
	if (event == WORKER_APP_STARTED || event == WORKER_APP_FAILED)
		model->app_coming = false;
	if (event == WORKER_APP_STARTED)
		model->app_lives = model->app_there = true;
	if (event == WORKER_APP_ENDED)
		model->app_lives = false;
	if (event == WORKER_APP_GONE)
		model->app_there = false;
}

/* Take the event; what was to be done. */
static uint32_t take(enum worker_step *step, struct model *model, enum worker_event event)
{
	const struct worker_answer *answer = worker_answer(*step, event);

	if (answer->never)
		fail_msg("%s: event %d cannot come, and came", worker_step_name(*step), (int)event);
	*step = answer->next;
	follow(model, event);
	/* The app is touched only while there is one. */
	if (answer->todo & (DO_STOP_APP | DO_KILL_APP | DO_FLUSH_APP | DO_WAIT_APP))
		assert_true(model->app_there);
	if (answer->todo & (DO_STOP_WORKER | DO_REFUSE | DO_TELL_APP))
		assert_true(model->lives);
	return answer->todo;
}

static void play(unsigned *seed)
{
	struct model model = {.lives = true};
	enum worker_step step = WORKER_SPARE;
	unsigned ended = 0, spares = 0;

	for (unsigned i = 0; i < STEPS && step != WORKER_GONE; i++) {
		enum worker_event event =
			(enum worker_event)((unsigned)rand_r(seed) % WORKER_EVENT_N);
		uint32_t todo;

		if (!may_come(&model, event))
			continue;
		todo = take(&step, &model, event);
		if (todo & DO_START_APP) {
			assert_false(model.app_was);
			model.app_was = model.app_coming = true;
		}
		ended += (todo & DO_TELL_ENDED) != 0;
		spares += (todo & DO_SPARE_OVER) != 0;
		assert_int_equal((todo & DO_SETTLE) != 0,
			model.gone && !model.app_there && !model.app_coming);
	}
	if (step == WORKER_GONE) {
		assert_int_equal(ended, model.message);
		assert_int_equal(spares, !model.message);
	}
}

static void whatever_happens_the_owner_is_told_once(void **state)
{
	unsigned seed = (unsigned)clock_now_ms(), first = seed;

	print_message("seed %u\n", first);
	for (unsigned i = 0; i < ROUNDS; i++)
		play(&seed);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_pair_has_an_answer),
		TEST(nothing_happens_to_what_is_gone),
		TEST(every_end_is_expected),
		TEST(whatever_happens_the_owner_is_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
