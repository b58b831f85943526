/*
 * A node as its program sees it: what runs on which thread, when, and how it ends.
 */
#include "node_rig.h"

#include <signal.h>

static void unwant_task(void)
{
	atomic_store(&world.play->task->unwanted, true);
}

static void keep_replies(void)
{
	world.play->keep = true;
}

static void drop_replies(void)
{
	slices_done(&world.play->kept);
}

static void get_ready(void)
{
	world.play->options.ready(world.play->options.arg, true, 4711);
}

static void be_gone(void)
{
	world.play->options.ended(world.play->options.arg, FLWR_E_CONNECT, "nobody is there");
}

static void say_something(void)
{
	log_info(world.play->options.log, "from the engine");
}

static void a_node_that_is_not_run_makes_no_session(void **state)
{
	assert_int_equal(flwr_node_get_state(program.node), FLWR_NODE_NEW);
	assert_int_equal(flwr_node_id(program.node), 0);
	flwr_node_free(program.node);
	program.node = NULL;
	assert_int_equal(world.made, 0);
	flwr_node_free(NULL);
	flwr_node_stop(NULL);
	assert_int_equal(flwr_node_step(NULL), FLWR_E_ARGUMENT);
	assert_int_equal(flwr_node_run(NULL), FLWR_E_ARGUMENT);
	assert_int_equal(flwr_node_fd(NULL), -1);
	assert_int_equal(flwr_node_get_state(NULL), FLWR_NODE_ENDED);
	assert_int_equal(flwr_node_id(NULL), 0);
}

static void a_step_calls_the_method_on_this_thread(void **state)
{
	start();
	assert_int_equal(flwr_node_get_state(program.node), FLWR_NODE_CONNECTING);
	assert_false(readable());
	on_engine(get_ready);
	assert_int_equal(flwr_node_get_state(program.node), FLWR_NODE_READY);
	assert_int_equal(flwr_node_id(program.node), 4711);
	on_engine(send_task);
	assert_true(readable());
	assert_int_equal(program.calls, 0);
	assert_int_equal(step(), 0);
	assert_int_equal(program.calls, 1);
	assert_true(pthread_equal(program.thread, pthread_self()));
	assert_int_equal(program.state_inside, FLWR_NODE_WORKING);
	assert_int_equal(program.step_inside, FLWR_E_STATE);
	assert_false(program.stopping_before);
	assert_int_equal(flwr_node_get_state(program.node), FLWR_NODE_READY);
	on_engine(be_gone);
	assert_int_equal(step(), FLWR_E_CONNECT);
	assert_string_equal(flwr_error(), "nobody is there");
	assert_int_equal(flwr_node_get_state(program.node), FLWR_NODE_ENDED);
	assert_int_equal(step(), FLWR_E_STATE);
}

/* Also while the program's method works. */
static void lines_come_on_this_thread(void **state)
{
	start();
	on_engine(say_something);
	assert_string_equal(program.lines, "");
	assert_int_equal(step(), 0);
	assert_string_equal(program.lines, "3 from the engine\n");
	program.lines[0] = '\0';
	program.inside = say_something; /* the engine is at rest: nobody else is in there */
	on_engine(send_task);
	assert_int_equal(step(), 0);
	assert_string_equal(program.lines, "3 from the engine\n3 from the method\n");
	assert_true(pthread_equal(program.thread, pthread_self()));
}

static void what_was_given_by_reference_is_released_here(void **state)
{
	start();
	on_engine(keep_replies);
	on_engine(send_task);
	assert_int_equal(step(), 0);
	on_engine(nothing);
	assert_int_equal(step(), 0);
	assert_int_equal(program.releases, 0);
	on_engine(drop_replies);
	assert_int_equal(program.releases, 0);
	assert_true(readable());
	memset(&program.thread, 0, sizeof program.thread);
	assert_int_equal(step(), 0);
	assert_int_equal(program.releases, 1);
	assert_true(pthread_equal(program.thread, pthread_self()));
	/* And with the node, when it is freed before. */
	on_engine(send_task);
	assert_int_equal(step(), 0);
	flwr_node_free(program.node);
	program.node = NULL;
	assert_int_equal(program.releases, 2);
	assert_int_equal(world.gone, 1);
}

/* The state of the run, which is kept, does not hold the arrays of the reply. */
static void a_kept_state_holds_no_array_of_the_reply(void **state)
{
	start();
	program.keep_state = true;
	for (int n = 1; n <= 3; n++) {
		on_engine(send_task);
		assert_int_equal(step(), 0);
		assert_int_equal(program.calls, n);
		on_engine(nothing);
		assert_int_equal(step(), 0);
		assert_int_equal(program.releases, n);
	}
}

static void a_task_may_be_left_over(void **state)
{
	start();
	on_engine(send_task);
	flwr_node_free(program.node);
	program.node = NULL;
	assert_int_equal(program.calls, 0);
	assert_int_equal(world.gone, 1);
}

static void a_failed_method_ends_the_node(void **state)
{
	start();
	program.fail = true;
	on_engine(send_task);
	assert_int_equal(step(), 0);
	on_engine(nothing);
	assert_int_equal(step(), FLWR_E_APP);
	assert_string_equal(flwr_error(), "no data");
	assert_int_equal(program.releases, 1);
}

static void a_node_may_be_stopped_at_work(void **state)
{
	start();
	program.stop_inside = true;
	on_engine(send_task);
	assert_int_equal(step(), 0);
	assert_false(program.stopping_before);
	assert_true(program.stopping_after);
	on_engine(nothing);
	assert_int_equal(world.play->stops, 1);
	assert_int_equal(step(), FLWR_ENDED);
	flwr_node_stop(program.node); /* again */
	on_engine(nothing);
	assert_int_equal(world.play->stops, 1);
}

static void a_method_sees_that_its_reply_is_unwanted(void **state)
{
	start();
	program.inside = unwant_task;
	on_engine(send_task);
	assert_int_equal(step(), 0);
	assert_true(program.stopping_after);
	assert_int_equal(flwr_node_get_state(program.node), FLWR_NODE_CONNECTING);
}

/* The program has stepped its node too late: its method is not called. */
static void a_task_unwanted_before_its_turn_is_skipped(void **state)
{
	start();
	on_engine(send_task);
	on_engine(unwant_task);
	assert_int_equal(step(), 0);
	assert_int_equal(program.calls, 0);
	on_engine(nothing);
	assert_int_equal(world.play->skipped, 1);
	assert_int_equal(step(), 0);
	on_engine(send_task);
	assert_int_equal(step(), 0);
	assert_int_equal(program.calls, 1);
}

static void a_node_may_be_stopped_before_its_first_step(void **state)
{
	flwr_node_stop(program.node);
	assert_int_equal(flwr_node_get_state(program.node), FLWR_NODE_STOPPING);
	assert_int_equal(flwr_node_run(program.node), 0);
	assert_int_equal(world.play->stops, 1);
	assert_int_equal(flwr_node_run(program.node), FLWR_E_STATE);
}

static void on_alarm(int number)
{
	flwr_node_stop(program.node);
}

static void a_signal_handler_may_stop_a_node(void **state)
{
	struct sigaction action = {.sa_handler = on_alarm}, before;

	sigaction(SIGALRM, &action, &before);
	alarm(1);
	errno = 4711;
	assert_int_equal(flwr_node_run(program.node), 0);
	sigaction(SIGALRM, &before, NULL);
	errno = 4711;
	on_alarm(SIGALRM);
	assert_int_equal(errno, 4711);
}

static void *run_node(void *arg)
{
	return (void *)(intptr_t)flwr_node_run(arg);
}

static void another_thread_may_stop_a_node(void **state)
{
	pthread_t thread;
	void *result;

	assert_int_equal(pthread_create(&thread, NULL, run_node, program.node), 0);
	while (flwr_node_get_state(program.node) == FLWR_NODE_NEW)
		sched_yield();
	flwr_node_stop(program.node);
	pthread_join(thread, &result);
	assert_null(result);
}

static void a_session_that_cannot_be_made_ends_the_node(void **state)
{
	world.refuse = -EINVAL;
	assert_int_equal(flwr_node_run(program.node), FLWR_E_SYSTEM);
	assert_string_equal(flwr_error(), "no way");
}

static void options_are_checked_and_copied(void **state)
{
	struct flwr_options options = options_of();
	struct flwr_node *node = (struct flwr_node *)&options;
	char address[] = "localhost:2";

	options.size = 8;
	assert_int_equal(flwr_node_new(&options, &node), FLWR_E_VERSION);
	assert_null(node);
	assert_int_equal(flwr_node_new(NULL, &node), FLWR_E_ARGUMENT);
	assert_int_equal(flwr_node_new(&options, NULL), FLWR_E_ARGUMENT);
	options = options_of();
	options.server_address = address;
	assert_int_equal(flwr_node_new(&options, &node), 0);
	memset(address, 'x', sizeof address);
	flwr_node_free(node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(a_node_that_is_not_run_makes_no_session),
		RIG_TEST(a_step_calls_the_method_on_this_thread),
		RIG_TEST(lines_come_on_this_thread),
		RIG_TEST(what_was_given_by_reference_is_released_here),
		RIG_TEST(a_kept_state_holds_no_array_of_the_reply),
		RIG_TEST(a_task_may_be_left_over),
		RIG_TEST(a_failed_method_ends_the_node),
		RIG_TEST(a_node_may_be_stopped_at_work),
		RIG_TEST(a_method_sees_that_its_reply_is_unwanted),
		RIG_TEST(a_task_unwanted_before_its_turn_is_skipped),
		RIG_TEST(a_node_may_be_stopped_before_its_first_step),
		RIG_TEST(a_signal_handler_may_stop_a_node),
		RIG_TEST(another_thread_may_stop_a_node),
		RIG_TEST(a_session_that_cannot_be_made_ends_the_node),
		RIG_TEST(options_are_checked_and_copied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
