/*
 * call: from a message to the functions of a ClientApp, and what their results mean.
 */
#include "libflwr/app/call_internal.h"
#include "libflwr/app/dict.h"
#include "libflwr/app/message_type.h"

#include <stdio.h>
#include <string.h>

/* The rest of a call: the mods from mod on, then the handler. */
struct flwr_next {
	const void *mark;
	const struct flwr_clientapp *app;
	const struct flwr_mod *mod; /* NULL: none are left */
	struct flwr_call *call;
};

void call_begin(const char *what)
{
	error_set(FLWR_E_APP, "%s failed without a reason", what);
}

int call_result(int result, const char *what)
{
	if (result == 0)
		return 0;
	if (result == FLWR_ABSENT || result == FLWR_ENDED ||
		(result <= FLWR_FAILED && result >= FLWR_E_SYSTEM))
		return FLWR_E_APP; /* the sentence is there */
	return error_set(FLWR_E_APP, "%s returned %d", what, result);
}

static const struct flwr_handler *find_handler(const struct flwr_clientapp *app, const char *type)
{
	for (const struct flwr_handler *handler = app->handlers; handler->type; handler++) {
		if (message_type_equal(handler->type, type))
			return handler;
	}
	return NULL;
}

/* Flower's sentences for a message that no function takes. */
static int no_handler(const char *type)
{
	struct message_type parts;

	if (!message_type_parse(type, &parts))
		return error_set(FLWR_E_APP, "Invalid message type: %s", type);
	return error_set(FLWR_E_APP, "No %.*s function registered with name '%s'",
		(int)parts.category_len, type, parts.action);
}

/* Call one function with its own user pointer. What it returns is a result of call_result(). */
static int call_mod(struct flwr_next *rest, const struct flwr_mod *mod)
{
	struct flwr_call *call = rest->call;
	void *before = call->user;
	char what[64];
	int r;

	snprintf(what, sizeof what, "a mod of %.40s", call->message->type);
	call->user = mod->user;
	r = mod->call(call, rest);
	call->user = before;
	return call_result(r, what);
}

static int call_handler(struct flwr_call *call, const struct flwr_handler *handler)
{
	void *before = call->user;
	int r;

	call->user = handler->user;
	r = handler->handle(call);
	call->user = before;
	return call_result(r, call->message->type);
}

static int call_from(const struct flwr_next *next)
{
	const char *type = next->call->message->type;
	const struct flwr_handler *handler;

	for (const struct flwr_mod *mod = next->mod; mod && mod->call; mod++) {
		struct flwr_next rest = *next;

		rest.mod = mod + 1;
		if (!mod->type || message_type_equal(mod->type, type))
			return call_mod(&rest, mod);
	}
	handler = find_handler(next->app, type);
	return handler ? call_handler(next->call, handler) : no_handler(type);
}

int flwr_call_next(struct flwr_next *next)
{
	const char *spoilt;

	if (!next || next->mark != &library_mark)
		return error_set(FLWR_E_ARGUMENT, "the flwr_next is none of this call's");
	spoilt = dict_spoilt(next->call->content);
	if (spoilt)
		return error_set(FLWR_E_APP, "the content cannot be handed on: %s", spoilt);
	return call_from(next);
}

int call_run(const struct flwr_clientapp *app, struct flwr_call *call)
{
	const char *type = call->message->type;
	struct flwr_clientapp known;
	struct flwr_next next = {.mark = &library_mark, .app = &known, .call = call};
	int r = table_read(app, &known, sizeof known, sizeof known, "struct flwr_clientapp");

	if (r < 0)
		return r;
	next.mod = known.mods;
	call->user = NULL;
	call_begin(type);
	r = call_from(&next);
	if (r == 0 && dict_spoilt(call->reply))
		r = error_set(FLWR_E_APP, "the reply of %s cannot be sent: %s", type,
			dict_spoilt(call->reply));
	if (r == 0 && call->context->state && dict_spoilt(call->context->state))
		r = error_set(FLWR_E_APP, "the state that %s left cannot be kept: %s", type,
			dict_spoilt(call->context->state));
	return r;
}
