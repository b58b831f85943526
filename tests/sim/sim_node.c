/*
 * sim_node [seed [count]]: random schedules of everything that can happen to a node, with
 * invariants after each step. Prints the seed it starts from; a failing schedule prints its own, to
 * be run again with "sim_node SEED 1".
 */
#include "sim/sim_world.h"

#include "common/base/clock.h"
#include "common/base/number.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define SCHEDULES_DEFAULT 8000
#define STEPS_MAX         1500

static bool has_worker(const struct sim_message *message)
{
	return message->started && !message->gone;
}

static bool has_live_worker(const struct sim_message *message)
{
	return has_worker(message) && !message->ended;
}

static bool has_token(const struct sim_message *message)
{
	return message->token != 0;
}

static bool is_pushing(const struct sim_message *message)
{
	return message->pushing;
}

/* ---- the SuperLink ---- */

static void step_message(struct sim_world *world)
{
	struct sim_message message;
	struct held_message given;
	uint64_t number = 0;
	int r;

	if (world->last + 1 >= SIM_MESSAGES ||
		(!node_wants_message(world->node) && !sim_one_in(world, 8)))
		return;
	sim_alloc_set(0, 0);
	sim_make_message(world, &given, &message);
	sim_faults(world);
	r = node_message(world->node, world->now, &given,
		sim_mishap(world, 30) ? "its tree \xff is broken" : NULL, &number);
	sim_check(world, r == 0 || (r == -ENOMEM && !world->quiet));
	sim_check(world, !given.envelope.metadata.message_id && given.envelope.content.n == 0);
	sim_check(world, !given.objects);
	if (r == 0) {
		world->messages[++world->last] = message;
		sim_check(world, number == world->last);
	} else {
		object_set_unref(message.set);
	}
}

static enum node_fetch some_fetch(struct sim_world *world)
{
	if (sim_mishap(world, 15))
		return sim_one_in(world, 2) ? NODE_RUN_OVER : NODE_FETCH_REFUSED;
	return NODE_FETCHED;
}

static void step_run(struct sim_world *world)
{
	uint64_t id = sim_below(world, SIM_RUNS);
	enum node_fetch fetch = some_fetch(world);
	struct run run = {0};

	/* Late and unasked-for answers must do no harm. */
	if (!world->runs[id].info_asked && !sim_one_in(world, 20))
		return;
	if (fetch == NODE_RUN_OVER && !world->runs[id].info_asked)
		return;
	sim_alloc_set(0, 0);
	if (fetch == NODE_FETCHED)
		sim_make_run(world, id, &run);
	world->runs[id].info_asked = false;
	if (fetch == NODE_RUN_OVER)
		sim_forget_run(world, id);
	sim_faults(world);
	node_run_fetched(
		world->node, world->now, &(struct node_fetched){id, fetch, "no \xff run"}, &run);
	sim_check(world, !run.fab_hash);
}

static void step_fab(struct sim_world *world)
{
	uint64_t id = sim_below(world, SIM_RUNS);
	enum node_fetch fetch = some_fetch(world);
	char hash[SIM_HASH_BYTES];
	struct checked_fab fab = {.hash = hash};

	sim_hash(id, hash);
	if (!world->runs[id].fab_asked && !sim_one_in(world, 20))
		return;
	if (fetch == NODE_RUN_OVER && !world->runs[id].fab_asked)
		return;
	sim_alloc_set(0, 0);
	if (fetch == NODE_FETCHED)
		sim_make_fab(world, &fab.content, &fab.manifest);
	world->runs[id].fab_asked = false;
	if (fetch == NODE_RUN_OVER)
		sim_forget_run(world, id);
	sim_faults(world);
	node_fab_fetched(
		world->node, world->now, &(struct node_fetched){id, fetch, "bad FAB"}, &fab);
	sim_check(world, fab.content.n == 0 && !fab.manifest.name);
}

static void settle_push(struct sim_world *world, uint64_t number, enum node_push push)
{
	struct sim_message *message = &world->messages[number];
	const struct message *theirs = message_find(world->node, number);

	sim_check(world, theirs);
	message->pushing = false;
	message->too_large = push == NODE_PUSH_REFUSED;
	message->delivered = push == NODE_PUSHED;
	if (push == NODE_PUSH_OVER && theirs->run)
		sim_forget_run(world, message->run);
	node_reply_pushed(world->node, world->now, number, push, "because");
}

static void step_pushed(struct sim_world *world)
{
	uint64_t number = sim_pick(world, is_pushing);

	if (number)
		settle_push(world, number,
			sim_mishap(world, 3) ? (enum node_push)sim_below(world, 4) : NODE_PUSHED);
	else if (world->last)
		node_reply_pushed(world->node, world->now, 1 + sim_below(world, world->last + 2),
			NODE_PUSHED, "late");
}

static void step_lost(struct sim_world *world)
{
	uint64_t before = world->node_id;

	if (!sim_mishap(world, 60))
		return;
	if (sim_one_in(world, 2)) {
		node_lost(world->node, world->now);
		world->node_id = 0;
	}
	for (uint64_t i = 0; i < SIM_RUNS; i++)
		sim_forget_run(world, i);
	/* With its old number it still has what series have left. */
	if (!world->node_id && before && sim_one_in(world, 2)) {
		world->node_id = before;
		node_registered(world->node, world->now, before);
		return;
	}
	for (unsigned i = 0; i < SIM_RUNS + SIM_SERIES; i++) {
		slices_done(&world->contexts[i].bytes);
		world->contexts[i] = (struct sim_context){0};
	}
	if (world->node_id) {
		world->node_id = world->next_id += 2;
		node_registered(world->node, world->now, world->node_id);
	}
}

static void step_register(struct sim_world *world)
{
	if (!world->node_id)
		world->node_id = world->next_id += 2;
	node_registered(world->node, world->now, world->node_id);
}

/* ---- workers ---- */

static void step_pull(struct sim_world *world)
{
	uint64_t number = sim_pick(world, sim_one_in(world, 5) ? has_token : has_live_worker);
	struct sim_message *message = &world->messages[number];
	struct instruction_inputs inputs = {0};
	const char *details = NULL;
	bool live;
	enum outcome outcome;

	if (!number)
		return;
	live = node_message_live(world->node, number);
	outcome = pull_inputs(world->node, world->now,
		sim_one_in(world, 10) ? message->token ^ 1 : message->token, &inputs, &details);
	if (outcome == OUTCOME_OK) {
		sim_check(world, live || message->token == 42);
		/* Tokens that are 42 may be those of other messages. */
		world->messages[live ? number : node_message_of(world->node, 42)->number].pulls++;
		sim_check(world, !message->objects || !live);
		sim_check(world, inputs.message.bytes && inputs.run.bytes && inputs.fab.bytes);
		if (live)
			sim_check_context(world, message->run, &inputs.context);
	} else {
		sim_check(world, details && inputs.message.n == 0);
		sim_check(world, outcome == OUTCOME_FAILED_PRECONDITION ||
					 outcome == OUTCOME_INVALID_ARGUMENT ||
					 (outcome == OUTCOME_RESOURCE_EXHAUSTED && !world->quiet));
	}
	instruction_inputs_done(&inputs);
}

static void step_push(struct sim_world *world)
{
	uint64_t number = sim_pick(world, sim_one_in(world, 5) ? has_token : has_live_worker);
	struct sim_message *message = &world->messages[number];
	const struct message *theirs = message_find(world->node, number);
	struct instruction_outputs outputs;
	struct slices context = {0};
	const char *details = NULL;
	bool valid, working;
	enum outcome outcome;

	if (!number || (message->token == 42))
		return;
	working = theirs && message_is_pulled(theirs) && !message->objects;
	sim_alloc_set(0, 0);
	sim_make_outputs(world, number, &outputs, &valid);
	if (slices_append_refs(&context, &outputs.context.bytes) < 0)
		abort();
	sim_faults(world);
	message->accepted = message->accepted || (valid && working);
	outcome = node_push_outputs(world->node, world->now, &outputs, &details);
	sim_alloc_set(0, 0);
	sim_check(world, outcome != OUTCOME_OK || (working && valid));
	sim_check(world, outcome == OUTCOME_OK || details);
	if (working && valid)
		sim_check(world, outcome == OUTCOME_OK || outcome == OUTCOME_RESOURCE_EXHAUSTED);
	if (outcome == OUTCOME_RESOURCE_EXHAUSTED)
		sim_check(world, !node_message_live(world->node, number));
	if (outcome == OUTCOME_OK) {
		world->accepted++;
		sim_check(world, outputs.message.n == 0 && outputs.context.bytes.n == 0);
		sim_keep_context(world, message->run, &context);
	}
	slices_done(&context);
	instruction_outputs_done(&outputs);
}

/* A worker comes of its own accord. */
static void step_token(struct sim_world *world)
{
	const char *details = NULL;
	uint64_t token = 0, number = 0, offered = 0;
	int64_t since_ms;
	enum outcome outcome;

	offered = node_offered(world->node, MESSAGE_INLINE, &since_ms);
	outcome = node_get_token(world->node, world->now, &token, &details);
	sim_check(world, (outcome == OUTCOME_OK) == (offered != 0));
	if (outcome != OUTCOME_OK) {
		sim_check(world, outcome == OUTCOME_FAILED_PRECONDITION && details);
		return;
	}
	sim_check(world, world->workers_come && since_ms <= world->now.ms);
	sim_check(world, token_live(world->node, token, &number) && number == offered);
	sim_check(world, token == 42 || token != world->messages[number].token);
	sim_check(world, world->messages[number].pushes == 0 && world->messages[number].pulls == 0);
	world->messages[number].started = true;
	world->messages[number].token = token;
}

/* One that came goes away, or begins to send. */
static void step_away(struct sim_world *world)
{
	uint64_t number = sim_pick(world, has_worker);
	const struct message *theirs = message_find(world->node, number);
	bool pulled = theirs && message_is_pulled(theirs);

	if (!number || !sim_mishap(world, 4))
		return;
	if (sim_one_in(world, 2)) {
		outputs_coming(world->node, world->messages[number].token);
		return;
	}
	if (!world->workers_come)
		return;
	node_worker_lost(world->node, world->now, number, "gone");
	sim_check(world, !node_message_live(world->node, number));
	if (pulled)
		sim_check(world, !(theirs = message_find(world->node, number)) ||
					 theirs->state >= MESSAGE_ANSWERED);
}

static void end_worker(struct sim_world *world, uint64_t number)
{
	world->messages[number].ended = true;
	node_worker_ended(world->node, world->now, number, 8, "killed by signal 9, \xc3");
}

static void gone_worker(struct sim_world *world, uint64_t number)
{
	world->messages[number].ended = true;
	world->messages[number].gone = true;
	node_worker_gone(world->node, world->now, number);
}

static void step_end(struct sim_world *world)
{
	uint64_t number = sim_pick(world, has_worker);

	/* Workers that are still of use seldom end. */
	if (!number || world->workers_come ||
		(node_message_live(world->node, number) && !sim_mishap(world, 8)))
		return;
	if (!world->messages[number].ended && !sim_one_in(world, 10))
		end_worker(world, number);
	else
		gone_worker(world, number);
}

/* ---- time and the owner ---- */

static void step_time(struct sim_world *world)
{
	static const int64_t jumps_ms[] = {0, 1, 40, 900, 1500, 5000, 130000};
	int64_t ms = jumps_ms[sim_below(world, world->calm ? 5 : 7)];
	int64_t next_ms = node_next_ms(world->node);

	if (ms < 1000 && sim_one_in(world, 12) && next_ms < CLOCK_NEVER / 2 &&
		next_ms > world->now.ms)
		ms = next_ms - world->now.ms;
	world->now.ms += ms;
	world->now.wall_s += (double)ms / 1000;
	node_tick(world->node, world->now);
	sim_check(world, node_next_ms(world->node) > world->now.ms);
}

static void step_stop(struct sim_world *world)
{
	if (!sim_mishap(world, 60))
		return;
	if (sim_one_in(world, 2))
		node_close(world->node);
	else
		node_give_up(world->node, world->now, "stopped");
}

static void (*const steps[])(struct sim_world *) = {step_message, step_message, step_message,
	step_run, step_run, step_run, step_fab, step_fab, step_fab, step_pull, step_pull, step_pull,
	step_push, step_push, step_token, step_token, step_away, step_end, step_pushed, step_pushed,
	step_time, step_lost, step_register, step_stop, sim_step_content, sim_step_content,
	sim_step_content, sim_step_content, sim_step_content, sim_step_claim, sim_step_claim,
	sim_step_pull_task, sim_step_pull_task, sim_step_pull_task, sim_step_instruction,
	sim_step_begin, sim_step_begin, sim_step_reply_object, sim_step_reply_object,
	sim_step_reply_object, sim_step_reply_object, sim_step_reply_object, sim_step_push_task,
	sim_step_push_task};

static void step(struct sim_world *world)
{
	size_t i = sim_below(world, sizeof steps / sizeof steps[0]);

	/* Objects take their time, in which other things happen. */
	if (sim_one_in(world, 3))
		sim_objects_wait(world);
	sim_faults(world);
	steps[i](world);
	sim_pump(world);
	sim_alloc_set(0, 0);
	sim_invariants(world);
}

/* Stop as the supervisor does: everything ends, and nothing is left. */
static void wind_up(struct sim_world *world)
{
	struct node_counts counts;
	uint64_t number;

	node_give_up(world->node, world->now, "stopped");
	sim_pump(world);
	while ((number = sim_pick(world, is_pushing))) {
		settle_push(world, number,
			sim_one_in(world, 2) ? NODE_PUSHED : (enum node_push)sim_below(world, 4));
		sim_pump(world);
		sim_invariants(world);
	}
	while (!world->workers_come && (number = sim_pick(world, has_worker))) {
		gone_worker(world, number);
		sim_pump(world);
		sim_invariants(world);
	}
	for (uint64_t i = 1; i <= world->last; i++)
		sim_check(world, world->messages[i].finished == 1);
	node_lost(world->node, world->now);
	sim_pump(world);
	node_registered(world->node, world->now, world->next_id + 2);
	counts = node_count(world->node);
	sim_check(world,
		counts.messages + counts.runs + counts.fabs + counts.contexts + counts.tokens == 0);
	sim_check(world, world->budget.used_bytes == 0);
	sim_check(world, node_next_ms(world->node) == CLOCK_NEVER);
}

int main(int argc, char **argv)
{
	struct sim_world *world = calloc(1, sizeof *world);
	struct sim_objects *objects = NULL;
	unsigned long sums[5] = {0};
	uint64_t seed = (uint64_t)clock_now_ms();
	uint64_t count = SCHEDULES_DEFAULT;

	if (!world || argc > 3 || (argc > 1 && number_u64(argv[1], &seed) < 0) ||
		(argc > 2 && number_u64(argv[2], &count) < 0)) {
		fprintf(stderr, "usage: sim_node [SEED [COUNT]]\n");
		return 2;
	}
	printf("sim_node: seed %" PRIu64 ", %" PRIu64 " schedules\n", seed, count);
	fflush(stdout);
	objects = sim_objects_new();
	for (uint64_t i = 0; i < count; i++) {
		uint64_t n;

		sim_init(world, objects, seed + i);
		n = sim_below(world, STEPS_MAX);
		for (world->step = 0; world->step < n; world->step++)
			step(world);
		/* Now and then it is freed as it is. */
		if (!sim_one_in(world, 10))
			wind_up(world);
		sums[0] += world->accepted;
		sums[1] += world->delivered;
		sums[2] += world->failed;
		sums[3] += world->dropped;
		sums[4] += world->tasks;
		sim_done(world);
	}
	printf("sim_node: outputs %lu and %lu of objects, replies %lu, error replies %lu, "
	       "dropped %lu\n",
		sums[0], sums[4], sums[1], sums[2], sums[3]);
	sim_objects_free(objects);
	free(world);
	return 0;
}
