#include "common/base/text.h"
#include "supernode/fleet/fleet_internal.h"

#include <stdio.h>
#include <string.h>

#define OUTAGE_DETAILS_BYTES 256
/* What a SuperLink takes of a timestamp, less the second that its clock is told in. */
#define CLOCK_AHEAD_MAX_S  4
#define CLOCK_BEHIND_MAX_S 300
#define BAD_TIME           "Invalid timestamp" /* as SuperLinks to 1.39 say it, without a date */

void flow_cause(const struct transport_result *result, char text[FLOW_CAUSE_BYTES])
{
	char quoted[OUTAGE_DETAILS_BYTES];

	text_quote(result->details, strlen(result->details), quoted, sizeof quoted);
	snprintf(text, FLOW_CAUSE_BYTES, "%s %s", outcome_name(result->outcome), quoted);
}

void flow_clock_hint(const struct fleet *fleet, const struct transport_result *result,
	char text[FLOW_CLOCK_BYTES])
{
	double ahead_s = fleet_wall_s() + fleet->options.clock_offset_s - result->date_s;

	text[0] = '\0';
	if (result->outcome != OUTCOME_UNAUTHENTICATED)
		return;
	if (strcmp(result->details, BAD_TIME) == 0)
		snprintf(text, FLOW_CLOCK_BYTES,
			"; this machine's clock and the SuperLink's differ: set them right");
	if (result->date_s <= 0 || (ahead_s > -CLOCK_BEHIND_MAX_S && ahead_s < CLOCK_AHEAD_MAX_S))
		return;
	snprintf(text, FLOW_CLOCK_BYTES,
		"; this machine's clock is %.0f s %s the SuperLink's: set it right",
		ahead_s > 0 ? ahead_s : -ahead_s, ahead_s > 0 ? "ahead of" : "behind");
}

void outage_init(struct outage *outage)
{
	*outage = (struct outage){.number = 1, .line_ms = -FLOW_LINE_MS};
}

static bool is_failing(const struct outage *outage, const struct failing *failing)
{
	return outage->failing > 0 && failing->outage == outage->number;
}

void outage_failed(struct fleet *fleet, struct failing *failing, const char *method,
	const struct transport_result *result, int64_t next_ms)
{
	struct outage *outage = &fleet->outage;
	int64_t now_ms = fleet_now_ms();
	char cause[FLOW_CAUSE_BYTES], clock[FLOW_CLOCK_BYTES], more[48] = "";

	if (result->outcome == OUTCOME_UNAVAILABLE)
		join_find_again(fleet);

	if (!is_failing(outage, failing)) {
		if (!outage->failing++)
			outage->since_ms = now_ms;
		failing->outage = outage->number;
	}
	if (now_ms - outage->line_ms < FLOW_LINE_MS) {
		outage->failures++;
		return;
	}
	if (outage->failures)
		snprintf(more, sizeof more, " (%u failures since the last line)", outage->failures);
	flow_cause(result, cause);
	flow_clock_hint(fleet, result, clock);
	log_warn(fleet->log,
		"SuperLink %s: %s failed: %s%s; trying again in %.1f s, then at most %d s apart%s",
		fleet->superlink, method, cause, clock,
		next_ms > now_ms ? (double)(next_ms - now_ms) / 1000.0 : 0.0, RETRY_MAX_MS / 1000,
		more);
	outage->line_ms = now_ms;
	outage->failures = 0;
	outage->said = true;
}

void outage_end(struct fleet *fleet, bool answered)
{
	struct outage *outage = &fleet->outage;

	if (!outage->failing)
		return;
	if (answered && outage->said)
		log_info(fleet->log, "SuperLink %s: works again after %.1f s", fleet->superlink,
			(double)(fleet_now_ms() - outage->since_ms) / 1000.0);
	outage->failing = 0;
	outage->failures = 0;
	outage->said = false;
	outage->number++;
}

static void one_less(struct fleet *fleet, struct failing *failing, bool answered)
{
	if (!is_failing(&fleet->outage, failing))
		return;
	failing->outage = 0;
	if (fleet->outage.failing > 1)
		fleet->outage.failing--;
	else
		outage_end(fleet, answered);
}

void outage_worked(struct fleet *fleet, struct failing *failing)
{
	one_less(fleet, failing, true);
}

void outage_left(struct fleet *fleet, struct failing *failing)
{
	one_less(fleet, failing, false);
}
