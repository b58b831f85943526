#include "clientapp/api/spelling_search.h"

#include "clientapp/api/finder.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/pace.h"
#include "common/base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HEARTBEAT_MS      5000
#define RETRY_FIRST_MS    50
#define RETRY_MAX_MS      2000
#define RECEIVE_MAX_BYTES 65536

/* Over gRPC. What knows none of the others is the last. */
static const struct spelling *const spellings[] = {&spelling_1_34, &spelling_1_32, &spelling_1_26};

struct spelling_search {
	struct log *log;
	struct finder *finder;
	struct timer *timer; /* of the next call */
	struct carrier_handle *call;
	char *token;
	struct rpc_header header; /* that shows it */
	size_t at;                /* of spellings */
	int64_t wait_ms, end_ms;
	char lost[256]; /* why the last call had no answer */
	bool told;
	spelling_found_fn *found;
	void *arg;
	bool orphaned; /* freed while a call is out: its end frees */
};

static void drop(struct spelling_search *search)
{
	if (search->token)
		explicit_bzero(search->token, strlen(search->token));
	free(search->token);
	free(search);
}

static void try_later(struct spelling_search *search)
{
	int64_t now = clock_now_ms();
	int64_t at_ms =
		clock_after(now, pace_double(&search->wait_ms, RETRY_FIRST_MS, RETRY_MAX_MS));

	if (at_ms > search->end_ms) {
		search->found(search->arg, NULL, search->lost);
		return;
	}
	if (!search->told)
		log_warn(search->log, "the SuperNode cannot be reached: %s", search->lost);
	search->told = true;
	search->at = 0;
	carrier_reconnect(finder_carrier(search->finder));
	timer_set(search->timer, at_ms);
}

static void looked(void *arg, bool found)
{
	struct spelling_search *search = arg;

	if (!found)
		try_later(search);
	else if (finder_kind(search->finder) == CARRIER_HTTP)
		search->found(search->arg, &spelling_1_35, "");
	else
		timer_set(search->timer, 0);
}

static void answered(void *arg, struct carrier_result *result)
{
	struct spelling_search *search = arg;

	search->call = NULL;
	if (search->orphaned) {
		drop(search);
		return;
	}
	text_quote(result->details, strlen(result->details), search->lost, sizeof search->lost);
	if (result->outcome == OUTCOME_UNAVAILABLE) {
		finder_look(search->finder);
	} else if (result->outcome == OUTCOME_CANCELLED ||
		   result->outcome == OUTCOME_DEADLINE_EXCEEDED) {
		try_later(search);
	} else if (spelling_is_unknown(result->outcome) && search->at + 1 < ARRAY_LEN(spellings)) {
		search->at++;
		timer_set(search->timer, 0);
	} else {
		search->found(search->arg, spellings[search->at], "");
	}
}

static void ask(void *arg)
{
	struct spelling_search *search = arg;
	const struct spelling *spelling = spellings[search->at];
	const struct carrier_call call = {.path = spelling->paths[API_HEARTBEAT],
		.timeout_ms = HEARTBEAT_MS,
		.done = answered,
		.arg = search};
	struct slices body = {0};
	int r = spelling->token(search->token, &body);

	search->header.key = spelling->token_header;
	if (r == 0)
		r = carrier_call(finder_carrier(search->finder), &call, &body, &search->call);
	if (r) {
		snprintf(search->lost, sizeof search->lost, "no memory");
		try_later(search);
	}
}

int spelling_search_new(struct loop *loop, const struct spelling_search_options *options,
	struct spelling_search **out)
{
	struct spelling_search *search = calloc(1, sizeof *search);
	int r = 0;

	if (!search)
		return -ENOMEM;
	search->log = options->log;
	search->found = options->found;
	search->arg = options->arg;
	search->end_ms = clock_after(clock_now_ms(), options->retry_ms);
	search->timer = timer_new(loop, ask, search);
	search->token = strdup(options->task_token);
	if (!search->timer || !search->token)
		r = -ENOMEM;
	if (r == 0) {
		search->header = (struct rpc_header){
			spellings[0]->token_header, search->token, strlen(search->token)};
		r = finder_new(&(struct carrier_options){.rpc = options->rpc,
				       .http = options->http,
				       .address = options->address,
				       .tls = options->tls,
				       .receive_max_bytes = RECEIVE_MAX_BYTES,
				       .token = &search->header},
			looked, search, &search->finder);
	}
	if (r) {
		spelling_search_free(search);
		return r;
	}
	timer_set(search->timer, 0);
	*out = search;
	return 0;
}

void spelling_search_free(struct spelling_search *search)
{
	if (!search)
		return;
	timer_free(search->timer);
	search->orphaned = true;
	if (search->call)
		carrier_cancel(search->call);
	finder_free(search->finder);
	if (!search->call)
		drop(search);
}
