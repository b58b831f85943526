/*
 * One list for all who wait, those that came first, first.
 */
#include "supernode/workers/waiting.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/number.h"
#include "common/message/instruction_codec.h"
#include "common/message/task_codec.h"
#include "common/message/worker_api.h"
#include "supernode/workers/refuse.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN_BODY_MAX 64    /* bytes of a request that is a token at most */
#define TOKEN_BODY_MS  10000 /* to receive one */
#define WAITING_MAX    64    /* others must ask again */

struct caller {
	struct request *request;
	uint64_t token;         /* whose end is waited for; 0: a message is */
	enum message_form form; /* of the message */
	int64_t end_ms;
	bool taken; /* the outputs of token were */
};

struct waiting {
	struct log *log;
	struct node *node;
	struct guests *guests;
	struct service service;
	struct {
		const struct waiting_ops *ops;
		void *arg;
	} forms[MESSAGE_OBJECTS + 1];
	struct caller v[WAITING_MAX];
	size_t n;
	struct timer *timer;
	uint64_t *attended; /* tokens that were, those that live among them */
	size_t n_attended;
	bool stopping;
};

static void set_timer(struct waiting *waiting)
{
	int64_t next_ms = CLOCK_NEVER;

	for (size_t i = 0; i < waiting->n; i++)
		if (waiting->v[i].end_ms < next_ms)
			next_ms = waiting->v[i].end_ms;
	timer_set(waiting->timer, next_ms);
}

/* It waits no longer; its answer is the caller's business. */
static struct request *take(struct waiting *waiting, size_t i)
{
	struct request *request = waiting->v[i].request;

	waiting->n--;
	memmove(waiting->v + i, waiting->v + i + 1, (waiting->n - i) * sizeof waiting->v[0]);
	request_on_cancel(request, NULL, NULL);
	guests_busy(waiting->guests, request->peer, -1);
	return request;
}

static void cancelled(void *arg, struct request *request)
{
	struct waiting *waiting = arg;

	for (size_t i = 0; i < waiting->n; i++) {
		if (waiting->v[i].request != request)
			continue;
		take(waiting, i);
		break;
	}
	refuse_gone(request);
}

static bool add(struct waiting *waiting, const struct caller *caller)
{
	if (waiting->stopping || waiting->n == WAITING_MAX)
		return false;
	waiting->v[waiting->n++] = *caller;
	request_on_cancel(caller->request, cancelled, waiting);
	guests_busy(waiting->guests, caller->request->peer, 1);
	set_timer(waiting);
	return true;
}

static void none(struct waiting *waiting, enum message_form form, struct request *request,
	const char *details)
{
	waiting->forms[form].ops->none(waiting->forms[form].arg, request, details);
}

static bool give(struct waiting *waiting, enum message_form form, struct request *request,
	const char **details_out)
{
	return waiting->forms[form].ops->give(waiting->forms[form].arg, request, details_out);
}

static void late(void *arg)
{
	struct waiting *waiting = arg;
	int64_t now = clock_now_ms();

	for (size_t i = 0; i < waiting->n;) {
		struct caller caller = waiting->v[i];

		if (caller.end_ms > now && !waiting->stopping) {
			i++;
			continue;
		}
		take(waiting, i);
		if (!caller.token)
			none(waiting, caller.form, caller.request,
				waiting->stopping ? "the SuperNode is stopping"
						  : "no message came");
		else
			refuse_quietly(waiting->log, caller.request, OUTCOME_FAILED_PRECONDITION,
				"the SuperNode is stopping");
	}
	set_timer(waiting);
}

/* ---- questions ---- */

/* How long this caller is content to wait. */
static int64_t waits_ms(const struct request *request)
{
	const char *header = request_header(request, WORKER_API_WAIT_MS);
	uint64_t wait_ms = 0;

	if (!header || number_u64(header, &wait_ms))
		return 0;
	return wait_ms < WORKER_API_WAIT_MAX_MS ? (int64_t)wait_ms : WORKER_API_WAIT_MAX_MS;
}

bool waiting_ask(struct waiting *waiting, enum message_form form, struct request *request)
{
	const char *details = "";
	int64_t wait_ms;

	if (give(waiting, form, request, &details))
		return true;
	wait_ms = waits_ms(request);
	if (!wait_ms || !add(waiting, &(struct caller){.request = request,
					      .form = form,
					      .end_ms = clock_after(clock_now_ms(), wait_ms)}))
		none(waiting, form, request, details);
	return false;
}

/* ---- Attend ---- */

/* Whose end the caller wants to know. 0, -EBADMSG; *token_out 0: of none that is known. */
static int attended_token(
	const struct waiting *waiting, const struct request *request, uint64_t *token_out)
{
	const char *text = request_header(request, WORKER_API_TASK_TOKEN);

	if (!text)
		return instruction_decode_token(&request->body, token_out);
	if (!node_token_parse(waiting->node, text, token_out))
		*token_out = 0;
	return 0;
}

bool waiting_attended(const struct waiting *waiting, uint64_t token)
{
	for (size_t i = 0; i < waiting->n_attended; i++)
		if (waiting->attended[i] == token)
			return true;
	return false;
}

/* Remember that token is attended, in place of those that live no longer. -ENOMEM. */
static int remember(struct waiting *waiting, uint64_t token)
{
	uint64_t *v;
	uint64_t message;
	size_t n = 0;

	for (size_t i = 0; i < waiting->n_attended; i++)
		if (waiting->attended[i] != token &&
			node_token_live(waiting->node, waiting->attended[i], &message))
			waiting->attended[n++] = waiting->attended[i];
	waiting->n_attended = n;
	v = reallocarray(waiting->attended, n + 1, sizeof *v);
	if (!v)
		return -ENOMEM;
	waiting->attended = v;
	waiting->attended[waiting->n_attended++] = token;
	return 0;
}

static void handle_attend(void *server, struct request *request)
{
	struct waiting *waiting = server;
	uint64_t token = 0;
	uint64_t message;
	int r = attended_token(waiting, request, &token);

	guests_used(waiting->guests, request->peer);
	if (r)
		refuse_errno(waiting->guests, request, r);
	else if (!node_token_live(waiting->node, token, &message))
		refuse_quietly(waiting->log, request, OUTCOME_INVALID_ARGUMENT,
			"the token is of no message that is being worked on");
	else if (!guests_open(waiting->guests, request->peer))
		refuse_gone(request);
	else if (remember(waiting, token) ||
		 !add(waiting, &(struct caller){
				       .request = request, .token = token, .end_ms = CLOCK_NEVER}))
		refuse_quietly(
			waiting->log, request, OUTCOME_UNAVAILABLE, "too many calls are waiting");
	else
		guests_hold(waiting->guests, request->peer, token,
			request_header(request, GUESTS_SAID_HEADER));
}

void waiting_taken(struct waiting *waiting, uint64_t token)
{
	for (size_t i = 0; i < waiting->n; i++)
		if (waiting->v[i].token == token)
			waiting->v[i].taken = true;
}

/* Answer those who attend what is over: by outputs of theirs, or otherwise. */
static void attended_over(struct waiting *waiting)
{
	uint64_t message;

	for (size_t i = 0; i < waiting->n;) {
		struct slices nothing = {0};
		uint64_t token = waiting->v[i].token;

		if (!token || node_token_live(waiting->node, token, &message))
			i++;
		else if (waiting->v[i].taken)
			request_reply(take(waiting, i), &nothing);
		else
			refuse_quietly(waiting->log, take(waiting, i), OUTCOME_FAILED_PRECONDITION,
				"the token is of no use any more");
	}
}

/* The first that waits for a message of this form; n: nobody does. */
static size_t first(const struct waiting *waiting, enum message_form form)
{
	size_t i = 0;

	while (i < waiting->n && (waiting->v[i].token || waiting->v[i].form != form))
		i++;
	return i;
}

static void offer_form(struct waiting *waiting, enum message_form form)
{
	const char *details;
	int64_t since_ms;

	for (size_t i; (i = first(waiting, form)) < waiting->n &&
		       node_offered(waiting->node, form, &since_ms);) {
		struct request *request = take(waiting, i);

		if (!give(waiting, form, request, &details))
			none(waiting, form, request, details);
	}
}

void waiting_offer(struct waiting *waiting)
{
	attended_over(waiting);
	offer_form(waiting, MESSAGE_INLINE);
	offer_form(waiting, MESSAGE_OBJECTS);
	set_timer(waiting);
}

void waiting_stop(struct waiting *waiting)
{
	waiting->stopping = true;
	late(waiting);
}

/* ---- life ---- */

static const struct method methods[] = {
	{.name = "Attend",
		.body_max = TOKEN_BODY_MAX,
		.body_ms = TOKEN_BODY_MS,
		.handle = handle_attend},
};

struct waiting *waiting_new(
	struct loop *loop, struct log *log, struct node *node, struct guests *guests)
{
	struct waiting *waiting = calloc(1, sizeof *waiting);

	if (!waiting)
		return NULL;
	waiting->log = log;
	waiting->node = node;
	waiting->guests = guests;
	waiting->service = (struct service){.name = WORKER_API_ATTENDANCE,
		.methods = methods,
		.n_methods = ARRAY_LEN(methods),
		.server = waiting};
	waiting->timer = timer_new(loop, late, waiting);
	if (!waiting->timer) {
		waiting_free(waiting);
		return NULL;
	}
	return waiting;
}

void waiting_serve(
	struct waiting *waiting, enum message_form form, const struct waiting_ops *ops, void *arg)
{
	waiting->forms[form].ops = ops;
	waiting->forms[form].arg = arg;
}

void waiting_free(struct waiting *waiting)
{
	if (!waiting)
		return;
	timer_free(waiting->timer);
	free(waiting->attended);
	free(waiting);
}

const struct service *waiting_service(const struct waiting *waiting)
{
	return &waiting->service;
}
