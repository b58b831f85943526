/*
 * message_type: "train", "evaluate.custom": Flower's types of messages. For this folder only. Any
 * thread.
 */
#ifndef FLWR_APP_MESSAGE_TYPE_H
#define FLWR_APP_MESSAGE_TYPE_H

#include <stdbool.h>
#include <stddef.h>

struct message_type {
	size_t category_len; /* bytes of type before the dot */
	const char *action;  /* behind it; "default" without one. Points into type */
};

/* Is type one that an app can have a function for: train, evaluate or query, with a dot and an
 * identifier behind it or without? */
bool message_type_parse(const char *type, struct message_type *out);

/* Are both the same type ("train" and "train.default" are)? */
bool message_type_equal(const char *a, const char *b);

#endif
