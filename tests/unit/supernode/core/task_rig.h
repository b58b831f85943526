/*
 * task_rig: a node that offers messages of objects, and a worker that makes the calls of a task.
 */
#ifndef FLWR_TEST_TASK_RIG_H
#define FLWR_TEST_TASK_RIG_H

#include "objects.h"

struct rig {
	struct fixture f;
	struct objects objects;
	struct sample in, out; /* an instruction, a reply */
	uint64_t message, token;
};

static inline void rig_open(struct rig *rig)
{
	*rig = (struct rig){0};
	fixture_open(&rig->f, &(struct node_options){.slots = 1, .workers_come = true});
	objects_open(&rig->objects);
	sample_make("instruction", &rig->in);
	sample_make("reply", &rig->out);
}

static inline void rig_done(struct rig *rig)
{
	fixture_done(&rig->f);
	objects_done(&rig->objects);
	sample_done(&rig->in);
	sample_done(&rig->out);
}

/* Asks for what run 1 needs. */
static inline void give_all(struct fixture *f)
{
	expect(f, NODE_FETCH_RUN);
	give_run(f, 1, HASH, NULL);
	expect(f, NODE_FETCH_FAB);
	give_fab(f, 1, 100);
}

static inline enum outcome claim(struct rig *rig, uint64_t message)
{
	return node_claim(rig->f.node, rig->f.now, message, &rig->token) ? OUTCOME_OK
									 : OUTCOME_NOT_FOUND;
}

static inline enum outcome pull_task(struct rig *rig, uint64_t token)
{
	auto_(task_inputs_done) struct task_inputs inputs = {0};
	const char *details = NULL;
	enum outcome outcome = pull_task_inputs(rig->f.node, rig->f.now, token, &inputs, &details);

	assert_true(outcome == OUTCOME_OK || details);
	assert_true((outcome == OUTCOME_OK) == (inputs.context.bytes && inputs.run.bytes));
	return outcome;
}

/* A message of which all is there. */
static inline void offer(struct rig *rig)
{
	rig->message = give_objects(&rig->f, &rig->objects, &rig->in, N_OBJECTS, NULL);
	give_all(&rig->f);
}

static inline void work(struct rig *rig)
{
	offer(rig);
	assert_int_equal(claim(rig, rig->message), OUTCOME_OK);
	assert_int_equal(pull_task(rig, rig->token), OUTCOME_OK);
}

static inline enum outcome begin_with(struct rig *rig, struct held_message *reply)
{
	const char *details = NULL;
	enum outcome outcome = reply_begin(rig->f.node, rig->f.now, rig->token, reply, &details);

	assert_true(outcome == OUTCOME_OK || details);
	if (outcome == OUTCOME_OK)
		assert_true(!reply->objects && !reply->envelope.error_reason);
	held_message_done(reply);
	return outcome;
}

static inline enum outcome begin(struct rig *rig)
{
	struct held_message reply = {.envelope.has_content = true,
		.objects = objects_set(&rig->objects, &rig->out.tree)};

	reply.envelope.metadata.ttl = 7;
	return begin_with(rig, &reply);
}

static inline enum outcome begin_error(struct rig *rig)
{
	struct held_message reply = {
		.envelope = {.has_error = true, .error_code = 2, .error_reason = strdup("raised")}};

	return begin_with(rig, &reply);
}

static inline void fill(struct rig *rig, size_t from)
{
	struct object_set *set = reply_objects(rig->f.node, rig->token);

	assert_non_null(set);
	for (size_t i = from; i < N_OBJECTS; i++)
		objects_put(&rig->objects, set, &rig->out, i);
}

/* An ended task, with a Context of this run; or with none. */
static inline enum outcome end(struct rig *rig, uint64_t run_id)
{
	auto_(slices_done) struct slices bytes = {0};
	struct context context = {.run_id = run_id, .node_id = NODE_ID};
	const char *details = NULL;
	enum outcome outcome;

	if (run_id)
		assert_int_equal(context_encode(&context, &bytes), 0);
	outcome = push_task(rig->f.node, rig->f.now, rig->token, &bytes, &details);
	assert_true(outcome == OUTCOME_OK ? bytes.n == 0 : details != NULL);
	return outcome;
}

static inline void get_context(struct rig *rig, struct slices *out)
{
	auto_(task_inputs_done) struct task_inputs inputs = {0};
	const char *details;

	assert_int_equal(pull_task_inputs(rig->f.node, rig->f.now, rig->token, &inputs, &details),
		OUTCOME_OK);
	assert_int_equal(slices_append_refs(out, &inputs.context), 0);
}

#endif
