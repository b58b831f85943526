#include "rig.h"

struct world world;
struct rig rig;

/* ---- the stand-ins ---- */

void fleet_stop(struct fleet *fleet, void (*done)(void *arg), void *arg)
{
	world.fleet_left = done;
	world.arg = arg;
}

void fleet_drop_content(struct fleet *fleet, uint64_t number)
{
}

void fleet_poke(struct fleet *fleet)
{
	world.pokes++;
}

bool fleet_is_online(const struct fleet *fleet)
{
	return world.online;
}

int fleet_get_run(struct fleet *fleet, uint64_t run_id, fleet_run_fn *done, void *arg)
{
	assert_ptr_equal(arg, &rig.node.uplink);
	world.run_done = done;
	return 0;
}

int fleet_get_fab(
	struct fleet *fleet, uint64_t run_id, const char *hash, fleet_fab_fn *done, void *arg)
{
	assert_string_equal(hash, HASH);
	free(world.fab_arg);
	world.fab_done = done;
	world.fab_arg = arg;
	return 0;
}

int fleet_push(struct fleet *fleet, const struct fleet_push *push)
{
	const struct envelope *reply = &push->reply->envelope;

	world.pushes++;
	world.pushed = push->done;
	world.pushed_message = push->number;
	world.pushed_code = reply->has_error ? reply->error_code : 0;
	return 0;
}

const char *workers_address(const struct workers *workers)
{
	return "127.0.0.1:9094";
}

void workers_offer(struct workers *workers)
{
	world.offers++;
}

void workers_stop(struct workers *workers, int64_t grace_ms, void (*done)(void *arg), void *arg)
{
	world.workers_left = done;
}

void health_set(struct health *health, bool serving)
{
	world.serving = serving;
}

void health_stop(struct health *health, int64_t grace_ms, void (*done)(void *arg), void *arg)
{
	world.health_left = done;
}

int runner_start(struct runner *runner, const struct runner_task *task, struct reason *why)
{
	world.starts++;
	world.started = task->message;
	return world.start_result ? reason_code(why, world.start_result, "no process") : 0;
}

void runner_ready(struct runner *runner, uint64_t message)
{
}

void runner_stop(struct runner *runner, uint64_t message, int64_t grace_ms)
{
	assert_int_equal(message, world.started);
	assert_int_equal(grace_ms, WORKER_GRACE_MS);
	world.stops++;
}

void runner_stop_all(struct runner *runner, int64_t grace_ms)
{
	world.all_stopped++;
}

void launcher_process_ready(struct launcher_process *launcher)
{
	fail_msg("the node has no launcher");
}

void launcher_process_stop(struct launcher_process *launcher, int64_t grace_ms)
{
	fail_msg("the node has no launcher");
}

int fab_checks_start(struct fab_checks *checks, uint64_t run_id, struct unchecked_fab *fab,
	fab_check_fn *done, void *arg)
{
	slices_done(&fab->content);
	if (world.check_result)
		return world.check_result;
	value_map_done(&fab->verifications);
	snprintf(world.checked_hash, sizeof world.checked_hash, "%s", fab->hash);
	assert_ptr_equal(arg, &rig.node);
	world.check_done = done;
	return 0;
}

void fab_checks_stop(struct fab_checks *checks)
{
	world.checks_stopped++;
}

unsigned fab_checks_count(const struct fab_checks *checks)
{
	return world.checks;
}

void agent_stop_spare(struct agent *agent)
{
	world.spares_stopped++;
}

void agent_run_ended(struct agent *agent, uint64_t run_id)
{
	(void)agent;
	(void)run_id;
}

unsigned agent_count(const struct agent *agent)
{
	return world.apps;
}

uint64_t spool_passed_bytes(const struct spool *spool)
{
	return world.spooled_bytes;
}

void spool_trim_later(struct spool *spool, int64_t ms)
{
}

static void trim(void)
{
	world.trims++;
}

/* ---- the node ---- */

static const struct supernode_options told = {.launch = {.grace_ms = GRACE_MS}, .trim = trim};

static void rig_open(const struct node_options *options)
{
	struct supernode *node = &rig.node;

	memset(&world, 0, sizeof world);
	memset(&rig, 0, sizeof rig);
	kit_log_init(&rig.log, "supernode", LOG_LEVEL_DEBUG);
	fixture_open(&rig.f, options);
	node->log = rig.log.log;
	node->node = rig.f.node;
	node->budget = rig.f.budget;
	node->options = &told;
	node->uplink = (struct uplink){
		.log = node->log, .node = node->node, .ops = &pump_uplink, .arg = node};
	/* Only looked at. */
	node->runner = options->workers_come ? NULL : (struct runner *)&world;
	node->agent = options->workers_come ? NULL : (struct agent *)&world;
	node->health = (struct health *)&world;
	assert_int_equal(loop_new(&node->loop), 0);
	node->tick = timer_new(node->loop, pump_tick, node);
	node->end = timer_new(node->loop, stopping_over, node);
	node->offers = timer_new(node->loop, pump_say_offer, node);
	node->trim_timer = timer_new(node->loop, pump_trim, node);
	node->health_timer = timer_new(node->loop, pump_health, node);
	kit_clock_start(node->loop);
	rig.f.now = supernode_now();
	supernode_pump(node);
}

int rig_setup(void **state)
{
	rig_open(&(struct node_options){.slots = 1});
	return 0;
}

int rig_setup_coming(void **state)
{
	rig_open(&(struct node_options){.slots = 1, .workers_come = true});
	return 0;
}

int rig_teardown(void **state)
{
	struct supernode *node = &rig.node;

	free(world.fab_arg);
	kit_clock_done();
	timer_free(node->tick);
	timer_free(node->end);
	timer_free(node->offers);
	timer_free(node->trim_timer);
	timer_free(node->health_timer);
	loop_free(node->loop);
	fixture_done(&rig.f);
	kit_log_done(&rig.log);
	return 0;
}

void message_comes(void)
{
	rig.f.now = supernode_now();
	give_message(&rig.f, 1, TTL_S);
	supernode_pump(&rig.node);
}

void come(void)
{
	message_comes();
	give_run(&rig.f, 1, HASH, NULL);
	supernode_pump(&rig.node);
	give_fab(&rig.f, 1, 100);
	supernode_pump(&rig.node);
}

void pushed(enum outcome outcome)
{
	world.pushed(&rig.node.uplink, world.pushed_message, outcome, "said so");
}

void gone(void)
{
	runner_events.gone(&rig.node, world.started);
}

void parts_leave(void)
{
	assert_non_null(world.fleet_left);
	world.fleet_left(&rig.node);
	world.workers_left(&rig.node);
	assert_int_equal(rig.node.phase, PHASE_LEAVING);
	world.health_left(&rig.node);
}
