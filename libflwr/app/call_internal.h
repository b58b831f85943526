/*
 * call_internal: how a node or a host calls a ClientApp. The caller makes content, reply, context
 * and message; call_run() does all between: mods, handler, what their result means. On the thread
 * that calls; log lines, progress and stopping of the handler's threads come through hooks.
 */
#ifndef FLWR_APP_CALL_INTERNAL_H
#define FLWR_APP_CALL_INTERNAL_H

#include "libflwr/app/dict_internal.h"

#include <flwr/clientapp.h>

/* Functions behind flwr_log(), flwr_progress() and flwr_stopping(). Any thread of the handler's
 * calls them, several at once. Each may be NULL: nothing, nothing, false. */
struct context_hooks {
	/* line is one line: cut at 8 KiB, control characters escaped. */
	void (*log)(void *arg, int level, const char *line);
	/* fraction is from 0 to 1; text is "" when there is none, else as line. Called as often as
	 * the handler does; showing few of them is the hook's part. */
	void (*progress)(void *arg, double fraction, const char *text);
	bool (*stopping)(void *arg);
};

/*
 * The context of a call, by value, and all that a handler can reach through its first member.
 * context_init() it, then fill pub. Its records and state are the caller's.
 */
struct call_context {
	struct flwr_context pub; /* first: a handler's pointer is this one */
	const void *mark;        /* of the library that made it */
	const struct context_hooks *hooks;
	void *arg;
	int log_level; /* enum flwr_level: lines above it are dropped before they are formatted */
};

/* hooks (static, or NULL) and arg (borrowed) for all calls with this context; log_level 0 is
 * FLWR_LOG_INFO. */
void context_init(struct call_context *context, const struct context_hooks *hooks, void *arg,
	int log_level) FLWR_PRIVATE(context_init);

/*
 * Is app a table that this release can serve: its size and version (FLWR_E_VERSION), and its
 * handlers and mods (FLWR_E_ARGUMENT: a type that is none, one that is there twice, a handler
 * without function)? Sentences begin with name ("digits.so"). 0 or negative with flwr_error().
 */
int app_check(const struct flwr_clientapp *app, const char *name) FLWR_PRIVATE(app_check);

/*
 * Call a checked app: mods from the outermost on, then the handler of call->message->type. content,
 * reply (empty), context (a call_context's pub) and message are set; user is set for each function
 * that is called. 0: reply and state are written and not spoilt. Negative: no reply; flwr_error()
 * is the sentence of the error reply, whose code is 2; what state holds then is not to be kept
 * (work on a dict_copy() and dict_swap() after success).
 */
int call_run(const struct flwr_clientapp *app, struct flwr_call *call) FLWR_PRIVATE(call_run);

/*
 * Translate the result of a user's function, as of handlers: 0 is 0; any of enum flwr_result is
 * FLWR_E_APP with flwr_error() as it stands; any other number is FLWR_E_APP with "what returned
 * -1". For methods of a flwr_client.
 */
int call_result(int result, const char *what) FLWR_PRIVATE(call_result);

/* Call before a user's function: a sentence that is left over from earlier does not become its
 * reason. what is the function's name, as of call_result(). */
void call_begin(const char *what) FLWR_PRIVATE(call_begin);

#endif
