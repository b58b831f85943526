/*
 * sim_world: does what the node wants, keeps book of it, and compares the two.
 */
#include "sim/sim_world.h"

#include "common/base/clock.h"

#include <inttypes.h>
#include <string.h>

void sim_fail(const struct sim_world *world, const char *what, const char *file, int line)
{
	fprintf(stderr, "sim_node: seed %" PRIu64 ", step %u: %s:%d: does not hold: %s\n",
		world->seed, world->step, file, line, what);
	abort();
}

static uint64_t random_token(void *arg)
{
	struct sim_world *world = arg;

	/* Sometimes none, sometimes one that another message has had. */
	if (sim_one_in(world, 20))
		return 0;
	return sim_one_in(world, 20) ? 42 : sim_random(&world->random);
}

void sim_init(struct sim_world *world, struct sim_objects *objects, uint64_t seed)
{
	memset(world, 0, sizeof *world);
	world->objects = objects;
	world->seed = seed;
	world->random = seed;
	world->slots = 1 + (unsigned)sim_below(world, 5);
	world->parallel = sim_one_in(world, 4);
	world->workers_come = sim_one_in(world, 2);
	world->now = (struct node_now){1000, 1.7e9};
	world->quiet = !sim_one_in(world, 3);
	world->calm = sim_one_in(world, 2);
	world->tight = sim_one_in(world, 4);
	world->object_share = (unsigned)sim_below(world, 3);
	for (unsigned i = 0; i < SIM_RUNS; i++)
		world->runs[i].series = sim_below(world, SIM_SERIES + 1);
	budget_init(&world->budget, world->tight ? 150000 : 1 << 24);
	world->node = node_new(&(struct node_options){
		.slots = world->slots,
		.parallel_in_run = world->parallel,
		.workers_come = world->workers_come,
		.offer_ms = sim_one_in(world, 2) ? 50000 : 0,
		.worker_timeout_ms = sim_one_in(world, 2) ? 100000 : 0,
		.budget = &world->budget,
		.random = random_token,
		.random_arg = world,
	});
	sim_check(world, world->node);
}

void sim_faults(struct sim_world *world)
{
	sim_alloc_set(world->quiet ? 0 : 12, sim_random(&world->random));
}

uint64_t sim_pick(struct sim_world *world, bool (*fits)(const struct sim_message *message))
{
	uint64_t found = 0, n = 0;

	for (uint64_t i = 1; i <= world->last; i++) {
		if (fits(&world->messages[i]) && sim_below(world, ++n) == 0)
			found = i;
	}
	return found;
}

/* ---- what workers leave ---- */

static struct sim_context *context_of(struct sim_world *world, uint64_t run)
{
	uint64_t series = world->runs[run].series;

	return &world->contexts[series ? SIM_RUNS + series - 1 : run];
}

void sim_forget_run(struct sim_world *world, uint64_t run)
{
	world->runs[run] = (struct sim_run){.series = world->runs[run].series};
	for (uint64_t other = 0; other < SIM_RUNS; other++)
		world->passed[other][run] = world->passed[run][other] = 0;
	if (world->runs[run].series)
		return;
	slices_done(&world->contexts[run].bytes);
	world->contexts[run] = (struct sim_context){0};
}

void sim_keep_context(struct sim_world *world, uint64_t run, const struct slices *context)
{
	struct sim_context *left = context_of(world, run);

	slices_done(&left->bytes);
	*left = (struct sim_context){.any = true, .run = run};
	if (slices_append_refs(&left->bytes, context) < 0)
		abort();
}

void sim_check_context(struct sim_world *world, uint64_t run, const struct slices *context)
{
	const struct sim_context *left = context_of(world, run);
	struct context theirs, ours = {0};

	sim_alloc_set(0, 0);
	sim_check(world, context_decode(context, &theirs) == 0);
	if (left->any && context_decode(&left->bytes, &ours) < 0)
		abort();
	sim_check(world, theirs.run_id == run && theirs.node_id == world->node_id);
	if (!world->tight || !world->runs[run].series || theirs.state.bytes)
		sim_check(world, slices_equal(&theirs.state, &ours.state));
	/* The same run gets it as it was; another one its own configuration. */
	if (left->any && left->run == run && theirs.state.bytes)
		sim_check(world, slices_equal(context, &left->bytes));
	else if (!left->any || left->run != run)
		sim_check(world, value_map_get(&theirs.run_config, "rate"));
	context_done(&theirs);
	context_done(&ours);
}

/* ---- what the node wants ---- */

static struct sim_message *known(struct sim_world *world, const struct node_action *action)
{
	sim_check(world, action->message >= 1 && action->message <= world->last);
	sim_check(world, world->messages[action->message].known);
	sim_check(world, world->messages[action->message].run == action->run_id);
	sim_check(
		world, action->form == (world->messages[action->message].objects ? MESSAGE_OBJECTS
										 : MESSAGE_INLINE));
	return &world->messages[action->message];
}

static void do_fetch_run(struct sim_world *world, const struct node_action *action)
{
	sim_check(world, action->run_id < SIM_RUNS);
	sim_check(world, !world->runs[action->run_id].info_asked);
	world->runs[action->run_id].info_asked = true;
}

static void do_fetch_fab(struct sim_world *world, const struct node_action *action)
{
	sim_check(world, action->run_id < SIM_RUNS);
	sim_check(world, !world->runs[action->run_id].fab_asked);
	sim_check(world, strlen(action->fab_hash) == 64);
	world->runs[action->run_id].fab_asked = true;
}

static void do_run_overlaps(struct sim_world *world, const struct node_action *action)
{
	sim_check(world, action->run_id < SIM_RUNS && world->parallel && world->slots > 1);
	sim_check(world, !world->runs[action->run_id].overlap_told);
	world->runs[action->run_id].overlap_told = true;
}

static void do_start(struct sim_world *world, const struct node_action *action)
{
	struct sim_message *message = known(world, action);
	unsigned workers = 0;

	sim_check(world, !world->workers_come);
	sim_check(world, action->token != 0);
	sim_check(world, !message->started && message->pushes == 0 && !message->finished);
	for (uint64_t i = 1; i <= world->last; i++)
		workers += world->messages[i].started && !world->messages[i].gone;
	sim_check(world, workers < world->slots);
	message->started = true;
	message->token = action->token;
	world->starts[message->run]++;
}

static void do_stop(struct sim_world *world, const struct node_action *action)
{
	struct sim_message *message = known(world, action);

	sim_check(world, message->started && !message->stopped && !message->ended);
	message->stopped = true;
}

static void check_reply(struct sim_world *world, const struct held_message *reply,
	const struct sim_message *message)
{
	char id[32];

	snprintf(id, sizeof id, "m%td", message - world->messages);
	sim_check(world, reply->envelope.has_content != reply->envelope.has_error);
	sim_check(world, !reply->envelope.has_error || reply->envelope.error_reason);
	sim_check(world, reply->envelope.metadata.run_id == message->run);
	sim_check(world, strcmp(reply->envelope.metadata.reply_to_message_id, id) == 0);
	sim_check(world, strcmp(reply->envelope.metadata.message_id, "") == 0);
	sim_check(world, strcmp(reply->envelope.metadata.message_type, "train") == 0);
	sim_check(world, reply->envelope.metadata.dst_node_id == 1);
	sim_check(world, reply->envelope.metadata.ttl >= 0);
	sim_check(world, message->accepted || reply->envelope.has_error);
	sim_check(world, !reply->objects || (message->objects && reply->envelope.has_content &&
						    object_set_missing(reply->objects) == 0));
	sim_check(world, !(message->objects && reply->envelope.has_content) || reply->objects);
}

static void do_push(struct sim_world *world, const struct node_action *action)
{
	struct sim_message *message = known(world, action);

	sim_check(world, !message->finished && !message->pushing && !message->delivered);
	sim_check(world, message->pushes == 0 || (message->pushes == 1 && message->too_large));
	check_reply(world, action->reply, message);
	message->pushes++;
	message->pushing = true;
	message->too_large = false;
	message->reply = action->reply;
}

static void do_finished(struct sim_world *world, const struct node_action *action)
{
	struct sim_message *message = known(world, action);

	sim_check(world, !message->pushing && !message->finished);
	sim_check(world, (action->code >= 0) == message->delivered);
	sim_check(world, action->text && (action->code == 0 || action->text[0]));
	message->finished++;
	if (action->code == 0)
		world->delivered++;
	else if (action->code > 0)
		world->failed++;
	else
		world->dropped++;
}

static void (*const does[NODE_ACTION_N])(struct sim_world *, const struct node_action *) = {
	[NODE_FETCH_RUN] = do_fetch_run,
	[NODE_FETCH_FAB] = do_fetch_fab,
	[NODE_RUN_OVERLAPS] = do_run_overlaps,
	[NODE_START_WORKER] = do_start,
	[NODE_STOP_WORKER] = do_stop,
	[NODE_PUSH_REPLY] = do_push,
	[NODE_FINISHED] = do_finished,
};

void sim_pump(struct sim_world *world)
{
	struct node_action action;

	for (unsigned n = 0; node_next_action(world->node, &action); n++) {
		char text[256];

		sim_check(world, n < 10 * SIM_MESSAGES);
		does[action.kind](world, &action);
		node_describe(world->node, action.message, text, sizeof text);
		sim_check(world, !action.message || text[0]);
	}
}

/* ---- what must hold ---- */

static uint64_t held(const struct node *node)
{
	uint64_t bytes = 0;

	for (const struct message *message = node->messages; message; message = message->next)
		bytes += held_message_bytes(&message->instruction) +
			 held_message_bytes(&message->draft) + held_message_bytes(&message->reply);
	for (const struct node_run *run = node->runs; run; run = run->next)
		bytes += run->bytes.bytes;
	for (const struct held_context *held = node->contexts; held; held = held->next)
		bytes += held->bytes.bytes;
	/* Of a FAB its content counts, not the few bytes around it. */
	for (const struct held_fab *fab = node->fabs; fab; fab = fab->next)
		bytes += fab->reserved;
	return bytes;
}

/* What is in sets that somebody needs. */
static uint64_t spooled(const struct sim_world *world)
{
	uint64_t bytes = 0;

	for (const struct message *message = world->node->messages; message;
		message = message->next) {
		const struct object_set *const sets[] = {message->instruction.objects,
			message->draft.objects, message->reply.objects};

		for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++)
			bytes += sets[i] ? object_set_bytes(sets[i]) : 0;
	}
	for (uint64_t i = 1; i <= world->last; i++) {
		const struct object_set *set = world->messages[i].set;

		if (set && set->refs == 1)
			bytes += object_set_bytes(set);
	}
	return bytes;
}

/* The runs that have a message which could be started now, but for a slot. */
static void find_startable(struct sim_world *world, bool startable[SIM_RUNS])
{
	memset(startable, 0, SIM_RUNS * sizeof *startable);
	for (const struct message *message = world->node->messages; message;
		message = message->next) {
		if (message->state == MESSAGE_READY && !queue_blocks(world->node, message))
			startable[message->run->run_id] = true;
	}
}

/* While a run waits for a slot each other run gets one at most. */
static void check_turns(struct sim_world *world)
{
	bool startable[SIM_RUNS];

	find_startable(world, startable);
	for (uint64_t run = 0; run < SIM_RUNS; run++) {
		bool waits = startable[run] && world->waited[run] && !world->starts[run];

		for (uint64_t other = 0; other < SIM_RUNS; other++) {
			unsigned *passed = &world->passed[run][other];

			*passed = waits ? *passed + world->starts[other] : 0;
			sim_check(world, *passed <= 1);
		}
	}
	memcpy(world->waited, startable, sizeof startable);
	memset(world->starts, 0, sizeof world->starts);
}

static bool at_work(const struct message *message)
{
	return message->state >= MESSAGE_OFFERED && message->state < MESSAGE_REFUSED;
}

/* Messages of one run, and of one series, are at work one by one, those of one run in order. */
static void check_order(struct sim_world *world)
{
	for (const struct message *message = world->node->messages; message;
		message = message->next) {
		if (!at_work(message) || world->parallel)
			continue;
		for (const struct message *other = world->node->messages; other;
			other = other->next) {
			if (other == message || other->state >= MESSAGE_REFUSED)
				continue;
			sim_check(world,
				other->run != message->run ||
					(!at_work(other) && other->number > message->number));
			sim_check(world,
				!at_work(other) || other->run->context != message->run->context);
		}
	}
}

/* What is held is bounded, and a slot that has nothing to do asks for more. */
static void check_wants(struct sim_world *world, unsigned working, unsigned unsettled)
{
	bool wants = node_wants_message(world->node);

	if (world->node->registered && !world->node->closed && unsettled == 0)
		sim_check(world, wants);
	if (unsettled >= world->slots + NODE_AHEAD_MAX || working >= world->slots)
		sim_check(world, !wants);
	if (world->slots == 1 && unsettled)
		sim_check(world, !wants);
}

static void check_demand(struct sim_world *world)
{
	unsigned working = 0, unsettled = 0;

	for (const struct message *message = world->node->messages; message;
		message = message->next) {
		unsettled += message->state < MESSAGE_SETTLED;
		working += message->state < MESSAGE_SETTLED && message->worker != WORKER_NONE;
	}
	check_wants(world, working, unsettled);
}

/* Somebody will move the message on. */
static void check_message(struct sim_world *world, const struct message *message)
{
	const struct sim_message *ours = &world->messages[message->number];
	const struct sim_run *run = &world->runs[ours->run];
	unsigned used = 0;

	sim_check(world, message->number <= world->last && ours->known);
	sim_check(world, message->worker != WORKER_WANTED && message->worker != WORKER_UNWANTED);
	if (world->workers_come)
		sim_check(world, message->worker == WORKER_GUEST
					 ? message->state >= MESSAGE_OFFERED &&
						   message->state < MESSAGE_SETTLED
					 : message->worker == WORKER_NONE &&
						   (message->state < MESSAGE_OFFERED ||
							   message->state >= MESSAGE_ANSWERED));
	else
		sim_check(
			world, (message->worker != WORKER_NONE) == (ours->started && !ours->gone));
	switch (message->state) {
	case MESSAGE_COMING:
		sim_check(world, message->run && ours->set);
		break;
	case MESSAGE_WAITING:
		sim_check(world, message->run && (run->info_asked || run->fab_asked));
		break;
	case MESSAGE_READY:
		for (const struct message *m = world->node->messages; m; m = m->next)
			used += m->worker != WORKER_NONE;
		sim_check(world,
			message->run &&
				(used >= world->slots ||
					(!world->parallel && queue_blocks(world->node, message))));
		break;
	case MESSAGE_OFFERED:
		sim_check(world, world->workers_come && message->run && message->token);
		sim_check(world, !node_message_live(world->node, message->number));
		break;
	case MESSAGE_STARTED:
	case MESSAGE_WORKING:
	case MESSAGE_RETURNING:
		sim_check(world, message->run && message->worker != WORKER_NONE && !ours->ended &&
					 message->token);
		sim_check(world, node_message_live(world->node, message->number));
		break;
	case MESSAGE_PUSHING:
	case MESSAGE_FORSAKEN:
		sim_check(world, ours->pushing && ours->reply == &message->reply);
		break;
	case MESSAGE_REPORTED:
		sim_check(world, ours->finished && message->worker != WORKER_NONE);
		break;
	case MESSAGE_REFUSED:
	case MESSAGE_ANSWERED:
	case MESSAGE_SETTLED:
	case MESSAGE_NSTATES:
		sim_check(world, false);
	}
	if (message->worker == WORKER_RUNNING)
		sim_check(world,
			message->state < MESSAGE_ANSWERED || message->work_end_ms != CLOCK_NEVER);
}

void sim_invariants(struct sim_world *world)
{
	const struct node *node = world->node;
	struct node_action action;
	uint64_t number;

	/* The event itself has reconciled everything. */
	for (const struct message *message = node->messages; message; message = message->next)
		check_message(world, message);
	check_order(world);
	check_demand(world);
	check_turns(world);
	node_reconcile(world->node, world->now);
	sim_check(world, node_next_action(world->node, &action) == 0);
	sim_check(world, world->budget.used_bytes == held(node));
	sim_check(world, world->budget.used_bytes <= world->budget.limit_bytes);
	if (!sim_objects_out(world))
		sim_check(world, sim_objects_bytes(world) == spooled(world));
	for (const struct message *message = node->messages; message; message = message->next)
		check_message(world, message);
	for (uint64_t i = 1; i <= world->last; i++) {
		const struct sim_message *message = &world->messages[i];
		const struct message *theirs = message_find(node, i);

		sim_check(world, message->finished <= 1);
		sim_check(world, (theirs != NULL) ==
					 (message->known &&
						 (!message->finished || (!world->workers_come &&
										message->started &&
										!message->gone))));
		if (message->token && (message->pushes || message->finished))
			sim_check(world, !node_message_live(node, i));
		if (message->token && token_live(node, message->token, &number))
			sim_check(world, message_find(node, number)->token == message->token);
	}
	sim_check(world, !token_live(node, 0, &number));
	sim_check(world, node_count(node).tokens <= node_count(node).messages);
	sim_check(world, node_count(node).fabs <= node_count(node).runs);
}

void sim_done(struct sim_world *world)
{
	node_free(world->node);
	for (unsigned i = 0; i < SIM_RUNS + SIM_SERIES; i++)
		slices_done(&world->contexts[i].bytes);
	for (uint64_t i = 1; i <= world->last; i++)
		object_set_unref(world->messages[i].set);
	sim_objects_wait(world);
	sim_check(world, world->budget.used_bytes == 0);
	sim_check(world, sim_objects_bytes(world) == 0);
}
