#include "common/base/text.h"
#include "supernode/fleet/flow.h"

#include <stdio.h>
#include <string.h>

#define OUTAGE_DETAILS_BYTES 256

void flow_cause(const struct transport_result *result, char text[FLOW_CAUSE_BYTES])
{
	char quoted[OUTAGE_DETAILS_BYTES];

	text_quote(result->details, strlen(result->details), quoted, sizeof(quoted));
	snprintf(text, FLOW_CAUSE_BYTES, "%s %s", outcome_name(result->outcome), quoted);
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
	char cause[FLOW_CAUSE_BYTES], more[48] = "";

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
		snprintf(
			more, sizeof(more), " (%u failures since the last line)", outage->failures);
	flow_cause(result, cause);
	log_warn(fleet->log,
		"SuperLink %s: %s failed: %s; trying again in %.1f s, then at most %d s apart%s",
		fleet->superlink, method, cause,
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
