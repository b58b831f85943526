#include "common/base/clock.h"
#include "common/base/text.h"
#include "supernode/link/link_internal.h"

#include <stdio.h>
#include <string.h>

#define DETAILS_BYTES    256
#define LINE_GAP_MS      10000 /* between warnings about failing calls */
#define HEARTBEAT_GAP_MS 50
/* A SuperLink takes timestamps that differ so much; its clock is told in whole seconds. */
#define CLOCK_AHEAD_MAX_S  4
#define CLOCK_BEHIND_MAX_S 300
#define BAD_TIME           "Invalid timestamp" /* as SuperLinks to 1.39 say it, without a date */

void link_cause(const struct transport_result *result, char text[LINK_CAUSE_BYTES])
{
	char quoted[DETAILS_BYTES];

	text_quote(result->details, strlen(result->details), quoted, sizeof quoted);
	snprintf(text, LINK_CAUSE_BYTES, "%s %s", outcome_name(result->outcome), quoted);
}

bool link_bad_time(const struct transport_result *result)
{
	return result->outcome == OUTCOME_UNAUTHENTICATED && strcmp(result->details, BAD_TIME) == 0;
}

void link_clock_hint(
	const struct link *link, const struct transport_result *result, char text[LINK_CLOCK_BYTES])
{
	double ahead_s = clock_wall_s() + link->options.clock_offset_s - result->date_s;

	text[0] = '\0';
	if (result->outcome != OUTCOME_UNAUTHENTICATED)
		return;
	if (link_bad_time(result))
		snprintf(text, LINK_CLOCK_BYTES,
			"; this machine's clock and the SuperLink's differ: set them right");
	if (result->date_s <= 0 || (ahead_s > -CLOCK_BEHIND_MAX_S && ahead_s < CLOCK_AHEAD_MAX_S))
		return;
	snprintf(text, LINK_CLOCK_BYTES,
		"; this machine's clock is %.0f s %s the SuperLink's: set it right",
		ahead_s > 0 ? ahead_s : -ahead_s, ahead_s > 0 ? "ahead of" : "behind");
}

void outage_init(struct outage *outage)
{
	*outage = (struct outage){.number = 1, .line_ms = -LINE_GAP_MS};
}

static bool is_failing(const struct outage *outage, const struct tries *tries)
{
	return outage->failing > 0 && tries->outage == outage->number;
}

static void say_failed(struct link *link, const char *method, const struct transport_result *result,
	int64_t next_ms)
{
	struct outage *outage = &link->outage;
	int64_t now_ms = clock_now_ms();
	char cause[LINK_CAUSE_BYTES], clock[LINK_CLOCK_BYTES], more[48] = "";

	if (now_ms - outage->line_ms < LINE_GAP_MS) {
		outage->failures++;
		return;
	}
	if (outage->failures)
		snprintf(more, sizeof more, " (%u failures since the last line)", outage->failures);
	link_cause(result, cause);
	link_clock_hint(link, result, clock);
	log_warn(link->options.log,
		"SuperLink %s: %s failed: %s%s; trying again in %.1f s, then at most %d s apart%s",
		link->address, method, cause, clock,
		next_ms > now_ms ? (double)(next_ms - now_ms) / 1000.0 : 0.0, RETRY_MAX_MS / 1000,
		more);
	outage->line_ms = now_ms;
	outage->failures = 0;
	outage->said = true;
}

void outage_end(struct link *link, bool answered)
{
	struct outage *outage = &link->outage;

	if (!outage->failing)
		return;
	if (answered && outage->said)
		log_info(link->options.log, "SuperLink %s: answers now, after %.1f s",
			link->address, (double)(clock_now_ms() - outage->since_ms) / 1000.0);
	outage->failing = 0;
	outage->failures = 0;
	outage->said = false;
	outage->number++;
}

/* ---- one caller's tries ---- */

void tries_init(struct tries *tries)
{
	*tries = (struct tries){0};
	retry_init(&tries->retry);
}

void tries_begin(struct tries *tries, int64_t now_ms)
{
	tries->started_ms = now_ms;
	if (tries->retry.first_ms < 0)
		tries->retry.first_ms = now_ms;
}

int64_t tries_failed(struct link *link, struct tries *tries, bool endless, const char *method,
	const struct transport_result *result)
{
	static const struct retry_policy no_end = {-1, -1};
	struct outage *outage = &link->outage;
	int64_t now_ms = clock_now_ms();
	int64_t next_ms = retry_next(&tries->retry, endless ? &no_end : &link->options.retry,
		endless ? tries->started_ms : now_ms, link_random01(link));

	if (next_ms == CLOCK_NEVER)
		return CLOCK_NEVER;
	if (endless && next_ms < now_ms + HEARTBEAT_GAP_MS)
		next_ms = now_ms + HEARTBEAT_GAP_MS;
	if (!is_failing(outage, tries)) {
		if (!outage->failing++)
			outage->since_ms = now_ms;
		tries->outage = outage->number;
	}
	say_failed(link, method, result, next_ms);
	return next_ms;
}

static void tries_end(struct link *link, struct tries *tries, bool answered)
{
	bool failing = is_failing(&link->outage, tries);

	tries_init(tries);
	if (!failing)
		return;
	if (link->outage.failing > 1)
		link->outage.failing--;
	else
		outage_end(link, answered);
}

void tries_worked(struct link *link, struct tries *tries)
{
	tries_end(link, tries, true);
}

void tries_left(struct link *link, struct tries *tries)
{
	tries_end(link, tries, false);
}
