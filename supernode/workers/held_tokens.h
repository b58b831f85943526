/*
 * held_tokens: the tokens that one connection of the worker API has shown or was given. Main
 * thread. Knows nothing about connections, nor which tokens live: its user tells.
 */
#ifndef FLWR_WORKERS_HELD_TOKENS_H
#define FLWR_WORKERS_HELD_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct held_token {
	uint64_t token;
	bool claimed; /* for a worker that will show it, too */
};

/* All zero: empty. */
struct held_tokens {
	struct held_token *v; /* grown by array_grow() */
	size_t n;
};

/* Does this token still live? */
typedef bool token_lives_fn(void *arg, uint64_t token);

/* The entry of this token, borrowed until the list changes; NULL: it is not held. */
struct held_token *held_tokens_find(const struct held_tokens *held, uint64_t token);

/* Is a token that lives among them? */
bool held_tokens_live(const struct held_tokens *held, token_lives_fn *lives, void *arg);

/* Add a token that was shown, which ends a claim of it; tokens that live no more are removed.
 * 0; -ENOMEM: it was not added. */
int held_tokens_show(struct held_tokens *held, uint64_t token, token_lives_fn *lives, void *arg);

/* Remove this token if it is only claimed. */
void held_tokens_release_claim(struct held_tokens *held, uint64_t token);

void held_tokens_done(struct held_tokens *held);

#endif
