#include "supernode/appio/absence.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"

#include <stddef.h>
#include <stdio.h>

struct away {
	struct away *next;
	struct absence *absence;
	uint64_t message;
	int process;
	struct watch *watch; /* of the process's end */
	struct timer *timer;
};

struct absence {
	struct loop *loop;
	int64_t back_ms;
	absence_lost_fn *lost;
	void *arg;
	struct away *first;
};

struct absence *absence_new(struct loop *loop, int64_t back_ms, absence_lost_fn *lost, void *arg)
{
	struct absence *absence = calloc(1, sizeof *absence);

	if (absence)
		*absence = (struct absence){loop, back_ms, lost, arg, NULL};
	return absence;
}

static void away_free(struct away *away)
{
	watch_free(away->watch);
	timer_free(away->timer);
	close_fd(&away->process);
	free(away);
}

void absence_end(struct absence *absence, uint64_t message)
{
	for (struct away **at = &absence->first; *at; at = &(*at)->next) {
		struct away *away = *at;

		if (away->message != message)
			continue;
		*at = away->next;
		away_free(away);
		return;
	}
}

static void lost(struct away *away, bool late, const char *reason)
{
	struct absence *absence = away->absence;
	uint64_t message = away->message;

	absence_end(absence, message);
	absence->lost(absence->arg, message, late, reason);
}

static void process_ended(void *arg, int ready)
{
	(void)ready;
	lost(arg, false, "the worker's process has ended without a reply");
}

static void too_late(void *arg)
{
	struct away *away = arg;
	char reason[128];

	snprintf(reason, sizeof reason,
		"the worker's connection has ended and did not come back within %g s "
		"(--worker-reconnect)",
		(double)away->absence->back_ms / 1000);
	lost(away, true, reason);
}

void absence_begin(struct absence *absence, uint64_t message, int process)
{
	auto_(close_at_exit) int owned = process;
	struct away *away;

	absence_end(absence, message);
	away = calloc(1, sizeof *away);
	if (away) {
		away->absence = absence;
		away->message = message;
		away->process = take_fd(&owned);
		away->timer = timer_new(absence->loop, too_late, away);
		if (away->process >= 0)
			away->watch = watch_new(
				absence->loop, away->process, WATCH_READ, process_ended, away);
	}
	if (!away || !away->timer) {
		if (away)
			away_free(away);
		absence->lost(absence->arg, message, false, "the worker's connection has ended");
		return;
	}
	away->next = absence->first;
	absence->first = away;
	timer_set(away->timer, clock_after(clock_now_ms(), absence->back_ms));
}

void absence_free(struct absence *absence)
{
	if (!absence)
		return;
	while (absence->first)
		absence_end(absence, absence->first->message);
	free(absence);
}
