#include "clientapp/api/attendance.h"

#include "clientapp/api/api_channel.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/pace.h"
#include "common/message/instruction_codec.h"
#include "common/message/worker_api.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define PATH           "/" WORKER_API_ATTENDANCE "/Attend"
#define RETRY_FIRST_MS 100
#define RETRY_MAX_MS   2000

struct attendance {
	struct log *log;
	struct rpc_channel *channel;
	struct rpc_call *call;
	struct timer *timer; /* of the next try */
	uint64_t token;
	char *task_token; /* in its place; NULL: none */
	int64_t wait_ms;  /* before the last try; 0: there was none */
	int64_t called_ms;
	attendance_unwanted_fn *unwanted;
	void *arg;
	bool told;     /* that the SuperNode cannot be reached */
	bool orphaned; /* freed while a call is out: its end frees */
};

/* A SuperNode that cannot be reached may come back. */
static void try_again(struct attendance *attendance)
{
	int64_t now = clock_now_ms();

	if (now - attendance->called_ms > RETRY_MAX_MS)
		attendance->wait_ms = 0;
	rpc_channel_reconnect_now(attendance->channel);
	timer_set(attendance->timer,
		clock_after(now, pace_double(&attendance->wait_ms, RETRY_FIRST_MS, RETRY_MAX_MS)));
}

static void call_done(void *arg, struct rpc_result *result)
{
	struct attendance *attendance = arg;

	attendance->call = NULL;
	if (attendance->orphaned) {
		free(attendance);
	} else if (result->outcome == OUTCOME_UNAVAILABLE || result->outcome == OUTCOME_CANCELLED ||
		   result->outcome == OUTCOME_RESOURCE_EXHAUSTED) {
		if (!attendance->told)
			log_warn(attendance->log,
				"the SuperNode cannot be reached while a message is at work: its app goes on");
		attendance->told = true;
		try_again(attendance);
	} else if (result->outcome == OUTCOME_FAILED_PRECONDITION ||
		   result->outcome == OUTCOME_INVALID_ARGUMENT) {
		attendance->unwanted(attendance->arg);
	}
}

static void call_again(void *arg)
{
	struct attendance *attendance = arg;
	struct rpc_header header;
	struct rpc_call_options options = {.path = PATH, .done = call_done, .arg = attendance};
	struct slices body = {0};

	attendance->called_ms = clock_now_ms();
	api_call_show_token(&options, attendance->task_token, &header);
	if ((!attendance->task_token && instruction_encode_token(attendance->token, &body)) ||
		rpc_call_start(attendance->channel, &options, &body, &attendance->call))
		try_again(attendance);
}

struct attendance *attendance_new(
	struct loop *loop, struct log *log, const struct attendance_options *options)
{
	struct attendance *attendance = calloc(1, sizeof *attendance);

	if (!attendance)
		return NULL;
	*attendance = (struct attendance){.log = log,
		.channel = options->channel,
		.timer = timer_new(loop, call_again, attendance),
		.token = options->token,
		.task_token = options->task_token ? strdup(options->task_token) : NULL,
		.unwanted = options->unwanted,
		.arg = options->arg};
	if (!attendance->timer || (options->task_token && !attendance->task_token)) {
		attendance_free(attendance);
		return NULL;
	}
	call_again(attendance);
	return attendance;
}

void attendance_free(struct attendance *attendance)
{
	if (!attendance)
		return;
	timer_free(attendance->timer);
	explicit_bzero(&attendance->token, sizeof attendance->token);
	if (attendance->task_token)
		explicit_bzero(attendance->task_token, strlen(attendance->task_token));
	free_at_exit(&attendance->task_token);
	attendance->orphaned = true;
	if (attendance->call)
		rpc_call_cancel(attendance->call);
	else
		free(attendance);
}
