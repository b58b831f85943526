/*
 * A node as its program sees it, with a stand-in for the session, which a test plays on the
 * engine's thread: what runs on which thread, when, and how it ends.
 */
#include "common/base/cleanup.h"
#include "common/records/items_codec.h"
#include "kit/test.h"
#include "libflwr/node/engine.h"
#include "libflwr/node/session.h"
#include "libflwr/node/task.h"

#include <flwr/client.h>

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>

/* ---- the session ---- */

struct play {
	struct session session;
	struct session_options options;
	struct task *task;
	struct slices kept;  /* of the last reply, as a network would */
	struct slices state; /* of the Context, encoded */
	bool keep;
	int stops, skipped;
};

static struct {
	struct play *play; /* the engine's thread; read by the test when that is at rest */
	int refuse;        /* what session_bidi_new() returns */
	bool hopeless;     /* a session ends at once */
	atomic_int gone, made;
} world;

static struct play *play_of(struct session *session)
{
	return container_of(session, struct play, session);
}

static void play_answered(struct session *session, struct task *task)
{
	struct play *play = play_of(session);

	if (play->keep && task->reply.n && task->reply.v[0].n_arrays)
		assert_int_equal(
			slices_append_refs(&play->kept, &task->reply.v[0].arrays[0].data), 0);
	if (!task->result) {
		slices_done(&play->state);
		assert_int_equal(items_encode(&task->state, &play->state), 0);
	}
	play->skipped += task->skipped;
	if (task->result && !task->skipped)
		play->options.ended(play->options.arg, task->result, task->sentence);
	task_unref(task);
}

static void play_stop(struct session *session)
{
	struct play *play = play_of(session);

	play->stops++;
	play->options.ended(play->options.arg, 0, "");
}

static void play_abandon(struct session *session)
{
	struct play *play = play_of(session);
	const struct session_options options = play->options;

	log_info(options.log, "abandoned");
	slices_done(&play->kept);
	slices_done(&play->state);
	free(play);
	world.play = NULL;
	world.gone++;
	options.gone(options.arg);
}

static const struct session_ops ops = {
	.answered = play_answered, .stop = play_stop, .abandon = play_abandon};

int session_bidi_new(
	const struct session_options *options, struct session **out, struct reason *why)
{
	struct play *play;

	world.made++;
	if (world.refuse)
		return reason_code(why, world.refuse, "no way");
	play = calloc(1, sizeof *play);
	play->session.ops = &ops;
	play->options = *options;
	world.play = play;
	*out = &play->session;
	if (world.hopeless)
		options->ended(options->arg, FLWR_E_CONNECT, "nobody is there");
	return 0;
}

int session_superlink_new(
	const struct session_options *options, struct session **out, struct reason *why)
{
	return session_bidi_new(options, out, why);
}

/* ---- the engine's thread does what the test wants ---- */

struct errand {
	struct loop_work work;
	void (*run)(void);
	sem_t done;
};

static void errand_run(struct loop_work *work)
{
	struct errand *errand = container_of(work, struct errand, work);

	errand->run();
	sem_post(&errand->done);
}

/* Also waits for all that was posted before. */
static void on_engine(void (*run)(void))
{
	struct errand errand = {.work.run = errand_run, .run = run};
	struct engine *engine = NULL;
	struct reason why = {0};

	sem_init(&errand.done, 0, 0);
	assert_int_equal(engine_hold(&engine, &why), 0);
	loop_post(engine->loop, &errand.work);
	sem_wait(&errand.done);
	engine_release(engine);
	sem_destroy(&errand.done);
}

static void nothing(void)
{
}

static void send_task(void)
{
	struct play *play = world.play;
	struct task *task = task_new(play->options.mailbox, &play->session);
	struct record *config;

	assert_non_null(task);
	task->metadata.message_type = strdup("get_parameters");
	task->metadata.message_id = strdup("m");
	task->metadata.group_id = strdup("1");
	task->node_id = 42;
	config = record_dict_add(&task->content, "getparametersins.config", RECORD_CONFIGS);
	assert_non_null(config);
	assert_int_equal(items_decode(&play->state, &task->state, NULL), 0);
	play->task = task;
	mailbox_task(play->options.mailbox, task);
}

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

/* ---- the program ---- */

struct program {
	struct flwr_node *node;
	pthread_t thread; /* of the last callback */
	char lines[2000];
	int calls, releases;
	enum flwr_node_state state_inside;
	int step_inside;
	bool stop_inside, stopping_before, stopping_after;
	void (*inside)(void);
	bool fail;
	bool fail_in_lines;
	bool keep_state; /* as large as travels by reference */
};

static struct program program;
static double numbers[2] = {1, 2};

static void take_line(int level, double time_s, const char *line, void *user)
{
	struct program *own = user;
	size_t len = strlen(own->lines);

	own->thread = pthread_self();
	if (own->fail_in_lines)
		flwr_fail("of a line");
	assert_true(time_s > 1e9);
	snprintf(own->lines + len, sizeof own->lines - len, "%d %s\n", level, line);
}

static void release(void *user)
{
	struct program *own = user;

	own->releases++;
	own->thread = pthread_self();
}

/* The state counts. */
static void count(struct flwr_context *context)
{
	const int64_t shape = 1000;
	struct flwr_record *record = flwr_dict_add(context->state, "s", FLWR_ARRAYS);
	double *data = flwr_get_array(record, "a")
			       ? flwr_edit_data(record, "a", FLWR_FLOAT64, NULL)
			       : flwr_new_array(record, "a", FLWR_FLOAT64, 1, &shape);

	assert_non_null(data);
	assert_true(data[999] == program.calls - 1);
	data[999]++;
}

static int get_parameters(const struct flwr_ins *ins, struct flwr_res *res)
{
	const int64_t two = 2;
	struct program *own = ins->user;

	own->calls++;
	own->thread = pthread_self();
	own->state_inside = flwr_node_get_state(own->node);
	own->step_inside = flwr_node_step(own->node);
	own->stopping_before = flwr_stopping(ins->context);
	if (own->inside)
		own->inside();
	if (own->keep_state)
		count(ins->context);
	if (own->stop_inside)
		flwr_node_stop(own->node);
	flwr_log(ins->context, FLWR_LOG_INFO, "from the method");
	own->stopping_after = flwr_stopping(ins->context);
	flwr_set_array_ref(
		res->parameters, "a", FLWR_FLOAT64, 1, &two, NULL, numbers, release, own);
	return own->fail ? flwr_fail("no data") : 0;
}

static struct flwr_client client = {
	.size = sizeof client, .user = &program, .get_parameters = get_parameters};

static struct flwr_options options_of(void)
{
	return (struct flwr_options){.size = sizeof(struct flwr_options),
		.server_address = "localhost:1",
		.client = &client,
		.log = take_line,
		.log_user = &program};
}

static int setup(void **state)
{
	const struct flwr_options options = options_of();

	memset(&program, 0, sizeof program);
	world.play = NULL;
	world.refuse = 0;
	world.hopeless = false;
	world.gone = world.made = 0;
	return flwr_node_new(&options, &program.node);
}

static int teardown(void **state)
{
	flwr_node_free(program.node);
	return 0;
}

static int step(void)
{
	return flwr_node_step(program.node);
}

static bool readable(void)
{
	struct pollfd fd = {.fd = flwr_node_fd(program.node), .events = POLLIN};

	return poll(&fd, 1, 0) == 1;
}

static void start(void)
{
	assert_true(readable());
	assert_int_equal(step(), 0);
	on_engine(nothing);
	assert_non_null(world.play);
}

/* ---- tests ---- */

static void a_node_that_is_not_run(void **state)
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

static void steps(void **state)
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
static void a_state_that_stays(void **state)
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

static void a_task_that_nobody_works_on(void **state)
{
	start();
	on_engine(send_task);
	flwr_node_free(program.node);
	program.node = NULL;
	assert_int_equal(program.calls, 0);
	assert_int_equal(world.gone, 1);
}

static void a_method_that_fails(void **state)
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

static void stopped_at_work(void **state)
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

static void not_wanted_any_more(void **state)
{
	start();
	program.inside = unwant_task;
	on_engine(send_task);
	assert_int_equal(step(), 0);
	assert_true(program.stopping_after);
	assert_int_equal(flwr_node_get_state(program.node), FLWR_NODE_CONNECTING);
}

/* The program has stepped its node too late: its method is not called. */
static void not_wanted_before_its_turn(void **state)
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

static void stop_before_the_first_step(void **state)
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

static void stopped_by_a_signal(void **state)
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

static void stopped_by_another_thread(void **state)
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

static void a_session_that_cannot_be(void **state)
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

static void started_clients(void **state)
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

/* ... whatever is called while the node is freed. */
static void a_started_client_says_why_it_ended(void **state)
{
	struct flwr_options options = options_of();

	world.hopeless = true;
	program.fail_in_lines = true;
	assert_int_equal(flwr_start_client(&options), FLWR_E_CONNECT);
	assert_string_equal(flwr_error(), "nobody is there");
	assert_non_null(strstr(program.lines, "abandoned"));
}

#define RIG_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(a_node_that_is_not_run),
		RIG_TEST(steps),
		RIG_TEST(lines_come_on_this_thread),
		RIG_TEST(what_was_given_by_reference_is_released_here),
		RIG_TEST(a_state_that_stays),
		RIG_TEST(a_task_that_nobody_works_on),
		RIG_TEST(a_method_that_fails),
		RIG_TEST(stopped_at_work),
		RIG_TEST(not_wanted_any_more),
		RIG_TEST(not_wanted_before_its_turn),
		RIG_TEST(stop_before_the_first_step),
		RIG_TEST(stopped_by_a_signal),
		RIG_TEST(stopped_by_another_thread),
		RIG_TEST(a_session_that_cannot_be),
		RIG_TEST(options_are_checked_and_copied),
		RIG_TEST(started_clients),
		RIG_TEST(a_started_client_says_why_it_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
