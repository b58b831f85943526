/*
 * work_ways: the ways in which SuperNodes are asked for a message that is objects (dialects 2 - 7):
 * what is there, then the token of it, in two calls or in one. Pure: a table.
 */
#ifndef FLWR_API_WORK_WAYS_H
#define FLWR_API_WORK_WAYS_H

#include "clientapp/api/spelling.h"

struct work_way {
	const char *ask;   /* path */
	const char *claim; /* path; NULL: the answer to the first call has the token already */
	int (*request)(struct slices *out); /* of the first call; NULL: it is empty */
	/* The id of the task or run that was offered; 0: nothing was. */
	int (*offered)(const struct slices *bytes, uint64_t *id_out);
	int (*claim_request)(uint64_t id, struct slices *out);
	/* The token, the caller's; NULL: somebody else has it, or there is none. */
	int (*token)(const struct slices *bytes, char **token_out);
	const struct spelling *spelling; /* of the worker's calls then */
};

/* The first way over this carrier; the one after it, NULL after the last. */
const struct work_way *work_way_first(enum carrier_kind carrier);
const struct work_way *work_way_next(const struct work_way *way);

#endif
