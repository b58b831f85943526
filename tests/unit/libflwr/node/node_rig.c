#include "node_rig.h"

#include "common/records/items_codec.h"

#include <poll.h>
#include <semaphore.h>

struct world world;

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

void on_engine(void (*run)(void))
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

void nothing(void)
{
}

void send_task(void)
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

/* ---- the program ---- */

struct program program;
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

struct flwr_options options_of(void)
{
	return (struct flwr_options){.size = sizeof(struct flwr_options),
		.server_address = "localhost:1",
		.client = &client,
		.log = take_line,
		.log_user = &program};
}

int setup(void **state)
{
	const struct flwr_options options = options_of();

	memset(&program, 0, sizeof program);
	world.play = NULL;
	world.refuse = 0;
	world.hopeless = false;
	world.gone = world.made = 0;
	return flwr_node_new(&options, &program.node);
}

int teardown(void **state)
{
	flwr_node_free(program.node);
	return 0;
}

int step(void)
{
	return flwr_node_step(program.node);
}

bool readable(void)
{
	struct pollfd fd = {.fd = flwr_node_fd(program.node), .events = POLLIN};

	return poll(&fd, 1, 0) == 1;
}

void start(void)
{
	assert_true(readable());
	assert_int_equal(step(), 0);
	on_engine(nothing);
	assert_non_null(world.play);
}
