/*
 * token: which worker may speak for which message. A token lives in its message; there are as many
 * as slots, so that every look-up can afford to compare them all.
 */
#include "supernode/core/node_internal.h"

#include "common/base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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
		for (size_t i = 0; i < TOKEN_TAIL; i++)
			message->token_tail[i] = node->random(node->random_arg);
		return 0;
	}
	return -EAGAIN;
}

static void write_text(const struct message *message, char out[NODE_TOKEN_TEXT_BYTES])
{
	snprintf(out, NODE_TOKEN_TEXT_BYTES, "%016" PRIx64, message->token);
	for (size_t i = 0; i < TOKEN_TAIL; i++)
		snprintf(out + 16 * (i + 1), 17, "%016" PRIx64, message->token_tail[i]);
}

bool node_token_text(const struct node *node, uint64_t token, char out[NODE_TOKEN_TEXT_BYTES])
{
	const struct message *message = token_find(node, token);

	if (message)
		write_text(message, out);
	return message != NULL;
}

/* The words that text stands for: text is what write_text() makes of them, and nothing else. */
static bool read_text(const char *text, uint64_t words[1 + TOKEN_TAIL])
{
	static const char digits[] = "0123456789abcdef";

	if (strlen(text) != NODE_TOKEN_TEXT_BYTES - 1)
		return false;
	for (size_t i = 0; text[i]; i++) {
		const char *digit = strchr(digits, text[i]);

		if (!digit)
			return false;
		words[i / 16] = words[i / 16] << 4 | (uint64_t)(digit - digits);
	}
	return true;
}

struct message *node_message_of_text(const struct node *node, const char *text)
{
	uint64_t words[1 + TOKEN_TAIL] = {0};
	struct message *found = NULL;
	uint64_t differs = 0;

	if (read_text(text, words))
		found = node_message_of(node, words[0]);
	/* The loop compares all words, as token_find() does, so that its time tells nothing. */
	for (size_t i = 0; found && i < TOKEN_TAIL; i++)
		differs |= found->token_tail[i] ^ words[i + 1];
	explicit_bzero(words, sizeof words);
	return differs ? NULL : found;
}

static void claim(struct message *message, struct node_now now, uint64_t *token_out)
{
	message->state = MESSAGE_STARTED;
	message->work_end_ms = clock_after(now.ms, NODE_WORKER_READY_MS);
	if (message->form == MESSAGE_OBJECTS)
		message->alive_end_ms = clock_after(now.ms, NODE_CLAIM_MS);
	*token_out = message->token;
}

bool node_claim(struct node *node, struct node_now now, uint64_t number, uint64_t *token_out)
{
	struct message *message = message_find(node, number);

	if (!message || message->state != MESSAGE_OFFERED || message->form != MESSAGE_OBJECTS)
		return false;
	claim(message, now, token_out);
	return true;
}

enum outcome node_get_token(
	struct node *node, struct node_now now, uint64_t *token_out, const char **details_out)
{
	*details_out = "no message is there";
	for (struct message *message = node->messages; message; message = message->next) {
		if (message_at_work(message))
			*details_out = "the token of the message was handed out already";
		if (message->state != MESSAGE_OFFERED || message->form != MESSAGE_INLINE)
			continue;
		claim(message, now, token_out);
		return OUTCOME_OK;
	}
	return OUTCOME_FAILED_PRECONDITION;
}

void node_token_in_body(struct message *message)
{
	message->in_body = true;
}

uint64_t node_token_of_bodies(const struct node *node, size_t i)
{
	for (const struct message *message = node->messages; message; message = message->next)
		if (message->in_body && message->beats && message_is_pulled(message) && i-- == 0)
			return message->token;
	return 0;
}

bool node_expects_outputs(const struct node *node)
{
	for (const struct message *message = node->messages; message; message = message->next) {
		if (message->in_body && message_is_pulled(message))
			return true;
	}
	return false;
}

struct message *node_message_of(const struct node *node, uint64_t token)
{
	struct message *message = token_find(node, token);

	return message && message_at_work(message) ? message : NULL;
}

uint64_t node_message_number(const struct message *message)
{
	return message->number;
}

uint64_t node_message_token(const struct message *message)
{
	return message->token;
}

enum message_form node_message_form(const struct message *message)
{
	return message->form;
}

bool node_message_live(const struct node *node, uint64_t number)
{
	const struct message *message = message_find(node, number);

	return message && message_at_work(message);
}
