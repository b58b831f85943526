/*
 * spelling: how the calls about a message that is objects are written (dialects 2 - 7 of the worker
 * API): the names of their methods, how the token travels, what the requests look like, what
 * carries them. Answers are the same in all of them. Pure: a table.
 */
#ifndef FLWR_API_SPELLING_H
#define FLWR_API_SPELLING_H

#include "clientapp/api/carrier.h"
#include "common/message/task_codec.h"

enum api_method {
	API_HEARTBEAT,
	API_PULL_INPUT,
	API_PULL_MESSAGE,
	API_PULL_OBJECT,
	API_CONFIRM,
	API_PUSH_MESSAGE,
	API_PUSH_OBJECT,
	API_PUSH_OUTPUT,
	API_METHOD_N
};

struct spelling {
	const char *since; /* the first release that has it: its name */
	enum carrier_kind carrier;
	const char *paths[API_METHOD_N];
	const char *token_header;
	/*
	 * The same but for names of methods: a SuperNode that does not know the input's, or the
	 * message's, is asked by these. NULL: there is none.
	 */
	const struct spelling *older;
	/* Requests, appended to *out: 0 or -ENOMEM. The first one is of API_HEARTBEAT and
	 * API_PULL_INPUT. */
	int (*token)(const char *token, struct slices *out);
	int (*pull)(const char *token, uint64_t run_id, struct slices *out);
	int (*push)(const char *token, uint64_t run_id, const struct task_messages *messages,
		struct slices *out);
	int (*output)(const char *token, uint64_t run_id, const struct task_output *output,
		struct slices *out);
};

/* Dialects 2 and 3; 4; 5, in its two forms; 6, which this project's SuperNode has, too; 7. */
extern const struct spelling spelling_1_20, spelling_1_26, spelling_1_30, spelling_1_32,
	spelling_1_34, spelling_1_35;

/* The spelling of that name; spelling_1_34 for NULL and what is none. */
const struct spelling *spelling_find(const char *since);

/* Does a SuperNode answer so to a method that it does not have? Flower's gRPC servers since 1.29
 * say UNAUTHENTICATED then. */
static inline bool spelling_is_unknown(enum outcome outcome)
{
	return outcome == OUTCOME_UNIMPLEMENTED || outcome == OUTCOME_UNAUTHENTICATED;
}

#endif
