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
	node->parallel_in_run = options->parallel_in_run;
	node->workers_come = options->workers_come;
	node->without_fab = options->without_fab;
	node->tells_ends = options->tells_ends;
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
	for (struct node_run *ended = node->ended, *next; ended; ended = next) {
		next = ended->next;
		free(ended);
	}
	contexts_drop_unused(node);
	value_map_done(&node->node_config);
	free(node);
}

/* ---- reconciling ---- */

/* Move a message that waits as far as its run allows. */
static void reconcile_waiting(struct node *node, struct message *message, struct node_now now)
{
	struct node_run *run = message->run;

	if (!run->fail_code)
		node_run_advance(node, run);
	if (run->fail_code)
		message_fail(node, message, now, run->fail_code, run->fail.text);
	else if (run->state == RUN_READY && message->state == MESSAGE_WAITING)
		message->state = MESSAGE_READY;
}

static void reconcile_message(struct node *node, struct message *message, struct node_now now)
{
	struct node_run *run = message->run;

	if (!run)
		return; /* it was answered, or dropped, before it had one, or its run is over */
	if (run->state == RUN_OVER) {
		message_drop(node, message, now, run->fail.text);
		message->run = NULL;
		node_run_leave(run);
	} else if (message->state <= MESSAGE_WAITING) {
		reconcile_waiting(node, message, now);
	}
}

/* Free what nobody needs any more. */
static void sweep(struct node *node)
{
	struct message *next;
	struct node_run *next_run;

	for (struct message *message = node->messages; message; message = next) {
		next = message->next;
		if (message->state == MESSAGE_REPORTED && message->worker == WORKER_NONE)
			message_free(node, message);
	}
	for (struct node_run *run = node->runs; run; run = next_run) {
		next_run = run->next;
		if (node_run_is_useless(run))
			node_run_free(node, run);
	}
}

void node_reconcile(struct node *node, struct node_now now)
{
	for (struct message *message = node->messages; message; message = message->next)
		reconcile_message(node, message, now);
	/* The next message may succeed where these have failed. */
	for (struct node_run *run = node->runs; run; run = run->next) {
		if (run->state != RUN_BROKEN)
			run->fail_code = 0;
	}
	queue_start(node, now);
	sweep(node);
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
		message_node_lost(node, message, now, why);
	for (struct node_run *run = node->runs; run; run = run->next)
		node_run_over(run, why);
	node_reconcile(node, now);
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
	node_reconcile(node, now);
}

bool node_wants_message(const struct node *node)
{
	return node->registered && !node->closed && queue_wants(node);
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
	node_reconcile(node, now);
}

/* ---- what the owner is told ---- */

static void action_fill(
	struct message *message, enum node_action_kind kind, struct node_action *out)
{
	*out = (struct node_action){.kind = kind,
		.message = message->number,
		.run_id = message->instruction.envelope.metadata.run_id,
		.form = message->form};
	switch (kind) {
	case NODE_START_WORKER:
		message->worker = WORKER_RUNNING;
		out->token = message->token;
		break;
	case NODE_STOP_WORKER:
		message->worker = WORKER_LEAVING;
		break;
	case NODE_PUSH_REPLY:
		message->state = MESSAGE_PUSHING;
		out->reply = &message->reply;
		out->runtime_s = message->runtime_s;
		break;
	case NODE_FINISHED:
		message->state = MESSAGE_REPORTED;
		out->code = message->code;
		out->text = message->code < 0 ? message->why.text
			    : message->reply.envelope.has_error
				    ? message->reply.envelope.error_reason
				    : "";
		break;
	case NODE_FETCH_RUN:
	case NODE_FETCH_FAB:
	case NODE_RUN_OVERLAPS:
	case NODE_RUN_ENDED:
	case NODE_ACTION_N:
		break;
	}
}

static bool owner_must(const struct message *message, enum node_action_kind kind)
{
	switch (kind) {
	case NODE_START_WORKER:
		return message->worker == WORKER_WANTED;
	case NODE_STOP_WORKER:
		return message->worker == WORKER_UNWANTED;
	case NODE_PUSH_REPLY:
		return message->state == MESSAGE_ANSWERED;
	case NODE_FINISHED:
		return message->state == MESSAGE_SETTLED;
	case NODE_FETCH_RUN:
	case NODE_FETCH_FAB:
	case NODE_RUN_OVERLAPS:
	case NODE_RUN_ENDED:
	case NODE_ACTION_N:
		break;
	}
	return false;
}

static bool message_action(struct node *node, struct node_action *out)
{
	/* Workers end before others start; a reply goes before its end is told. */
	static const enum node_action_kind kinds[] = {
		NODE_STOP_WORKER, NODE_PUSH_REPLY, NODE_FINISHED, NODE_START_WORKER};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		for (struct message *message = node->messages; message; message = message->next) {
			if (!owner_must(message, kinds[i]))
				continue;
			action_fill(message, kinds[i], out);
			return true;
		}
	}
	return false;
}

/* Messages of a run that is over are dropped before their workers are gone. */
static bool has_workers(const struct node *node, uint64_t run_id)
{
	for (const struct message *message = node->messages; message; message = message->next)
		if (message->worker != WORKER_NONE &&
			message->instruction.envelope.metadata.run_id == run_id)
			return true;
	return false;
}

static bool ended_action(struct node *node, struct node_action *out)
{
	for (struct node_run **at = &node->ended; *at; at = &(*at)->next) {
		struct node_run *ended = *at;

		if (has_workers(node, ended->run_id))
			continue;
		*out = (struct node_action){.kind = NODE_RUN_ENDED, .run_id = ended->run_id};
		*at = ended->next;
		free(ended);
		return true;
	}
	return false;
}

static bool run_action(struct node *node, struct node_action *out)
{
	if (ended_action(node, out))
		return true;
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
		if (run->want_overlap_told) {
			run->want_overlap_told = false;
			*out = (struct node_action){
				.kind = NODE_RUN_OVERLAPS, .run_id = run->run_id};
			return true;
		}
	}
	return false;
}

int node_next_action(struct node *node, struct node_action *out)
{
	sweep(node);
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
