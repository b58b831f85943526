/*
 * session_superlink: fleet, core and uplink as in the supernode, and in the place of workers the
 * thread that runs the node: NODE_START_WORKER makes a task (inputs.c), its answer is encoded
 * (outputs.c) and given to the core as a worker's would be.
 *
 * Stopping: DRAINING (the task that is out is answered, its reply pushed), LINGERING (the ServerApp
 * may fetch that), LEAVING (the SuperLink is told), OVER.
 */
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "libflwr/node/superlink_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define POLL_MIN_MS   100 /* as flower-supernode's defaults */
#define POLL_MAX_MS   3000
#define ANSWER_MS     5000 /* for the last reply's way, when the session stops */
#define FETCH_MS      4000 /* then for the ServerApp to fetch it: as supernode/stopping.c */
#define SPOOL_KEEP_MS 600000

#define STOPPED "the node was stopped"

/* ---- the end of it ---- */

static void superlink_end(struct superlink *superlink)
{
	superlink->phase = SUPERLINK_OVER;
	timer_set(superlink->end, CLOCK_NEVER);
	superlink->options.ready(superlink->options.arg, false, 0);
	superlink->options.ended(
		superlink->options.arg, superlink->result, superlink->sentence.text);
}

static void on_left(void *arg)
{
	struct superlink *superlink = arg;

	superlink->fleet_ended = true;
	superlink_end(superlink);
}

static void leave(struct superlink *superlink)
{
	superlink->phase = SUPERLINK_LEAVING;
	timer_set(superlink->end, CLOCK_NEVER);
	/* A pull that is out may still bring a message: nobody would work on it any more. */
	node_give_up(superlink->node, uplink_now(), STOPPED);
	fleet_stop(superlink->fleet, on_left, superlink);
}

static void linger(struct superlink *superlink)
{
	int64_t answered_ms = superlink->uplink.answered_ms;
	int64_t until_ms = clock_after(answered_ms, FETCH_MS);

	if (!answered_ms || until_ms <= clock_now_ms()) {
		leave(superlink);
		return;
	}
	superlink->phase = SUPERLINK_LINGERING;
	timer_set(superlink->end, until_ms);
}

/* The program's functions are not hurried: the time for the reply begins with the answer. */
static void look_drained(struct superlink *superlink)
{
	bool works = superlink->task || superlink->outputs;

	if (superlink->phase != SUPERLINK_DRAINING)
		return;
	if (node_count(superlink->node).messages == 0) {
		linger(superlink);
	} else if (works != superlink->waits) {
		superlink->waits = works;
		timer_set(superlink->end,
			works ? CLOCK_NEVER : clock_after(clock_now_ms(), ANSWER_MS));
	}
}

static void on_phase_over(void *arg)
{
	struct superlink *superlink = arg;

	if (superlink->phase == SUPERLINK_DRAINING)
		log_warn(superlink->log, "stopping: a reply could not be sent");
	leave(superlink);
}

static void superlink_stop(struct session *session)
{
	struct superlink *superlink = superlink_of(session);

	if (superlink->phase != SUPERLINK_WORKING)
		return;
	log_info(superlink->log, "stopping");
	superlink->phase = SUPERLINK_DRAINING;
	superlink->waits = true;
	node_close(superlink->node);
	superlink_pump(superlink);
}

/* ---- what the core decides ---- */

static void do_fetch_run(struct superlink *superlink, const struct node_action *action)
{
	uplink_fetch_run(&superlink->uplink, action);
}

/* The core runs without FABs. */
static void do_fetch_fab(struct superlink *superlink, const struct node_action *action)
{
	node_fab_fetched(superlink->node, uplink_now(),
		&(struct node_fetched){action->run_id, NODE_FETCH_REFUSED, "no FAB is taken"},
		NULL);
}

/* One message is at work at a time. */
static void do_run_overlaps(struct superlink *superlink, const struct node_action *action)
{
	(void)superlink;
	(void)action;
}

static void do_start_worker(struct superlink *superlink, const struct node_action *action)
{
	struct task *task = NULL;
	struct reason why = {.text = "no memory for the message"};
	int64_t code = ERROR_CODE_CLIENT_APP_CRASHED;
	int r = inputs_task(superlink, action, &task, &code, &why);

	if (r == 0) {
		superlink->task = task;
		mailbox_task(superlink->options.mailbox, task);
		return;
	}
	task_unref(task);
	node_worker_ended(superlink->node, uplink_now(), action->message, code, why.text);
	node_worker_gone(superlink->node, uplink_now(), action->message);
}

/* A function of the program cannot be ended: the slot is taken until it returns. */
static void do_stop_worker(struct superlink *superlink, const struct node_action *action)
{
	if (superlink->task && superlink->task->number == action->message)
		atomic_store(&superlink->task->unwanted, true);
}

static void do_push_reply(struct superlink *superlink, const struct node_action *action)
{
	uplink_push_reply(&superlink->uplink, action);
}

static void do_finished(struct superlink *superlink, const struct node_action *action)
{
	uplink_finished(&superlink->uplink, action);
	spool_trim_later(superlink->options.engine->spool, SPOOL_KEEP_MS);
}

static void (*const does[NODE_ACTION_N])(struct superlink *, const struct node_action *) = {
	[NODE_FETCH_RUN] = do_fetch_run,
	[NODE_FETCH_FAB] = do_fetch_fab,
	[NODE_RUN_OVERLAPS] = do_run_overlaps,
	[NODE_START_WORKER] = do_start_worker,
	[NODE_STOP_WORKER] = do_stop_worker,
	[NODE_PUSH_REPLY] = do_push_reply,
	[NODE_FINISHED] = do_finished,
};

void superlink_pump(struct superlink *superlink)
{
	struct node_action action;

	/* An action may be an event itself; the loop below then sees what follows from it. */
	if (superlink->pumping || superlink->fleet_ended)
		return;
	superlink->pumping = true;
	while (node_next_action(superlink->node, &action))
		does[action.kind](superlink, &action);
	superlink->pumping = false;
	timer_set(superlink->tick, node_next_ms(superlink->node));
	superlink->options.ready(
		superlink->options.arg, fleet_is_online(superlink->fleet), superlink->node_id);
	if (superlink->phase == SUPERLINK_WORKING)
		fleet_poke(superlink->fleet);
	look_drained(superlink);
}

static void on_tick(void *arg)
{
	struct superlink *superlink = arg;

	node_tick(superlink->node, uplink_now());
	superlink_pump(superlink);
}

/* ---- what comes from the SuperLink ---- */

static void on_changed(void *arg)
{
	superlink_pump(arg);
}

static void on_told_to_end(void *arg)
{
	struct superlink *superlink = arg;

	superlink_stop(&superlink->session);
}

static void on_over(void *arg, enum fleet_over over, const char *sentence)
{
	static const int results[] = {
		[FLEET_OVER_TOLD] = FLWR_OK,
		[FLEET_OVER_LOST] = FLWR_E_CONNECT,
		[FLEET_OVER_REFUSED] = FLWR_E_REFUSED,
		[FLEET_OVER_KEY] = FLWR_E_REFUSED,
	};
	struct superlink *superlink = arg;

	if (superlink->phase >= SUPERLINK_LEAVING)
		return;
	superlink->result = results[over];
	if (superlink->result)
		reason_set(&superlink->sentence, "%s", sentence);
	else
		log_info(superlink->log, "%s", sentence);
	if (superlink->task)
		atomic_store(&superlink->task->unwanted, true);
	node_close(superlink->node);
	leave(superlink);
	superlink_pump(superlink);
}

static const struct uplink_ops uplink_ops = {
	.changed = on_changed, .told_to_end = on_told_to_end, .over = on_over};

/* The registration is the session's to know, too. */
static void on_registered(void *arg, uint64_t node_id)
{
	struct superlink *superlink = container_of(arg, struct superlink, uplink);

	superlink->node_id = node_id;
	uplink_events.registered(arg, node_id);
}

static void on_lost(void *arg)
{
	struct superlink *superlink = container_of(arg, struct superlink, uplink);

	superlink->node_id = 0;
	uplink_events.lost(arg);
}

/* ---- its life ---- */

static int new_node(struct superlink *superlink)
{
	superlink->node = node_new(&(struct node_options){
		.node_config = &superlink->options.settings->node_config,
		.slots = 1,
		.without_fab = true,
		.budget = &superlink->options.engine->budget,
		.random = random_u64,
	});
	superlink->tick = timer_new(superlink->options.engine->loop, on_tick, superlink);
	superlink->end = timer_new(superlink->options.engine->loop, on_phase_over, superlink);
	return superlink->node && superlink->tick && superlink->end ? 0 : -ENOMEM;
}

static int new_fleet(struct superlink *superlink)
{
	struct settings *settings = superlink->options.settings;
	struct engine *engine = superlink->options.engine;
	struct connector *connector;
	int r = connector_new(engine->rpc, engine->http, superlink->log,
		&(struct connector_options){.address = settings->address,
			.ca_pem = settings->ca_pem,
			.receive_max_bytes = settings->message_max_bytes,
			.memory_max_bytes = engine->budget.limit_bytes},
		&connector);

	if (r)
		return r;
	superlink->events = uplink_events;
	superlink->events.registered = on_registered;
	superlink->events.lost = on_lost;
	return fleet_new(
		&(struct fleet_options){
			.link = {.loop = engine->loop,
				.log = superlink->log,
				.connector = connector,
				.key = take_pointer(&settings->key),
				.transport = settings->transport,
				.retry = settings->retry,
				.random01 = random_01},
			.spool = engine->spool,
			.budget = &engine->budget,
			.poll_min_ms = POLL_MIN_MS,
			.poll_max_ms = POLL_MAX_MS,
			.ops = &superlink->events,
			.arg = &superlink->uplink,
		},
		&superlink->fleet);
}

static void superlink_free(struct superlink *superlink)
{
	fleet_free(superlink->fleet);
	node_free(superlink->node);
	outputs_free(superlink->outputs);
	context_done(&superlink->context);
	timer_free(superlink->tick);
	timer_free(superlink->end);
	free(superlink);
}

void superlink_look_gone(struct superlink *superlink)
{
	const struct session_options options = superlink->options;

	if (!superlink->abandoned || !superlink->fleet_ended || superlink->busy > 0)
		return;
	superlink_free(superlink);
	options.gone(options.arg);
}

static void on_abandoned(void *arg)
{
	struct superlink *superlink = arg;

	superlink->fleet_ended = true;
	superlink_look_gone(superlink);
}

static void superlink_abandon(struct session *session)
{
	struct superlink *superlink = superlink_of(session);

	superlink->abandoned = true;
	superlink->phase = SUPERLINK_OVER;
	timer_set(superlink->end, CLOCK_NEVER);
	timer_set(superlink->tick, CLOCK_NEVER);
	if (superlink->fleet_ended)
		superlink_look_gone(superlink);
	else
		fleet_abandon(superlink->fleet, on_abandoned, superlink);
}

static const struct session_ops ops = {
	.answered = superlink_answered, .stop = superlink_stop, .abandon = superlink_abandon};

int session_superlink_new(
	const struct session_options *options, struct session **out, struct reason *why)
{
	struct superlink *superlink = calloc(1, sizeof *superlink);
	struct reason cause = {0};
	int r;

	if (!superlink)
		return -ENOMEM;
	superlink->session.ops = &ops;
	superlink->options = *options;
	superlink->log = options->log;
	r = engine_need_http(options->engine, &cause);
	if (r == 0)
		r = new_node(superlink);
	if (r == 0)
		r = new_fleet(superlink);
	if (r) {
		superlink_free(superlink);
		return reason_code(why, r, "the way to SuperLink %s cannot be opened: %s",
			options->settings->address, cause.text[0] ? cause.text : strerror(-r));
	}
	superlink->uplink = (struct uplink){.log = superlink->log,
		.node = superlink->node,
		.fleet = superlink->fleet,
		.ops = &uplink_ops,
		.arg = superlink};
	fleet_start(superlink->fleet);
	*out = &superlink->session;
	return 0;
}
