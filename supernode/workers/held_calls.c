/*
 * held_calls: one list holds all calls that wait, the oldest first.
 */
#include "supernode/workers/held_calls.h"

#include "common/base/array.h"
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/number.h"
#include "common/message/instruction_codec.h"
#include "common/message/worker_api.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN_BODY_MAX 64    /* bytes of a request that is a token at most */
#define TOKEN_BODY_MS  10000 /* to receive one */
#define HELD_CALLS_MAX 64    /* others must ask again */

struct held_call {
	struct request *request;
	uint64_t token;                       /* whose end is waited for; 0: a message is */
	const struct held_question *question; /* without a token */
	void *arg;
	int64_t end_ms;
};

struct held_calls {
	struct admission *admission;
	struct worker_service service;
	struct held_call v[HELD_CALLS_MAX];
	size_t n;
	struct timer *timer;
	uint64_t *attended; /* tokens that were, those that live among them */
	size_t n_attended;
	bool stopping;
};

static void set_timer(struct held_calls *held)
{
	int64_t next_ms = CLOCK_NEVER;

	for (size_t i = 0; i < held->n; i++)
		if (held->v[i].end_ms < next_ms)
			next_ms = held->v[i].end_ms;
	timer_set(held->timer, next_ms);
}

/* Call i waits no longer; the function that takes it answers it. */
static struct request *take(struct held_calls *held, size_t i)
{
	struct request *request = held->v[i].request;

	held->n--;
	memmove(held->v + i, held->v + i + 1, (held->n - i) * sizeof held->v[0]);
	request_on_cancel(request, NULL, NULL);
	guests_busy(held->admission->guests, request->peer, -1);
	return request;
}

static void cancelled(void *arg, struct request *request)
{
	struct held_calls *held = arg;

	for (size_t i = 0; i < held->n; i++) {
		if (held->v[i].request != request)
			continue;
		take(held, i);
		break;
	}
	refuse_gone(request);
}

static bool has_room(const struct held_calls *held)
{
	return !held->stopping && held->n < HELD_CALLS_MAX;
}

static void add(struct held_calls *held, const struct held_call *call)
{
	held->v[held->n++] = *call;
	request_on_cancel(call->request, cancelled, held);
	guests_busy(held->admission->guests, call->request->peer, 1);
	set_timer(held);
}

static void late(void *arg)
{
	struct held_calls *held = arg;
	int64_t now = clock_now_ms();

	for (size_t i = 0; i < held->n;) {
		struct held_call call = held->v[i];

		if (call.end_ms > now && !held->stopping) {
			i++;
			continue;
		}
		take(held, i);
		if (!call.token)
			call.question->none(call.arg, call.request,
				held->stopping ? "the SuperNode is stopping" : "no message came");
		else
			refuse_quietly(held->admission, call.request, OUTCOME_FAILED_PRECONDITION,
				"the SuperNode is stopping");
	}
	set_timer(held);
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

bool held_calls_ask(struct held_calls *held, const struct held_question *question, void *arg,
	struct request *request)
{
	const char *details = "";
	int64_t wait_ms;

	if (question->give(arg, request, &details))
		return true;
	wait_ms = waits_ms(request);
	if (wait_ms && has_room(held))
		add(held, &(struct held_call){.request = request,
				  .question = question,
				  .arg = arg,
				  .end_ms = clock_after(clock_now_ms(), wait_ms)});
	else
		question->none(arg, request, details);
	return false;
}

/* ---- Attend ---- */

bool held_calls_attended(const struct held_calls *held, uint64_t token)
{
	for (size_t i = 0; i < held->n_attended; i++)
		if (held->attended[i] == token)
			return true;
	return false;
}

/* Remember that token is attended, in place of those that live no longer. -ENOMEM. */
static int remember(struct held_calls *held, uint64_t token)
{
	size_t n = 0;
	int r;

	for (size_t i = 0; i < held->n_attended; i++)
		if (held->attended[i] != token &&
			node_message_of(held->admission->node, held->attended[i]))
			held->attended[n++] = held->attended[i];
	held->n_attended = n;
	r = array_grow(&held->attended, n, sizeof *held->attended);
	if (r == 0)
		held->attended[held->n_attended++] = token;
	return r;
}

/* A number is the whole token of an inline message, but a part of a task's only. */
static struct message *find_inline(const struct held_calls *held, uint64_t token)
{
	struct message *message = node_message_of(held->admission->node, token);

	return message && node_message_form(message) == MESSAGE_INLINE ? message : NULL;
}

/* A task's token is in a header, and its message is given; an inline message's token is the body.
 */
static void handle_attend(void *dialect, struct request *request, struct message *message)
{
	struct held_calls *held = dialect;
	struct held_call call = {.request = request, .end_ms = CLOCK_NEVER};
	int r = message ? 0 : instruction_decode_token(&request->body, &call.token);

	if (message)
		call.token = node_message_token(message);
	else
		message = find_inline(held, call.token);
	if (r)
		refuse_errno(held->admission, request, r);
	else if (!message)
		refuse_quietly(held->admission, request, OUTCOME_INVALID_ARGUMENT,
			"the token is of no message that is being worked on");
	else if (!has_room(held))
		refuse_quietly(held->admission, request, OUTCOME_UNAVAILABLE,
			"too many calls are waiting");
	else if (remember(held, call.token) || admission_hold(held->admission, request, call.token))
		refuse_quietly(held->admission, request, OUTCOME_UNAVAILABLE, "no memory");
	else
		add(held, &call);
}

void held_calls_taken(struct held_calls *held, uint64_t token)
{
	for (size_t i = 0; i < held->n;) {
		struct slices nothing = {0};

		if (held->v[i].token == token)
			request_reply(take(held, i), &nothing);
		else
			i++;
	}
}

/* Refuse those who attend what is over, and was not answered by outputs of theirs. */
static void attended_over(struct held_calls *held)
{
	for (size_t i = 0; i < held->n;) {
		uint64_t token = held->v[i].token;

		if (!token || node_message_of(held->admission->node, token))
			i++;
		else
			refuse_quietly(held->admission, take(held, i), OUTCOME_FAILED_PRECONDITION,
				"the token is of no use any more");
	}
}

/* The first that waits for a message of this form; n: nobody does. */
static size_t first(const struct held_calls *held, enum message_form form)
{
	size_t i = 0;

	while (i < held->n && (held->v[i].token || held->v[i].question->form != form))
		i++;
	return i;
}

static void offer_form(struct held_calls *held, enum message_form form)
{
	const char *details;
	int64_t since_ms;

	for (size_t i; (i = first(held, form)) < held->n &&
		       node_offered(held->admission->node, form, &since_ms);) {
		struct held_call call = held->v[i];

		take(held, i);
		if (!call.question->give(call.arg, call.request, &details))
			call.question->none(call.arg, call.request, details);
	}
}

void held_calls_offer(struct held_calls *held)
{
	attended_over(held);
	offer_form(held, MESSAGE_INLINE);
	offer_form(held, MESSAGE_OBJECTS);
	set_timer(held);
}

void held_calls_stop(struct held_calls *held)
{
	held->stopping = true;
	late(held);
}

/* ---- life ---- */

static const struct worker_method methods[] = {
	{.name = "Attend",
		.body_max = TOKEN_BODY_MAX,
		.body_ms = TOKEN_BODY_MS,
		.rule = ADMIT_ANYONE,
		.handle = handle_attend},
};

struct held_calls *held_calls_new(struct admission *admission)
{
	struct held_calls *held = calloc(1, sizeof *held);

	if (!held)
		return NULL;
	held->admission = admission;
	held->service = (struct worker_service){.name = WORKER_API_ATTENDANCE,
		.table = methods,
		.n = ARRAY_LEN(methods),
		.dialect = held,
		.admission = admission};
	worker_service_init(&held->service);
	held->timer = timer_new(admission->loop, late, held);
	if (!held->timer) {
		held_calls_free(held);
		return NULL;
	}
	return held;
}

void held_calls_free(struct held_calls *held)
{
	if (!held)
		return;
	timer_free(held->timer);
	free(held->attended);
	free(held);
}

const struct service *held_calls_service(const struct held_calls *held)
{
	return &held->service.service;
}
