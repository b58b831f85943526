/*
 * One timer serves all relays of a door that wait: those that are held back, those that had more
 * than a turn's work, those whose peers take nothing, those of which one side has ended.
 */
#include "common/listen/relay_internal.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"

#include <errno.h>
#include <stdlib.h>

#define HELD_MS    10   /* between looks at those that are held back */
#define FULL_MS    50   /* that all places may be taken while some wait for one */
#define LENT_MS    250  /* the same while one has more than its place */
#define STALLED_MS 1000 /* between looks at peers that take nothing */

/* ---- queues ---- */

static void set_timer(struct relays *relays, int64_t at_ms)
{
	if (relays->timer_ms <= at_ms)
		return;
	relays->timer_ms = at_ms;
	timer_set(relays->timer, at_ms);
}

unsigned relays_count_held(const struct relays *relays)
{
	return relays->n[QUEUE_OWN] + relays->n[QUEUE_POOL];
}

/* Does any wait for the next look at the queues? */
static bool any_waits(const struct relays *relays)
{
	return relays_count_held(relays) || relays->n[QUEUE_PLAIN];
}

void relay_set_queue(struct relay *relay, enum queue queue)
{
	struct relays *relays = relay->relays;

	if (relay->queue == queue)
		return;
	if (relay->queue != QUEUE_NONE) {
		TAILQ_REMOVE(&relays->queues[relay->queue], relay, held_link);
		relays->n[relay->queue]--;
	}
	relay->queue = queue;
	if (queue == QUEUE_NONE)
		return;
	TAILQ_INSERT_TAIL(&relays->queues[queue], relay, held_link);
	if (!any_waits(relays))
		relays->held_ms = clock_after(clock_now_ms(), HELD_MS);
	relays->n[queue]++;
	set_timer(relays, relays->held_ms);
}

void relay_set_again(struct relay *relay, bool again)
{
	struct relays *relays = relay->relays;

	if (relay->again == again)
		return;
	relay->again = again;
	if (!again) {
		TAILQ_REMOVE(&relays->again, relay, again_link);
		relays->n_again--;
		return;
	}
	TAILQ_INSERT_TAIL(&relays->again, relay, again_link);
	relays->n_again++;
	set_timer(relays, 0);
}

/* The look at a stalled relay comes behind those at the others. */
static void look_later(struct relay *relay, int64_t now_ms)
{
	relay->look_ms = clock_after(now_ms, STALLED_MS);
	TAILQ_INSERT_TAIL(&relay->relays->stalled, relay, stalled_link);
}

void relay_set_stalled(struct relay *relay, bool stalled)
{
	struct relays *relays = relay->relays;

	relay->stalled_ms = clock_now_ms();
	if (relay->stalled == stalled)
		return;
	relay->stalled = stalled;
	if (!stalled) {
		TAILQ_REMOVE(&relays->stalled, relay, stalled_link);
		return;
	}
	look_later(relay, relay->stalled_ms);
	set_timer(relays, relay->look_ms);
}

/* ---- whom to cut ---- */

/* A sum about a relay; below 0: it does not count. */
typedef double measure(const struct relay *relay, int64_t now_ms);

static double new_streams(const struct relay *relay, int64_t now_ms)
{
	return relay->guard.trusted || relay->queue == QUEUE_NONE
		       ? -1
		       : guard_new_streams(&relay->guard, now_ms);
}

static double open_streams(const struct relay *relay, int64_t now_ms)
{
	(void)now_ms;
	return relay->guard.trusted || !relay->guard.open ? -1.0 : (double)relay->guard.open;
}

/* Does a come before b in what is measured, by address first? */
static bool has_more(const struct relay *a, double of_a, const struct relay *b, double of_b)
{
	const double share_a = a->options.share->weight, share_b = b->options.share->weight;

	return share_a > share_b || (share_a == share_b && of_a > of_b);
}

/* Sum up what is measured by address. */
static void weigh(const struct relays *relays, measure *of, int64_t now_ms)
{
	struct relay *at;

	LIST_FOREACH(at, &relays->all, link)
	at->options.share->weight = 0;
	LIST_FOREACH(at, &relays->all, link)
	if (of(at, now_ms) > 0)
		at->options.share->weight += of(at, now_ms);
}

/* The relay that has most, of the address that has most; among equals the newest. NULL: none
 * counts. */
static struct relay *find_most(const struct relays *relays, measure *of)
{
	const int64_t now_ms = clock_now_ms();
	struct relay *most = NULL, *at;
	double of_most = 0;

	weigh(relays, of, now_ms);
	LIST_FOREACH(at, &relays->all, link)
	{
		const double has = of(at, now_ms);

		if (has < 0 || (most && !has_more(at, has, most, of_most)))
			continue;
		most = at;
		of_most = has;
	}
	return most;
}

struct relay *relays_find_busiest_held(const struct relays *relays)
{
	return find_most(relays, new_streams);
}

/* Of those that wait for a place and have some, the relay that has most, of the address that has
 * least. NULL: none has any, or more are taken than there are. */
static struct relay *find_debtor(const struct relays *relays)
{
	struct relay *debtor = NULL, *at;

	if (relays->pool.lent || relays->pool.open > relays->pool.streams_max)
		return NULL;
	weigh(relays, open_streams, clock_now_ms());
	TAILQ_FOREACH(at, &relays->queues[QUEUE_POOL], held_link)
	{
		const double has = at->options.share->weight;
		const double least = debtor ? debtor->options.share->weight : has;

		if (at->guard.open &&
			(!debtor || has < least ||
				(has == least && at->guard.open > debtor->guard.open)))
			debtor = at;
	}
	return debtor;
}

/*
 * All places for streams are taken, and have been while some wait. The bodies of the calls that
 * have them may be held back behind the heads of those that wait: so one connection may have more
 * first, up to its own limit. When that is of no avail, the connection that has most ends.
 */
static void make_room(struct relays *relays, int64_t now_ms)
{
	const bool full = relays->pool.open >= relays->pool.streams_max;
	struct relay *debtor, *most;

	if (!full || TAILQ_EMPTY(&relays->queues[QUEUE_POOL])) {
		relays->full_ms = 0;
		return;
	}
	if (!relays->full_ms)
		relays->full_ms = now_ms;
	if (now_ms < relays->full_ms + (relays->pool.lent ? LENT_MS : FULL_MS))
		return;
	relays->full_ms = now_ms;
	debtor = find_debtor(relays);
	relays->pool.lent = debtor ? &debtor->guard : NULL;
	if (debtor) {
		relay_work(debtor);
		return;
	}
	most = find_most(relays, open_streams);
	if (most)
		relay_cut(most, "has most of too many open calls: closed");
}

/* Each that was there has a turn; those that are held back again go to the end. */
static void serve_held(struct relays *relays, enum queue queue)
{
	struct relay_list *list = &relays->queues[queue];

	for (unsigned n = relays->n[queue]; n > 0 && !TAILQ_EMPTY(list); n--) {
		struct relay *relay = TAILQ_FIRST(list);

		if (queue == QUEUE_POOL && !guard_pool_has_room(&relays->pool, clock_now_ms()))
			return;
		relay_set_queue(relay, QUEUE_NONE);
		if (queue == QUEUE_PLAIN && relay->options.ops->waits(relay->options.arg)) {
			relay_set_queue(relay, queue);
			continue;
		}
		relay->guard.turn = queue == QUEUE_POOL;
		relay_work(relay);
	}
}

static void serve_again(struct relays *relays)
{
	struct relay_list *list = &relays->again;

	for (unsigned n = relays->n_again; n > 0 && !TAILQ_EMPTY(list); n--) {
		struct relay *relay = TAILQ_FIRST(list);

		relay_set_again(relay, false);
		relay_work(relay);
	}
}

/* A peer that is held back has not had its time after the end of one side. */
static bool has_lingered(const struct relay *relay, int64_t now_ms)
{
	return relay->queue != QUEUE_PLAIN && relay->linger_end_ms &&
	       now_ms >= relay->linger_end_ms;
}

static bool has_stalled_long(const struct relay *relay, int64_t now_ms)
{
	return now_ms >= clock_after(relay->stalled_ms, RELAY_STALL_MS) ||
	       has_lingered(relay, now_ms) ||
	       (relay->server_ended_ms &&
		       now_ms >= clock_after(relay->server_ended_ms, RELAY_FLUSH_MS));
}

static void end_stalled(struct relays *relays, int64_t now_ms)
{
	struct relay *at;

	while ((at = TAILQ_FIRST(&relays->stalled)) && now_ms >= at->look_ms) {
		TAILQ_REMOVE(&relays->stalled, at, stalled_link);
		look_later(at, now_ms);
		if (!at->server_ended_ms && !at->linger_end_ms && way_has_hung_up(at->server))
			relay_server_gone(at);
		if (has_stalled_long(at, now_ms))
			at->options.ops->ended(at->options.arg, NULL);
	}
}

static void relays_tick(void *arg)
{
	struct relays *relays = arg;
	int64_t now_ms = clock_now_ms();

	relays->timer_ms = CLOCK_NEVER;
	serve_again(relays);
	if (any_waits(relays) && now_ms >= relays->held_ms) {
		relays->held_ms = clock_after(now_ms, HELD_MS);
		make_room(relays, now_ms);
		serve_held(relays, QUEUE_OWN);
		serve_held(relays, QUEUE_POOL);
		serve_held(relays, QUEUE_PLAIN);
	}
	end_stalled(relays, now_ms);
	if (!TAILQ_EMPTY(&relays->again))
		set_timer(relays, 0);
	if (any_waits(relays))
		set_timer(relays, relays->held_ms);
	if (!relays_count_held(relays))
		relays->full_ms = 0;
	if (!TAILQ_EMPTY(&relays->stalled))
		set_timer(relays, TAILQ_FIRST(&relays->stalled)->look_ms);
}

/* ---- life ---- */

int relays_new(struct loop *loop, unsigned streams_max, struct relays **out)
{
	auto_(free_at_exit) struct relays *relays = calloc(1, sizeof *relays);

	if (!relays)
		return -ENOMEM;
	*relays = (struct relays){.loop = loop,
		.pool = {.streams_max = streams_max},
		.timer_ms = CLOCK_NEVER,
		.chunk = malloc(RELAY_CHUNK_BYTES)};
	LIST_INIT(&relays->all);
	for (enum queue queue = QUEUE_OWN; queue < QUEUES; queue++)
		TAILQ_INIT(&relays->queues[queue]);
	TAILQ_INIT(&relays->again);
	TAILQ_INIT(&relays->stalled);
	relays->timer = timer_new(loop, relays_tick, relays);
	if (!relays->chunk || !relays->timer) {
		relays_free(take_pointer(&relays));
		return -ENOMEM;
	}
	*out = take_pointer(&relays);
	return 0;
}

void relays_free(struct relays *relays)
{
	if (!relays)
		return;
	timer_free(relays->timer);
	free(relays->chunk);
	free(relays);
}
