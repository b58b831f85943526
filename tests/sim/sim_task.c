/*
 * sim_task: the steps of messages in the form of objects: their objects come, or do not; their
 * workers call in any order, again, or never.
 */
#include "sim/sim_world.h"

#include <string.h>

static bool is_coming(const struct sim_message *message)
{
	return message->set != NULL;
}

static bool has_token(const struct sim_message *message)
{
	/* 42 may be another message's. */
	return message->objects && message->token && message->token != 42;
}

static bool has_live_worker(const struct sim_message *message)
{
	return has_token(message) && message->started && !message->ended && !message->finished;
}

static uint64_t pick_worker(struct sim_world *world)
{
	return sim_pick(world, sim_one_in(world, 10) ? has_token : has_live_worker);
}

static const struct message *working(const struct sim_world *world, uint64_t number)
{
	const struct message *theirs = message_find(world->node, number);

	return theirs && message_is_pulled(theirs) ? theirs : NULL;
}

/* ---- objects of an instruction ---- */

static void content_over(struct sim_world *world, uint64_t number, enum node_fetch fetch)
{
	struct sim_message *message = &world->messages[number];
	const struct message *theirs = message_find(world->node, number);

	object_set_unref(message->set);
	message->set = NULL;
	if (fetch == NODE_RUN_OVER && theirs && theirs->state == MESSAGE_COMING)
		sim_forget_run(world, message->run);
	sim_faults(world);
	node_content(world->node, world->now, number, fetch, "no \xff object");
	sim_check(world,
		!(theirs = message_find(world->node, number)) || theirs->state != MESSAGE_COMING);
}

void sim_step_content(struct sim_world *world)
{
	uint64_t number = sim_pick(world, is_coming);
	struct sim_message *message = &world->messages[number];

	if (!number) {
		/* Said of one that waits for none. */
		number = sim_below(world, world->last + 2);
		if (!world->messages[number].set)
			node_content(world->node, world->now, number, NODE_FETCHED, "late");
		return;
	}
	sim_alloc_set(0, 0);
	if (message->set->refs == 1) {
		object_set_unref(message->set);
		message->set = NULL;
	} else if (sim_mishap(world, 25)) {
		content_over(
			world, number, sim_one_in(world, 2) ? NODE_RUN_OVER : NODE_FETCH_REFUSED);
	} else if (object_set_missing(message->set) == 0) {
		content_over(world, number, NODE_FETCHED);
	} else {
		sim_objects_put(world, message->set, message->sample);
	}
}

/* ---- what a worker is given ---- */

static void check_token(struct sim_world *world, uint64_t token)
{
	char text[NODE_TOKEN_TEXT_BYTES];
	uint64_t parsed = 0;

	sim_check(world, node_token_text(world->node, token, text));
	sim_check(world, token_parse(world->node, text, &parsed) && parsed == token);
	text[sim_below(world, NODE_TOKEN_TEXT_BYTES - 1)] ^= 1;
	sim_check(world, !token_parse(world->node, text, &parsed));
}

void sim_step_claim(struct sim_world *world)
{
	int64_t since_ms;
	uint64_t offered = node_offered(world->node, MESSAGE_OBJECTS, &since_ms);
	uint64_t number = sim_one_in(world, 5) ? sim_below(world, world->last + 2) : offered;
	const struct message *theirs = message_find(world->node, number);
	bool there = theirs && theirs->state == MESSAGE_OFFERED && world->messages[number].objects;
	uint64_t token = 0, same = 0;

	sim_check(world, node_claim(world->node, world->now, number, &token) == there);
	if (!there)
		return;
	sim_check(world, world->workers_come && since_ms <= world->now.ms);
	sim_check(world, token_live(world->node, token, &same) && same == number);
	sim_check(world, token == 42 || token != world->messages[number].token);
	sim_check(world, world->messages[number].pushes == 0);
	check_token(world, token);
	world->messages[number].started = true;
	world->messages[number].token = token;
}

void sim_step_pull_task(struct sim_world *world)
{
	uint64_t number = pick_worker(world);
	struct sim_message *message = &world->messages[number];
	struct task_inputs inputs = {0};
	const char *details = NULL;
	bool live = node_message_live(world->node, number);
	enum outcome outcome;
	uint64_t same;

	if (!number)
		return;
	outcome = pull_task_inputs(world->node, world->now,
		sim_one_in(world, 10) ? message->token ^ 1 : message->token, &inputs, &details);
	if (outcome == OUTCOME_OK && sim_one_in(world, 3))
		node_heartbeat(
			world->node, world->now, node_message_of(world->node, message->token));
	if (outcome == OUTCOME_OK) {
		message->pulls++;
		sim_check(world,
			live && token_live(world->node, message->token, &same) && same == number);
		sim_check(world, working(world, number));
		sim_check(world, inputs.context.bytes && inputs.run.bytes && inputs.fab.bytes);
		sim_check_context(world, message->run, &inputs.context);
	} else {
		sim_check(world, details && inputs.context.n + inputs.run.n + inputs.fab.n == 0);
		sim_check(world, outcome == OUTCOME_FAILED_PRECONDITION ||
					 outcome == OUTCOME_INVALID_ARGUMENT ||
					 (outcome == OUTCOME_RESOURCE_EXHAUSTED && !world->quiet));
	}
	task_inputs_done(&inputs);
}

void sim_step_instruction(struct sim_world *world)
{
	uint64_t number = pick_worker(world);
	struct sim_message *message = &world->messages[number];
	const struct message *theirs = working(world, number);
	const struct held_message *instruction;

	if (!number)
		return;
	instruction = instruction_of(world->node, message->token);
	sim_check(world, (instruction != NULL) == (theirs && theirs->state == MESSAGE_WORKING));
	if (instruction)
		sim_check(world, object_set_missing(instruction->objects) == 0);
	if (!sim_one_in(world, 2))
		return;
	outputs_coming(world->node, message->token);
	sim_check(world, !instruction_of(world->node, message->token));
	sim_check(world, !theirs || !theirs->instruction.objects);
}

/* ---- what it gives back ---- */

static bool make_reply(struct sim_world *world, struct held_message *out, unsigned *sample_out)
{
	unsigned kind = (unsigned)sim_below(world, 20);

	*sample_out = (unsigned)sim_below(world, SIM_SAMPLES);
	*out = (struct held_message){.envelope = {.has_content = kind != 1 && kind != 2,
					     .has_error = kind == 0 || kind == 2,
					     .error_code = 2}};
	out->envelope.metadata.ttl = 3;
	if (kind == 4)
		*sample_out = SIM_SAMPLES;
	if (kind != 2 && kind != 3)
		out->objects = sim_objects_set(world, *sample_out);
	if (out->envelope.has_error && !(out->envelope.error_reason = strdup("raised")))
		abort();
	return kind == 2 || kind > 4;
}

void sim_step_begin(struct sim_world *world)
{
	uint64_t number = pick_worker(world);
	struct sim_message *message = &world->messages[number];
	const struct message *theirs = working(world, number);
	struct held_message reply;
	const char *details = NULL;
	unsigned sample;
	enum outcome outcome;
	bool valid;

	/* Sometimes again. */
	if (!number || (theirs && message_has_draft(theirs) && !sim_one_in(world, 5)))
		return;
	sim_alloc_set(0, 0);
	valid = make_reply(world, &reply, &sample);
	sim_faults(world);
	outcome = reply_begin(world->node, world->now, message->token, &reply, &details);
	sim_check(world, outcome == OUTCOME_OK || details);
	if (valid && theirs)
		sim_check(world, outcome == OUTCOME_OK || outcome == OUTCOME_RESOURCE_EXHAUSTED);
	else
		sim_check(world, outcome != OUTCOME_OK && outcome != OUTCOME_RESOURCE_EXHAUSTED);
	if (outcome == OUTCOME_OK) {
		sim_check(world, !reply.objects && !reply.envelope.error_reason);
		message->reply_sample = sample;
	}
	if (outcome == OUTCOME_RESOURCE_EXHAUSTED)
		sim_check(world, !node_message_live(world->node, number));
	held_message_done(&reply);
}

void sim_step_reply_object(struct sim_world *world)
{
	uint64_t number = pick_worker(world);
	struct object_set *set;

	if (!number)
		return;
	sim_alloc_set(0, 0);
	set = reply_objects(world->node, world->messages[number].token);
	sim_check(world, !set || working(world, number));
	if (set)
		sim_objects_put(world, set, world->messages[number].reply_sample);
}

void sim_step_push_task(struct sim_world *world)
{
	uint64_t number = pick_worker(world);
	struct sim_message *message = &world->messages[number];
	const struct message *theirs = working(world, number);
	unsigned kind = (unsigned)sim_below(world, 10);
	struct slices context = {0}, same = {0};
	const char *details = NULL;
	bool ready = theirs && message_has_draft(theirs) &&
		     !(theirs->draft.objects && object_set_missing(theirs->draft.objects));
	enum outcome outcome;

	/* Patient workers come when all is there. */
	if (!number || (!ready && !sim_one_in(world, 10)))
		return;
	sim_alloc_set(0, 0);
	if (kind > 1)
		sim_make_context(world, message->run + (kind == 2), &context);
	if (slices_append_refs(&same, &context) < 0)
		abort();
	sim_faults(world);
	message->accepted = message->accepted || (ready && kind != 2);
	outcome = push_task(world->node, world->now, message->token, &context, &details);
	sim_alloc_set(0, 0);
	sim_check(world, outcome == OUTCOME_OK || details);
	sim_check(world, outcome != OUTCOME_OK || (ready && kind != 2 && context.n == 0));
	if (ready && kind != 2)
		sim_check(world, outcome == OUTCOME_OK || outcome == OUTCOME_RESOURCE_EXHAUSTED);
	if (ready && outcome == OUTCOME_INVALID_ARGUMENT)
		sim_check(world, message_has_draft(theirs) && message_is_pulled(theirs));
	if (outcome == OUTCOME_OK) {
		world->tasks++;
		if (same.bytes)
			sim_keep_context(world, message->run, &same);
	}
	slices_done(&same);
	slices_done(&context);
}
