/*
 * by_token: what somebody who shows a token does with the node: the message of it is found, as the
 * worker API's server does it, and then asked for or answered.
 */
#ifndef FLWR_TEST_BY_TOKEN_H
#define FLWR_TEST_BY_TOKEN_H

#include "supernode/core/node.h"

static inline bool token_live(const struct node *node, uint64_t token, uint64_t *message_out)
{
	const struct message *message = node_message_of(node, token);

	if (message)
		*message_out = node_message_number(message);
	return message != NULL;
}

static inline bool token_parse(const struct node *node, const char *text, uint64_t *token_out)
{
	const struct message *message = node_message_of_text(node, text);

	if (message)
		*token_out = node_message_token(message);
	return message != NULL;
}

static inline void outputs_coming(struct node *node, uint64_t token)
{
	struct message *message = node_message_of(node, token);

	if (message)
		node_outputs_coming(node, message);
}

static inline enum outcome pull_inputs(struct node *node, struct node_now now, uint64_t token,
	struct instruction_inputs *out, const char **details_out)
{
	struct message *message;
	enum outcome outcome =
		node_find_message(node, token, MESSAGE_INLINE, &message, details_out);

	return outcome ? outcome : node_pull_inputs(node, now, message, out, details_out);
}

static inline enum outcome pull_task_inputs(struct node *node, struct node_now now, uint64_t token,
	struct task_inputs *out, const char **details_out)
{
	struct message *message;
	enum outcome outcome =
		node_find_message(node, token, MESSAGE_OBJECTS, &message, details_out);

	return outcome ? outcome : node_pull_task(node, now, message, out, details_out);
}

static inline const struct held_message *instruction_of(const struct node *node, uint64_t token)
{
	const struct message *message = node_message_of(node, token);

	return message && node_message_form(message) == MESSAGE_OBJECTS ? node_instruction(message)
									: NULL;
}

static inline enum outcome reply_begin(struct node *node, struct node_now now, uint64_t token,
	struct held_message *reply, const char **details_out)
{
	struct message *message;
	enum outcome outcome =
		node_find_message(node, token, MESSAGE_OBJECTS, &message, details_out);

	return outcome ? outcome : node_reply_begin(node, now, message, reply, details_out);
}

static inline struct object_set *reply_objects(const struct node *node, uint64_t token)
{
	const struct message *message = node_message_of(node, token);

	return message ? node_reply_objects(message) : NULL;
}

static inline enum outcome push_task(struct node *node, struct node_now now, uint64_t token,
	struct slices *context, const char **details_out)
{
	struct message *message;
	enum outcome outcome =
		node_find_message(node, token, MESSAGE_OBJECTS, &message, details_out);

	struct given_context given = {.bytes = slices_take(context)};

	if (outcome == OUTCOME_OK)
		outcome = node_push_task(node, now, message, &given, details_out);
	*context = slices_take(&given.bytes);
	given_context_done(&given);
	return outcome;
}

#endif
