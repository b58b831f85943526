#include "clientapp/api/work_ways.h"

#include "common/base/cleanup.h"
#include "common/message/app_codec.h"
#include "common/message/worker_api.h"

#define CLIENT_APP_IO "/" WORKER_API_CLIENT_APP_IO "/"
#define RUNTIME       "/" WORKER_API_RUNTIME "/"

#define OF_TASKS                                                                                   \
	.offered = task_decode_pending, .claim_request = task_encode_claim,                        \
	.token = task_decode_claimed
#define OF_RUNS                                                                                    \
	.claim = CLIENT_APP_IO "RequestToken", .offered = app_decode_runs,                         \
	.claim_request = app_encode_request, .token = app_decode_requested

/* This project's SuperNode knows the first one; then the newer ones before the older. */
static const struct work_way ways[] = {
	{.ask = RUNTIME "PullPendingTasks",
		.claim = RUNTIME "ClaimTask",
		OF_TASKS,
		.spelling = &spelling_1_34},
	{.ask = CLIENT_APP_IO "PullPendingTasks",
		.claim = CLIENT_APP_IO "ClaimTask",
		OF_TASKS,
		.spelling = &spelling_1_32},
	{.ask = CLIENT_APP_IO "ListAppsToLaunch", OF_RUNS, .spelling = &spelling_1_26},
	{.ask = CLIENT_APP_IO "GetRunIdsWithPendingMessages", OF_RUNS, .spelling = &spelling_1_20},
	{.ask = RUNTIME "AcquireTask",
		.request = task_encode_acquire,
		.token = task_decode_acquired,
		.spelling = &spelling_1_35},
	{.ask = RUNTIME "PullPendingTasks",
		.claim = RUNTIME "ClaimTask",
		OF_TASKS,
		.spelling = &spelling_1_35},
};

static const struct work_way *find(const struct work_way *from, enum carrier_kind carrier)
{
	for (; from < ways + ARRAY_LEN(ways); from++)
		if (from->spelling->carrier == carrier)
			return from;
	return NULL;
}

const struct work_way *work_way_first(enum carrier_kind carrier)
{
	return find(ways, carrier);
}

const struct work_way *work_way_next(const struct work_way *way)
{
	return find(way + 1, way->spelling->carrier);
}
