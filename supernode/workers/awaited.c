#include "supernode/workers/awaited.h"

#include "common/base/clock.h"
#include "supernode/workers/admission.h"

#include <stdlib.h>
#include <string.h>

struct early {
	struct request *request;
	int64_t end_ms;
};

struct awaited {
	struct admission *admission;
	struct early v[AWAITED_MAX]; /* those that came first, first */
	size_t n;
	struct timer *timer;
	bool stopped;
};

/* Is a worker at work that shows its token in bodies, and on no connection that is open? */
static bool is_away(const struct awaited *awaited)
{
	const struct admission *admission = awaited->admission;
	uint64_t token;

	for (size_t i = 0; (token = node_token_of_bodies(admission->node, i)); i++)
		if (!guests_held(admission->guests, token))
			return true;
	return false;
}

/* Call i waits no longer. */
static struct request *take(struct awaited *awaited, size_t i)
{
	struct guests *guests = awaited->admission->guests;
	struct request *request = awaited->v[i].request;

	awaited->n--;
	memmove(awaited->v + i, awaited->v + i + 1, (awaited->n - i) * sizeof awaited->v[0]);
	request_on_cancel(request, NULL, NULL);
	guests_content(guests, request->peer, -1);
	guests_busy(guests, request->peer, -1);
	return request;
}

static void cancelled(void *arg, struct request *request)
{
	struct awaited *awaited = arg;

	for (size_t i = 0; i < awaited->n; i++) {
		if (awaited->v[i].request != request)
			continue;
		take(awaited, i);
		break;
	}
	refuse_gone(request);
}

static void look(void *arg)
{
	struct awaited *awaited = arg;
	const int64_t now_ms = clock_now_ms();

	for (size_t i = 0; i < awaited->n;) {
		const struct early *early = &awaited->v[i];

		if (guests_holds(awaited->admission->guests, early->request->peer, 0) ||
			now_ms >= early->end_ms || awaited->stopped || !is_away(awaited))
			admission_admit(awaited->admission, take(awaited, i));
		else
			i++;
	}
	timer_set(awaited->timer, awaited->n ? awaited->v[0].end_ms : CLOCK_NEVER);
}

bool awaited_keep(struct awaited *awaited, struct request *request)
{
	struct guests *guests = awaited->admission->guests;

	if (awaited->n == AWAITED_MAX || awaited->stopped || !is_away(awaited))
		return false;
	request_on_cancel(request, cancelled, awaited);
	guests_busy(guests, request->peer, 1);
	/* Bytes of its body come meanwhile, as many as its window is wide. */
	guests_content(guests, request->peer, 1);
	awaited->v[awaited->n++] = (struct early){
		.request = request, .end_ms = clock_after(clock_now_ms(), AWAITED_MS)};
	timer_set(awaited->timer, awaited->v[0].end_ms);
	return true;
}

void awaited_look(struct awaited *awaited)
{
	if (awaited->n)
		timer_set(awaited->timer, 0);
}

void awaited_stop(struct awaited *awaited)
{
	awaited->stopped = true;
	look(awaited);
}

struct awaited *awaited_new(struct admission *admission)
{
	struct awaited *awaited = calloc(1, sizeof *awaited);

	if (!awaited)
		return NULL;
	awaited->admission = admission;
	awaited->timer = timer_new(admission->loop, look, awaited);
	if (!awaited->timer) {
		awaited_free(awaited);
		return NULL;
	}
	return awaited;
}

void awaited_free(struct awaited *awaited)
{
	if (!awaited)
		return;
	timer_free(awaited->timer);
	free(awaited);
}
