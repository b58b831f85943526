/*
 * queue: which message gets the next free slot. Each run has a queue of its own, in the order in
 * which its messages came; runs take turns. So a slow run delays another one by its own slots only.
 * The messages of one run hand a Context on, so that one of them is at work at a time, unless the
 * owner wants otherwise; runs of one series share a Context and so do the same.
 */
#include "supernode/core/node_internal.h"

static bool has_reply(const struct message *message)
{
	return message->state >= MESSAGE_REFUSED;
}

/* May a worker read or leave the Context for the message from now on? */
static bool uses_context(const struct message *message)
{
	return message->worker != WORKER_NONE && !has_reply(message);
}

static bool share_context(const struct node_run *one, const struct node_run *other)
{
	return one == other || (one->context && one->context == other->context);
}

/* Does message have to wait until other has its reply? */
static bool must_follow(const struct message *message, const struct message *other)
{
	if (other == message || has_reply(other) || !other->run || !message->run)
		return false;
	if (other->run == message->run && other->number < message->number)
		return true;
	return uses_context(other) && share_context(other->run, message->run);
}

bool queue_blocks(const struct node *node, const struct message *message)
{
	if (node->parallel_in_run)
		return false;
	for (const struct message *other = node->messages; other; other = other->next) {
		if (must_follow(message, other))
			return true;
	}
	return false;
}

/* The oldest message of the run that was served longest ago; NULL: none can be started. */
static struct message *next_message(const struct node *node)
{
	struct message *next = NULL;

	for (struct message *message = node->messages; message; message = message->next) {
		if (message->state != MESSAGE_READY || queue_blocks(node, message))
			continue;
		if (!next || message->run->served < next->run->served)
			next = message;
	}
	return next;
}

/* Messages of the run are at work at once: the owner is told when that is the case first. */
static void note_overlap(const struct node *node, const struct message *message)
{
	for (const struct message *other = node->messages; other; other = other->next) {
		if (other == message || other->run != message->run || !uses_context(other))
			continue;
		if (!message->run->overlaps)
			message->run->want_overlap_told = true;
		message->run->overlaps = true;
		return;
	}
}

void queue_join(const struct node *node, struct node_run *run)
{
	run->served = node->last_served ? node->last_served - 1 : 0;
}

void queue_start(struct node *node, struct node_now now)
{
	struct message *message;
	unsigned used = 0;

	for (message = node->messages; message; message = message->next)
		used += message->worker != WORKER_NONE;
	while (used < node->slots && (message = next_message(node))) {
		if (node->parallel_in_run)
			note_overlap(node, message);
		node->last_served += 2;
		message->run->served = node->last_served;
		message_start(node, message, now);
		used += message->worker != WORKER_NONE;
	}
}

/* Messages ahead of their turn have half of the budget at most: the rest is for those at work. */
static bool has_room_ahead(const struct node *node, unsigned ahead)
{
	return ahead == 0 ||
	       (ahead < NODE_AHEAD_MAX && node->budget->used_bytes < node->budget->limit_bytes / 2);
}

bool queue_wants(const struct node *node)
{
	unsigned busy = 0, ahead = 0;

	for (const struct message *message = node->messages; message; message = message->next) {
		if (message->state >= MESSAGE_SETTLED)
			continue;
		if (message->worker == WORKER_NONE && !has_reply(message) &&
			queue_blocks(node, message))
			ahead++;
		else
			busy++;
	}
	return busy < node->slots && has_room_ahead(node, ahead);
}
