#include "supernode/workers/held_tokens.h"

#include "common/base/array.h"

#include <stdlib.h>
#include <string.h>

struct held_token *held_tokens_find(const struct held_tokens *held, uint64_t token)
{
	for (size_t i = 0; i < held->n; i++)
		if (held->v[i].token == token)
			return &held->v[i];
	return NULL;
}

bool held_tokens_live(const struct held_tokens *held, token_lives_fn *lives, void *arg)
{
	for (size_t i = 0; i < held->n; i++)
		if (lives(arg, held->v[i].token))
			return true;
	return false;
}

static void remove_entry(struct held_tokens *held, struct held_token *entry)
{
	held->n--;
	memmove(entry, entry + 1, (size_t)(held->v + held->n - entry) * sizeof *entry);
}

int held_tokens_show(struct held_tokens *held, uint64_t token, token_lives_fn *lives, void *arg)
{
	struct held_token *entry;
	int r;

	for (size_t i = held->n; i > 0; i--)
		if (!lives(arg, held->v[i - 1].token))
			remove_entry(held, &held->v[i - 1]);
	entry = held_tokens_find(held, token);
	if (entry) {
		entry->claimed = false;
		return 0;
	}
	r = array_grow(&held->v, held->n, sizeof *held->v);
	if (r == 0)
		held->v[held->n++] = (struct held_token){.token = token};
	return r;
}

void held_tokens_release_claim(struct held_tokens *held, uint64_t token)
{
	struct held_token *entry = held_tokens_find(held, token);

	if (entry && entry->claimed)
		remove_entry(held, entry);
}

void held_tokens_done(struct held_tokens *held)
{
	free(held->v);
	*held = (struct held_tokens){0};
}
