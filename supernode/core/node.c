/*
 * node: the whole of it: events that concern everything, and what the owner is told.
 */
#include "supernode/core/node_internal.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/text.h"

#include <errno.h>
#include <inttypes.h>

struct node *node_new(const struct node_options *options)
{
	auto_(free_at_exit) struct node *node = calloc(1, sizeof *node);

	if (!node)
		return NULL;
	node->slots = options->slots;
	node->workers_come = options->workers_come;
	node->offer_ms = options->offer_ms;
	node->worker_timeout_ms = options->worker_timeout_ms;
	node->budget = options->budget;
	node->random = options->random;
	node->random_arg = options->random_arg;
	if (options->node_config && value_map_copy(options->node_config, &node->node_config) < 0) {
		value_map_done(&node->node_config);
		return NULL;
	}
	return take_pointer(&node);
}

void node_free(struct node *node)
{
	if (!node)
		return;
	while (node->messages)
		message_free(node, node->messages);
	while (node->runs)
		node_run_free(node, node->runs);
	contexts_drop_unused(node);
	value_map_done(&node->node_config);
	free(node);
}

int node_reserve(struct node *node, uint64_t bytes, const char *what, struct reason *why)
{
	const struct budget *budget = node->budget;
	int r = budget_reserve(node->budget, bytes);

	if (r < 0 && contexts_give_way(node, bytes))
		r = budget_reserve(node->budget, bytes);
	if (r == 0)
		return 0;
	return reason_code(why, r,
		"%s of %" PRIu64 " bytes do not fit into the SuperNode's memory budget of %" PRIu64
		" bytes (%" PRIu64 " in use)",
		what, bytes, budget->limit_bytes, budget->used_bytes);
}

void node_release(struct node *node, uint64_t *reserved)
{
	budget_release(node->budget, *reserved);
	*reserved = 0;
}

/* ---- events that concern everything ---- */

void node_registered(struct node *node, struct node_now now, uint64_t node_id)
{
	if (node->registered && node->node_id != node_id)
		node_lost(node, now);
	/* Contexts say whose they are: another node's are of no use. */
	if (node->node_id != node_id)
		contexts_drop_unused(node);
	node->registered = true;
	node->node_id = node_id;
}

void node_lost(struct node *node, struct node_now now)
{
	static const char why[] = "the SuperLink has forgotten this node";

	node->registered = false;
	for (struct message *message = node->messages; message; message = message->next)
		message_forget(node, message, now, why);
	while (node->runs)
		node_run_over(node, node->runs, now, why);
}

void node_close(struct node *node)
{
	node->closed = true;
}

void node_give_up(struct node *node, struct node_now now, const char *reason)
{
	/* A message that is already on its way to us gets the same answer. */
	node->closed = true;
	node->given_up = true;
	reason_set(&node->give_up_why, "%s", reason);
	for (struct message *message = node->messages; message; message = message->next)
		message_fail(node, message, now, ERROR_CODE_CLIENT_APP_CRASHED, reason);
}

bool node_wants_message(const struct node *node)
{
	unsigned at_hand = 0;

	for (const struct message *message = node->messages; message; message = message->next)
		at_hand += message->state != MESSAGE_SETTLED;
	return node->registered && !node->closed && at_hand < node->slots;
}

int64_t node_next_ms(const struct node *node)
{
	int64_t next_ms = CLOCK_NEVER;

	for (const struct message *message = node->messages; message; message = message->next) {
		if (message_next_ms(message) < next_ms)
			next_ms = message_next_ms(message);
	}
	for (const struct node_run *run = node->runs; run; run = run->next) {
		if (node_run_next_ms(run) < next_ms)
			next_ms = node_run_next_ms(run);
	}
	return next_ms;
}

void node_tick(struct node *node, struct node_now now)
{
	for (struct message *message = node->messages; message; message = message->next)
		message_tick(node, message, now);
	for (struct node_run *run = node->runs; run; run = run->next)
		node_run_tick(run, now);
	messages_start(node, now);
}

/* ---- what the owner is told ---- */

static void action_fill(
	struct message *message, enum node_action_kind kind, struct node_action *out)
{
	*out = (struct node_action){.kind = kind,
		.message = message->number,
		.run_id = message->instruction.envelope.metadata.run_id};
	out->form = message->form;
	if (kind == NODE_START_WORKER)
		out->token = message->token;
	if (kind == NODE_PUSH_REPLY) {
		out->reply = &message->reply;
		out->runtime_s = message->runtime_s;
		message->pushing = true;
	}
	if (kind == NODE_FINISHED) {
		out->code = message->code;
		out->text = message->code < 0 ? message->why.text
			    : message->reply.envelope.has_error
				    ? message->reply.envelope.error_reason
				    : "";
	}
}

/* Workers end before others start; a reply goes before its end is told. */
static const struct {
	unsigned want;
	enum node_action_kind kind;
} message_actions[] = {
	{WANT_STOP, NODE_STOP_WORKER},
	{WANT_PUSH, NODE_PUSH_REPLY},
	{WANT_FINISHED, NODE_FINISHED},
	{WANT_START, NODE_START_WORKER},
};

static bool message_action(struct node *node, struct node_action *out)
{
	for (size_t i = 0; i < ARRAY_LEN(message_actions); i++) {
		for (struct message *message = node->messages; message; message = message->next) {
			if (!(message->wants & message_actions[i].want))
				continue;
			message->wants &= ~message_actions[i].want;
			action_fill(message, message_actions[i].kind, out);
			return true;
		}
	}
	return false;
}

static bool run_action(struct node *node, struct node_action *out)
{
	for (struct node_run *run = node->runs; run; run = run->next) {
		if (run->want_info) {
			run->want_info = false;
			*out = (struct node_action){.kind = NODE_FETCH_RUN, .run_id = run->run_id};
			return true;
		}
		if (run->want_fab) {
			run->want_fab = false;
			*out = (struct node_action){.kind = NODE_FETCH_FAB,
				.run_id = run->run_id,
				.fab_hash = run->info.fab_hash};
			return true;
		}
	}
	return false;
}

int node_next_action(struct node *node, struct node_action *out)
{
	messages_sweep(node);
	return message_action(node, out) || run_action(node, out) ? 1 : 0;
}

/* ---- for people ---- */

struct node_counts node_count(const struct node *node)
{
	struct node_counts counts = {0};

	for (const struct message *message = node->messages; message; message = message->next) {
		counts.messages++;
		counts.tokens += message->token != 0;
	}
	for (const struct node_run *run = node->runs; run; run = run->next)
		counts.runs++;
	for (const struct held_context *held = node->contexts; held; held = held->next)
		counts.contexts++;
	for (const struct held_fab *fab = node->fabs; fab; fab = fab->next)
		counts.fabs++;
	return counts;
}

void node_describe(const struct node *node, uint64_t number, char *text, size_t bytes)
{
	const struct message *message = message_find(node, number);
	const struct metadata *metadata;
	char id[65], type[65], group[65];

	if (bytes == 0)
		return;
	text[0] = '\0';
	if (!message)
		return;
	metadata = &message->instruction.envelope.metadata;
	text_word(metadata->message_id, id, sizeof id);
	text_word(metadata->message_type, type, sizeof type);
	text_word(metadata->group_id, group, sizeof group);
	snprintf(text, bytes, "run_id=%" PRIu64 " message_id=%s type=%s group=%s", metadata->run_id,
		id, type, group);
}
