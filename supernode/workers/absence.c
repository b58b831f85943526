#include "supernode/workers/absence.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"

#include <stddef.h>
#include <stdio.h>

#define RETURNING_MS 1000 /* at least until one that may be on its way is looked for again */

struct away {
	struct away *next;
	struct absence *absence;
	uint64_t token;
	bool for_good;
	int process;
	struct watch *watch; /* of the process's end */
	struct timer *timer;
};

struct absence {
	struct loop *loop;
	int64_t back_ms;
	const struct absence_ops *ops;
	void *arg;
	struct away *first;
};

struct absence *absence_new(
	struct loop *loop, int64_t back_ms, const struct absence_ops *ops, void *arg)
{
	struct absence *absence = calloc(1, sizeof *absence);

	if (absence)
		*absence = (struct absence){loop, back_ms, ops, arg, NULL};
	return absence;
}

static void away_free(struct away *away)
{
	watch_free(away->watch);
	timer_free(away->timer);
	close_fd(&away->process);
	free(away);
}

/* Find the link that points to the token's entry; the link is NULL when the worker is not away. */
static struct away **away_find(struct absence *absence, uint64_t token)
{
	struct away **at = &absence->first;

	while (*at && (*at)->token != token)
		at = &(*at)->next;
	return at;
}

static void away_remove(struct away **at)
{
	struct away *away = *at;

	*at = away->next;
	away_free(away);
}

bool absence_is_for_good(const struct absence *absence, uint64_t token)
{
	for (const struct away *at = absence->first; at; at = at->next)
		if (at->token == token)
			return at->for_good;
	return false;
}

bool absence_end(struct absence *absence, uint64_t token)
{
	struct away **at = away_find(absence, token);

	if (!*at)
		return false;
	away_remove(at);
	return true;
}

void absence_sweep(struct absence *absence, bool (*live)(void *arg, uint64_t token), void *arg)
{
	struct away **at = &absence->first;

	while (*at) {
		if (live(arg, (*at)->token))
			at = &(*at)->next;
		else
			away_remove(at);
	}
}

static void lost(struct away *away, const char *reason)
{
	struct absence *absence = away->absence;
	uint64_t token = away->token;

	absence_end(absence, token);
	absence->ops->lost(absence->arg, token, reason);
}

static void process_ended(void *arg, int ready)
{
	(void)ready;
	lost(arg, "the worker's process has ended without a reply");
}

static void too_late(void *arg)
{
	struct away *away = arg;
	const struct absence *absence = away->absence;
	char reason[128];

	if (absence->ops->returning(absence->arg)) {
		timer_set(away->timer,
			clock_after(clock_now_ms(),
				absence->back_ms > RETURNING_MS ? absence->back_ms : RETURNING_MS));
		return;
	}
	snprintf(reason, sizeof reason,
		"the worker's connection has ended and did not come back within %g s (--worker-reconnect)",
		(double)absence->back_ms / 1000);
	lost(away, reason);
}

/* When there is no memory for the watch, the end of the process is not learnt: the timer remains.
 */
static void away_watch(struct away *away, int process)
{
	away->process = process;
	if (process >= 0)
		away->watch =
			watch_new(away->absence->loop, process, WATCH_READ, process_ended, away);
}

void absence_found(struct absence *absence, uint64_t token, int process)
{
	auto_(close_at_exit) int owned = process;
	struct away *away = *away_find(absence, token);

	if (away && away->process < 0)
		away_watch(away, take_fd(&owned));
}

void absence_begin(struct absence *absence, uint64_t token, int process, bool for_good)
{
	auto_(close_at_exit) int owned = process;
	struct away *away;

	absence_end(absence, token);
	away = calloc(1, sizeof *away);
	if (away) {
		*away = (struct away){
			.absence = absence, .token = token, .for_good = for_good, .process = -1};
		away->timer = timer_new(absence->loop, too_late, away);
	}
	if (!away || !away->timer) {
		if (away)
			away_free(away);
		absence->ops->lost(absence->arg, token, "the worker's connection has ended");
		return;
	}
	away_watch(away, take_fd(&owned));
	away->next = absence->first;
	absence->first = away;
	if (!for_good)
		timer_set(away->timer, clock_after(clock_now_ms(), absence->back_ms));
}

void absence_free(struct absence *absence)
{
	if (!absence)
		return;
	while (absence->first)
		away_remove(&absence->first);
	free(absence);
}
