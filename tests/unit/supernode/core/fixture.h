/*
 * fixture: a node with a SuperLink and workers that a test plays: messages and answers by one call
 * each, actions one by one.
 */
#ifndef FLWR_TEST_FIXTURE_H
#define FLWR_TEST_FIXTURE_H

#include "common/base/clock.h"
#include "kit/by_token.h"
#include "kit/test.h"

#include <math.h>

#define NODE_ID     7777
#define TOKEN_WORDS 16
#define HASH        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

struct fixture {
	struct node *node;
	struct budget budget;
	struct node_now now;
	uint64_t token; /* the last one given out */
	uint64_t words; /* random ones asked for */
	unsigned made;
	const char *fab_hash;      /* of the FABs that give_fab() gives; NULL: HASH */
	struct node_action action; /* the last one */
};

/* The first word of a token's text is the token. */
static uint64_t next_token(void *arg)
{
	struct fixture *f = arg;

	if (f->words++ % TOKEN_WORDS)
		return f->words * 0x9e3779b97f4a7c15;
	return f->token += 1000;
}

/* The fixture takes slots, the members about workers, and times from options. */
static inline void fixture_open(struct fixture *self, const struct node_options *options)
{
	struct node_options all = *options;
	struct value_map config = {0};
	struct value value = {.kind = VALUE_SINT, .i = 1};

	*self = (struct fixture){.now = {5000, 1e9}};
	budget_init(&self->budget, 1 << 20);
	assert_int_equal(value_map_set(&config, "partition-id", &value), 0);
	all.node_config = &config;
	all.budget = &self->budget;
	all.random = next_token;
	all.random_arg = self;
	self->node = node_new(&all);
	value_map_done(&config);
	assert_non_null(self->node);
	node_registered(self->node, self->now, NODE_ID);
}

static inline void fixture_new(struct fixture *self, unsigned slots, int64_t timeout_ms)
{
	fixture_open(self, &(struct node_options){.slots = slots, .worker_timeout_ms = timeout_ms});
}

/* Nothing may be held when everything is over. */
static inline void fixture_done(struct fixture *f)
{
	node_free(f->node);
	assert_int_equal(f->budget.used_bytes, 0);
}

/* The next action is of that kind. */
static inline void expect(struct fixture *f, enum node_action_kind kind)
{
	assert_int_equal(node_next_action(f->node, &f->action), 1);
	assert_int_equal(f->action.kind, kind);
}

static inline void expect_nothing(struct fixture *f)
{
	assert_int_equal(node_next_action(f->node, &f->action), 0);
}

static inline void later(struct fixture *f, int64_t ms)
{
	f->now.ms += ms;
	f->now.wall_s += (double)ms / 1000;
	node_tick(f->node, f->now);
}

static inline void envelope_make(
	struct fixture *f, uint64_t run_id, double ttl, struct envelope *out)
{
	char id[32];
	struct metadata metadata = {.run_id = run_id,
		.message_id = id,
		.src_node_id = 1,
		.dst_node_id = NODE_ID,
		.reply_to_message_id = (char *)"",
		.group_id = (char *)"3",
		.ttl = ttl,
		.message_type = (char *)"train",
		.created_at = f->now.wall_s - 10};

	snprintf(id, sizeof id, "id-%u", ++f->made);
	*out = (struct envelope){.has_content = true};
	assert_int_equal(metadata_copy(&metadata, &out->metadata), 0);
	assert_int_equal(slices_append_copy(&out->content, "content", 7), 0);
}

static inline void give_message(struct fixture *f, uint64_t run_id, double ttl)
{
	struct held_message given = {0};

	envelope_make(f, run_id, ttl, &given.envelope);
	assert_int_equal(node_message(f->node, f->now, &given, NULL, NULL), 0);
	assert_null(given.envelope.metadata.message_id);
}

/* override: a key of the FAB's configuration or not; NULL: none. */
static inline void give_run(
	struct fixture *f, uint64_t run_id, const char *hash, const char *override)
{
	struct value value = {.kind = VALUE_DOUBLE, .d = 0.5};
	struct run run = {.run_id = run_id,
		.fab_id = strdup("said/superlink"),
		.fab_version = strdup("9"),
		.fab_hash = strdup(hash)};

	if (override)
		assert_int_equal(value_map_set(&run.override_config, override, &value), 0);
	node_run_fetched(f->node, f->now, &(struct node_fetched){run_id, NODE_FETCHED, NULL}, &run);
	assert_null(run.fab_hash);
}

/* A message comes whose run the node does not know yet, and is told of as by give_run(). */
static inline void give_message_of_run(
	struct fixture *f, uint64_t run_id, const char *hash, const char *override)
{
	give_message(f, run_id, 100);
	expect(f, NODE_FETCH_RUN);
	give_run(f, run_id, hash, override);
}

static inline void give_fab(struct fixture *f, uint64_t run_id, size_t bytes)
{
	struct value value = {.kind = VALUE_DOUBLE, .d = 0.1};
	struct checked_fab fab = {.hash = f->fab_hash ? f->fab_hash : HASH};
	struct manifest manifest = {.publisher = strdup("me"),
		.name = strdup("app"),
		.version = strdup("1.0.0"),
		.clientapp = strdup("app.client:app"),
		.fab_id = strdup("me/app")};
	auto_(free_at_exit) char *memory = calloc(1, bytes);

	assert_non_null(memory);
	assert_int_equal(value_map_set(&manifest.config, "rate", &value), 0);
	assert_int_equal(slices_append_copy(&fab.content, memory, bytes), 0);
	fab.manifest = manifest;
	node_fab_fetched(f->node, f->now, &(struct node_fetched){run_id, NODE_FETCHED, NULL}, &fab);
	assert_int_equal(fab.content.n, 0);
	assert_null(fab.manifest.name);
}

/* A message of run 1, and all that it needs. */
static inline void come_message(struct fixture *f, double ttl)
{
	give_message(f, 1, ttl);
	expect(f, NODE_FETCH_RUN);
	give_run(f, 1, HASH, NULL);
	expect(f, NODE_FETCH_FAB);
	assert_string_equal(f->action.fab_hash, HASH);
	give_fab(f, 1, 100);
}

/* The same up to its worker's start; its action is in f->action. */
static inline void start_message(struct fixture *f, double ttl)
{
	come_message(f, ttl);
	expect(f, NODE_START_WORKER);
	expect_nothing(f);
}

static inline enum outcome pull(struct fixture *f, uint64_t token)
{
	struct instruction_inputs inputs = {0};
	const char *details = NULL;
	enum outcome outcome = pull_inputs(f->node, f->now, token, &inputs, &details);

	assert_true(outcome == OUTCOME_OK || details);
	instruction_inputs_done(&inputs);
	return outcome;
}

/* Outputs of a worker: content (or, without, an error) and a Context with state. */
static inline struct instruction_outputs outputs_make(
	struct fixture *f, uint64_t token, const char *content, double ttl, const char *state)
{
	struct envelope reply = {.has_content = content != NULL,
		.has_error = content == NULL,
		.error_code = 2,
		.error_reason = (char *)"<class 'ValueError'>:<'no'>",
		.metadata = {.run_id = 99, .ttl = ttl, .message_type = (char *)"evil"}};
	struct context context = {.run_id = 1, .node_id = NODE_ID};
	/* The text goes into a field that no release has, so that the state can be decoded with
	 * any text. */
	const uint8_t head[] = {15 << 3 | 2, (uint8_t)strlen(state)};
	struct instruction_outputs outputs = {.token = token};

	if (content)
		assert_int_equal(slices_append_copy(&reply.content, content, strlen(content)), 0);
	assert_int_equal(slices_append_copy(&context.state, head, sizeof head), 0);
	assert_int_equal(slices_append_copy(&context.state, state, strlen(state)), 0);
	assert_int_equal(envelope_encode(&reply, &outputs.message), 0);
	assert_int_equal(context_encode(&context, &outputs.context.bytes), 0);
	slices_done(&reply.content);
	slices_done(&context.state);
	return outputs;
}

static inline enum outcome push(struct fixture *f, uint64_t token, const char *content, double ttl)
{
	struct instruction_outputs outputs;
	const char *details = NULL;
	enum outcome outcome;

	outputs = outputs_make(f, token, content, ttl, "state");
	outcome = node_push_outputs(f->node, f->now, &outputs, &details);
	assert_true(outcome == OUTCOME_OK ? outputs.message.n == 0 : details != NULL);
	instruction_outputs_done(&outputs);
	return outcome;
}

/* The message's reply is an error with that code and a sentence that has text in it; settle it. */
static inline void expect_error(struct fixture *f, int64_t code, const char *text)
{
	uint64_t message;

	expect(f, NODE_PUSH_REPLY);
	message = f->action.message;
	assert_true(f->action.reply->envelope.has_error);
	assert_int_equal(f->action.reply->envelope.error_code, code);
	if (!strstr(f->action.reply->envelope.error_reason, text))
		fail_msg("'%s' is not in: %s", text, f->action.reply->envelope.error_reason);
	node_reply_pushed(f->node, f->now, message, NODE_PUSHED, NULL);
	expect(f, NODE_FINISHED);
	assert_int_equal(f->action.message, message);
	assert_int_equal(f->action.code, code);
	assert_non_null(strstr(f->action.text, text));
}

static inline void expect_dropped(struct fixture *f, const char *text)
{
	expect(f, NODE_FINISHED);
	assert_int_equal(f->action.code, -1);
	assert_non_null(strstr(f->action.text, text));
}

#endif
