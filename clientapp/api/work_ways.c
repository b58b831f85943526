#include "clientapp/api/work_ways.h"

#include "common/base/cleanup.h"
#include "common/message/app_codec.h"

#define OF_TASKS                                                                                   \
	.offered = task_decode_pending, .claim_request = task_encode_claim,                        \
	.token = task_decode_claimed
#define OF_RUNS                                                                                    \
	.claim = "/flwr.proto.ClientAppIo/RequestToken", .offered = app_decode_runs,               \
	.claim_request = app_encode_request, .token = app_decode_requested

/* This project's SuperNode knows the first one; then the newer ones before the older. */
static const struct work_way ways[] = {
	{.ask = "/flwr.proto.Runtime/PullPendingTasks",
		.claim = "/flwr.proto.Runtime/ClaimTask",
		OF_TASKS,
		.spelling = &spelling_1_34},
	{.ask = "/flwr.proto.ClientAppIo/PullPendingTasks",
		.claim = "/flwr.proto.ClientAppIo/ClaimTask",
		OF_TASKS,
		.spelling = &spelling_1_32},
	{.ask = "/flwr.proto.ClientAppIo/ListAppsToLaunch", OF_RUNS, .spelling = &spelling_1_26},
	{.ask = "/flwr.proto.ClientAppIo/GetRunIdsWithPendingMessages",
		OF_RUNS,
		.spelling = &spelling_1_20},
	{.ask = "/flwr.proto.Runtime/AcquireTask",
		.request = task_encode_acquire,
		.token = task_decode_acquired,
		.spelling = &spelling_1_35},
	{.ask = "/flwr.proto.Runtime/PullPendingTasks",
		.claim = "/flwr.proto.Runtime/ClaimTask",
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
