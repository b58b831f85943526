/*
 * token: which worker may speak for which message. A token lives in its message; there are as many
 * as slots, so that every look-up can afford to compare them all.
 */
#include "supernode/node/node_internal.h"

#include "common/base/clock.h"

#include <errno.h>

#define TOKEN_TRIES 16

struct message *token_find(const struct node *node, uint64_t token)
{
	uintptr_t found = 0;

	/* All are compared, without a branch on the outcome: how long it takes says nothing. */
	for (struct message *message = node->messages; message; message = message->next) {
		uint64_t differs = message->token ^ token;
		uintptr_t mask = (uintptr_t)((differs | -differs) >> 63) - 1;

		found |= (uintptr_t)message & mask;
	}
	/* 0 is what messages without a token have. */
	return token ? (struct message *)found : NULL;
}

int token_issue(const struct node *node, struct message *message)
{
	for (int tries = 0; tries < TOKEN_TRIES; tries++) {
		uint64_t token = node->random(node->random_arg);

		if (!token || token_find(node, token))
			continue;
		message->token = token;
		return 0;
	}
	return -EAGAIN;
}

enum outcome node_get_token(
	struct node *node, struct node_now now, uint64_t *token_out, const char **details_out)
{
	*details_out = "no message is there";
	for (struct message *message = node->messages; message; message = message->next) {
		if (message_at_work(message))
			*details_out = "the token of the message was handed out already";
		if (message->state != MESSAGE_OFFERED)
			continue;
		message->state = MESSAGE_STARTED;
		message->work_end_ms = clock_after(now.ms, NODE_WORKER_READY_MS);
		*token_out = message->token;
		return OUTCOME_OK;
	}
	return OUTCOME_FAILED_PRECONDITION;
}

bool node_expects_outputs(const struct node *node)
{
	for (const struct message *message = node->messages; message; message = message->next) {
		if (message->state == MESSAGE_WORKING)
			return true;
	}
	return false;
}

bool node_token_live(const struct node *node, uint64_t token, uint64_t *message_out)
{
	const struct message *message = token_find(node, token);

	if (!message || !message_at_work(message))
		return false;
	*message_out = message->number;
	return true;
}

bool node_message_live(const struct node *node, uint64_t number)
{
	const struct message *message = message_find(node, number);

	return message && message_at_work(message);
}
