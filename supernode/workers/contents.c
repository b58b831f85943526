/*
 * One list for the requests that wait and those that are received, those that came first, first.
 */
#include "supernode/workers/contents.h"

#include "common/base/clock.h"
#include "supernode/workers/admission.h"

#include <stdlib.h>
#include <string.h>

/* A request whose body is not here yet. */
struct coming {
	struct request *request;
	uint64_t token; /* that its caller has shown; 0: none */
	enum message_form form;
	bool receiving; /* it has a place */
};

struct contents {
	struct admission *admission;
	struct coming v[CONTENTS_MAX + CONTENTS_QUEUE_MAX];
	size_t n;
	size_t taken; /* places; those of contents that are dealt with among them */
	uint64_t handled[CONTENTS_MAX]; /* the tokens of contents that are dealt with */
	size_t handled_n;
	struct timer *timer;
	int64_t anonymous_end_ms; /* of the anonymous content that is received, if others wait */
	uint64_t anonymous_bytes; /* that have come on its connection */
};

static struct coming *find(struct contents *contents, const struct request *request)
{
	for (size_t i = 0; i < contents->n; i++)
		if (contents->v[i].request == request)
			return &contents->v[i];
	return NULL;
}

/* Find the content of an anonymous caller that is being received. */
static struct coming *find_anonymous(struct contents *contents)
{
	for (size_t i = 0; i < contents->n; i++)
		if (contents->v[i].receiving && !contents->v[i].token)
			return &contents->v[i];
	return NULL;
}

static size_t count_waiting(const struct contents *contents)
{
	size_t n = 0;

	for (size_t i = 0; i < contents->n; i++)
		n += !contents->v[i].receiving;
	return n;
}

/* Count the contents of this token (0: of anonymous callers) that are being received, or wait. */
static size_t count_of(const struct contents *contents, uint64_t token, bool receiving)
{
	size_t n = 0;

	for (size_t i = 0; i < contents->n; i++)
		n += contents->v[i].token == token && contents->v[i].receiving == receiving;
	return n;
}

/* Count the places that this token (0: anonymous callers) has. */
static size_t count_places(const struct contents *contents, uint64_t token)
{
	size_t n = count_of(contents, token, true);

	for (size_t i = 0; i < contents->handled_n; i++)
		n += contents->handled[i] == token;
	return n;
}

/* The body is complete, or will not be: entry leaves the list. */
static struct coming take(struct contents *contents, struct coming *entry)
{
	struct guests *guests = contents->admission->guests;
	struct coming coming = *entry;
	size_t i = (size_t)(entry - contents->v);

	contents->n--;
	memmove(entry, entry + 1, (contents->n - i) * sizeof *entry);
	request_on_cancel(coming.request, NULL, NULL);
	guests_busy(guests, coming.request->peer, -1);
	if (coming.receiving && !coming.token) {
		guests_content(guests, coming.request->peer, -1);
		timer_set(contents->timer, CLOCK_NEVER);
	}
	return coming;
}

/* The same of one that will not be complete: its place is free. */
static struct request *give_up(struct contents *contents, struct coming *entry)
{
	struct coming coming = take(contents, entry);

	if (coming.receiving)
		contents->taken--;
	return coming.request;
}

/* ---- tokens that end ---- */

static bool is_over(const struct contents *contents, const struct coming *coming)
{
	const struct node *node = contents->admission->node;

	return coming->token ? !node_message_of(node, coming->token) : !node_expects_outputs(node);
}

/* No complaint: the caller could not know. */
static void refuse_over(struct contents *contents, struct coming *coming)
{
	bool task = coming->token && coming->form == MESSAGE_OBJECTS;

	refuse_quietly(contents->admission, give_up(contents, coming),
		task ? OUTCOME_UNAUTHENTICATED : OUTCOME_FAILED_PRECONDITION,
		task ? ADMISSION_TOKEN_OVER : ADMISSION_NO_OUTPUTS);
}

static struct coming *find_over(struct contents *contents)
{
	for (size_t i = 0; i < contents->n; i++)
		if (is_over(contents, &contents->v[i]))
			return &contents->v[i];
	return NULL;
}

/* ---- who is next ---- */

/* Find the content that waits whose token has fewest places; among equals the first. */
static struct coming *find_next(struct contents *contents)
{
	struct coming *next = NULL;
	size_t of_next = 0;

	for (size_t i = 0; contents->taken < CONTENTS_MAX && i < contents->n; i++) {
		struct coming *at = &contents->v[i];
		const size_t has = count_places(contents, at->token);

		if (at->receiving || has >= (at->token ? CONTENTS_TOKEN_MAX : 1))
			continue;
		if (!next || has < of_next) {
			next = at;
			of_next = has;
		}
	}
	return next;
}

static void anonymous_begin(struct contents *contents, const struct request *request)
{
	struct guests *guests = contents->admission->guests;

	guests_content(guests, request->peer, 1);
	contents->anonymous_end_ms = clock_after(clock_now_ms(), CONTENTS_ANONYMOUS_MS);
	contents->anonymous_bytes = guests_received(guests, request->peer);
	timer_set(contents->timer, clock_after(clock_now_ms(), CONTENTS_STALL_MS));
}

static void begin(struct contents *contents, struct coming *coming)
{
	struct node *node = contents->admission->node;
	struct request *request = coming->request;

	coming->receiving = true;
	contents->taken++;
	if (!coming->token)
		anonymous_begin(contents, request);
	else if (coming->form == MESSAGE_INLINE)
		/* Its outputs take the place of its inputs. */
		node_outputs_coming(node, node_message_of(node, coming->token));
	request_admit(request);
}

void contents_sweep(struct contents *contents)
{
	struct coming *coming;

	while ((coming = find_over(contents)))
		refuse_over(contents, coming);
	/* handle() may run inside. */
	while ((coming = find_next(contents)))
		begin(contents, coming);
}

/* ---- ends ---- */

static void cancelled(void *arg, struct request *request)
{
	struct contents *contents = arg;

	give_up(contents, find(contents, request));
	refuse_gone(request);
	contents_sweep(contents);
}

/* Slow is fine, but not while others wait; and something has to come. */
static void anonymous_late(void *arg)
{
	struct contents *contents = arg;
	struct coming *anonymous = find_anonymous(contents);
	uint64_t bytes = guests_received(contents->admission->guests, anonymous->request->peer);
	bool others_wait = count_of(contents, 0, false) > 0;

	if (bytes != contents->anonymous_bytes &&
		!(others_wait && clock_now_ms() >= contents->anonymous_end_ms)) {
		contents->anonymous_bytes = bytes;
		timer_set(contents->timer, clock_after(clock_now_ms(), CONTENTS_STALL_MS));
		return;
	}
	refuse(contents->admission, give_up(contents, anonymous), OUTCOME_DEADLINE_EXCEEDED,
		"the outputs came too slowly");
	contents_sweep(contents);
}

/* ---- what others call ---- */

static void refuse_full(struct contents *contents, struct request *request)
{
	refuse(contents->admission, request, OUTCOME_RESOURCE_EXHAUSTED,
		"too many contents are waiting to be received");
}

/* Find the newest content that waits of the token that has most in the queue. */
static struct coming *find_crowd(struct contents *contents, size_t *of_it_out)
{
	struct coming *crowd = NULL;

	*of_it_out = 0;
	for (size_t i = 0; i < contents->n; i++) {
		struct coming *at = &contents->v[i];
		const size_t waiting = count_of(contents, at->token, false);

		if (!at->receiving && waiting >= *of_it_out) {
			crowd = at;
			*of_it_out = waiting;
		}
	}
	return crowd;
}

/* May one more wait of this token (0: of an anonymous caller)? In a full queue a token that has
 * more makes room. */
static bool make_room(struct contents *contents, uint64_t token)
{
	const size_t waiting = count_of(contents, token, false);
	struct coming *crowd;
	size_t of_crowd;

	if (!token && waiting == CONTENTS_ANONYMOUS_MAX)
		return false;
	if (count_waiting(contents) < CONTENTS_QUEUE_MAX)
		return true;
	crowd = find_crowd(contents, &of_crowd);
	if (!token || of_crowd <= waiting + 1)
		return false;
	refuse_full(contents, give_up(contents, crowd));
	return true;
}

void contents_admit(
	struct contents *contents, struct request *request, const struct message *message)
{
	const uint64_t token = message ? node_message_token(message) : 0;

	if (!make_room(contents, token)) {
		refuse_full(contents, request);
		return;
	}
	request_on_cancel(request, cancelled, contents);
	guests_busy(contents->admission->guests, request->peer, 1);
	contents->v[contents->n++] = (struct coming){
		.request = request,
		.token = token,
		.form = message ? node_message_form(message) : MESSAGE_INLINE,
	};
	contents_sweep(contents);
}

uint64_t contents_received(struct contents *contents, struct request *request)
{
	const uint64_t token = take(contents, find(contents, request)).token;

	contents->handled[contents->handled_n++] = token;
	contents_sweep(contents);
	return token;
}

void contents_release(struct contents *contents, uint64_t place)
{
	size_t i = 0;

	while (contents->handled[i] != place)
		i++;
	contents->handled[i] = contents->handled[--contents->handled_n];
	contents->taken--;
	contents_sweep(contents);
}

bool contents_at_hand(const struct contents *contents)
{
	if (contents->handled_n)
		return true;
	for (size_t i = 0; i < contents->n; i++)
		if (contents->v[i].receiving && !contents->v[i].token)
			return true;
	return false;
}

struct contents *contents_new(struct admission *admission)
{
	struct contents *contents = calloc(1, sizeof *contents);

	if (!contents)
		return NULL;
	contents->admission = admission;
	contents->timer = timer_new(admission->loop, anonymous_late, contents);
	if (!contents->timer) {
		contents_free(contents);
		return NULL;
	}
	return contents;
}

void contents_free(struct contents *contents)
{
	if (!contents)
		return;
	timer_free(contents->timer);
	free(contents);
}
