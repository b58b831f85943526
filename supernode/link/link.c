#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "supernode/link/link_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_GAP_MS 1000 /* between two looks at what a failing SuperLink speaks now */

/* ---- what listens ---- */

/* Have a transport to what was found. */
static int connect_to(struct link *link, enum probe_result found)
{
	const struct transport_kind *kind = link->kinds[found];
	struct transport *transport;
	int r;

	if (link->transport && link->kind == kind && strcmp(link->address, link->connected) == 0)
		return 0;
	r = link->connector->ops->open(link->connector, kind, &transport);
	if (r)
		return r;
	if (link->transport)
		link->transport->ops->free(link->transport);
	link->transport = transport;
	link->kind = kind;
	snprintf(link->connected, sizeof link->connected, "%s", link->address);
	return 0;
}

static void set_address(struct link *link)
{
	snprintf(link->address, sizeof link->address, "%s",
		link->connector->ops->address(link->connector));
}

static void found(void *arg, enum probe_result result, const struct reason *why)
{
	static const struct reason no_memory = {.text = "no memory for a connection"};
	struct link *link = arg;

	set_address(link);
	if (probe_answers(result) && connect_to(link, result)) {
		result = PROBE_ABSENT;
		why = &no_memory;
	}
	link->find_done(link->find_arg, result, why);
}

int link_find(struct link *link, probe_done_fn *done, void *arg)
{
	link->find_done = done;
	link->find_arg = arg;
	return link->connector->ops->probe(link->connector, found, link);
}

void link_first_transport(struct link *link)
{
	link->tried = 0;
}

bool link_next_address(struct link *link)
{
	return link->connector->ops->next(link->connector);
}

const struct transport_kind *link_speaks(const struct link *link)
{
	return link->kind;
}

bool link_next_transport(struct link *link)
{
	const struct transport_kind *const *table = link->connector->transports;
	enum probe_result line = link->kind->line;

	link->kinds[line] = transport_next(table, link->kind);
	if (++link->tried < transport_count(table, line))
		return true;
	link->tried = 0;
	return false;
}

const char *link_address(const struct link *link)
{
	return link->address;
}

/* ---- has the SuperLink been replaced? ---- */

/* Must not be called from a callback of one of its calls. */
static void retired_free(struct link *link)
{
	if (!link->retired || link->retired_out)
		return;
	link->retired->ops->free(link->retired);
	link->retired = NULL;
}

static void retirement_fire(void *arg)
{
	retired_free(arg);
}

void link_retired_home(struct link *link)
{
	if (--link->retired_out == 0)
		timer_set(link->retirement, 0);
}

/*
 * A SuperLink that has kept its data knows this node, and waits for its replies: go on there. If it
 * does not, it says so to a heartbeat. What is out at the old one ends, and is tried again.
 */
static int move(struct link *link, enum probe_result result)
{
	struct transport *fresh;
	struct call *call;
	int r = link->connector->ops->open(link->connector, link->kinds[result], &fresh);

	if (r)
		return r;
	link->retired = link->transport;
	link->transport = fresh;
	link->kind = link->kinds[result];
	LIST_FOREACH(call, &link->calls, entry)
	{
		link->retired_out += call->handle != NULL;
		call_break(call);
	}
	timer_set(link->retirement, 0);
	return 0;
}

static void found_again(void *arg, enum probe_result result, const struct reason *why)
{
	struct link *link = arg;
	bool moved;

	(void)why;
	link->looking = false;
	if (!link->watching || !probe_answers(result) || result == link->kind->line)
		return;
	log_warn(link->options.log,
		"SuperLink %s: has been replaced by another one, which may speak %s; going on there",
		link->address, link->kinds[result]->name);
	retired_free(link);
	moved = !link->retired && move(link, result) == 0;
	link->options.news(link->options.arg, moved ? LINK_MOVED : LINK_REPLACED, NULL);
}

void link_look_again(struct link *link)
{
	int64_t now_ms = clock_now_ms();

	if (!link->watching || link->looking || now_ms - link->looked_ms < LOOK_GAP_MS)
		return;
	link->looked_ms = now_ms;
	link->looking = link->connector->ops->probe(link->connector, found_again, link) == 0;
}

/* ---- who calls ---- */

void link_set_key(struct link *link, struct auth *key)
{
	auth_free(link->fresh_key);
	if (key)
		auth_set_clock_offset(key, link->options.clock_offset_s);
	link->fresh_key = key;
}

const struct auth *link_key(const struct link *link)
{
	return link->fresh_key ? link->fresh_key : link->key;
}

/* ---- the calls of a node ---- */

void link_open_calls(struct link *link, int64_t reuse_ms)
{
	link->reuse_ms = reuse_ms;
	link->open = true;
	link->watching = true;
	link->tried = 0;
}

static void stop_watching(struct link *link)
{
	link->open = false;
	link->watching = false;
	link->looking = false;
	link->connector->ops->cancel(link->connector);
}

void link_close_calls(struct link *link)
{
	struct call *call;

	stop_watching(link);
	LIST_FOREACH(call, &link->calls, entry)
	{
		if (call->kind->awaited && call_is_out(call))
			call->last = true;
		else
			call_cancel(call);
	}
}

void link_reopen_calls(struct link *link)
{
	link->open = true;
}

void link_cancel_calls(struct link *link)
{
	struct call *call;

	stop_watching(link);
	/* The next SuperLink may be of the strictest release. */
	link->reuse_ms = AUTH_REUSE_ERA_A_MS;
	LIST_FOREACH(call, &link->calls, entry)
	call_cancel(call);
	outage_end(link, false);
}

bool link_is_idle(const struct link *link)
{
	return LIST_EMPTY(&link->calls);
}

double link_random01(const struct link *link)
{
	return link->options.random01(link->options.random_arg);
}

const struct link_options *link_options(const struct link *link)
{
	return &link->options;
}

/* ---- life ---- */

static void link_free_at_exit(struct link **link)
{
	link_free(*link);
}

int link_new(const struct link_options *options, struct link **out)
{
	auto_(link_free_at_exit) struct link *link = calloc(1, sizeof *link);

	if (!link) {
		auth_free(options->key);
		options->connector->ops->free(options->connector);
		return -ENOMEM;
	}
	link->options = *options;
	link->connector = options->connector;
	link->key = options->key;
	if (link->key)
		auth_set_clock_offset(link->key, options->clock_offset_s);
	for (enum probe_result result = 0; result < PROBE_N; result++)
		link->kinds[result] =
			transport_first(link->connector->transports, result, options->transport);
	link->reuse_ms = AUTH_REUSE_ERA_A_MS;
	link->looked_ms = -LOOK_GAP_MS;
	LIST_INIT(&link->calls);
	outage_init(&link->outage);
	set_address(link);
	link->retirement = timer_new(options->loop, retirement_fire, link);
	if (!link->retirement)
		return -ENOMEM;
	*out = take_pointer(&link);
	return 0;
}

void link_free(struct link *link)
{
	if (!link)
		return;
	assert(link_is_idle(link));
	timer_free(link->retirement);
	retired_free(link);
	if (link->transport)
		link->transport->ops->free(link->transport);
	auth_free(link->key);
	auth_free(link->fresh_key);
	link->connector->ops->free(link->connector);
	free(link);
}
