#include "clientapp/launcher.h"

#include "clientapp/api/attendance.h"
#include "clientapp/api/work_poll.h"
#include "clientapp/failure_reply.h"
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/launch/agent.h"
#include "common/launch/end.h"
#include "common/message/envelope.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Stopping: for the answer in a worker's place, when the SuperNode cannot be reached. */
#define ANSWER_MS      5000
#define TOKEN_REPLY_MS 30000 /* with --token: a reply that is on its way when we are stopped */

struct launcher {
	struct loop *loop;
	struct rpc *rpc;
	struct log *log;
	struct launcher_options options;
	const struct clientapp_options *given; /* of options */
	struct agent *agent;
	struct work_poll *poll;
	struct attendance *attendance;
	/* The message at work. */
	uint64_t number; /* for log lines */
	bool at_work;    /* there is one */
	uint64_t token;
	char *task_token;              /* of a message that is objects; else NULL */
	struct worker_process *worker; /* NULL: gone */
	struct failure_reply *answer;  /* in the worker's place */
	bool answered;                 /* by whom ever, or it cannot be */
	struct timer *next; /* when all is done for it: from the loop, with nothing above us */
	struct timer *grace;
	struct timer *answer_end;
	bool unwanted; /* the SuperNode has answered the message itself */
	bool gave_up;  /* the worker was told to answer with an error */
	bool stopping;
	bool succeeded;
};

/* Is the message that of --token? */
static bool has_token(const struct launcher *launcher)
{
	return launcher->given->token_text;
}

/* Does the program end with the message at work? */
static bool is_last(const struct launcher *launcher)
{
	return launcher->stopping || launcher->given->run_once || has_token(launcher);
}

/* ---- the end of a message ---- */

/* Worker gone, reply settled: go on. */
static void settle(struct launcher *launcher)
{
	if (launcher->at_work && !launcher->worker && launcher->answered)
		timer_set(launcher->next, 0);
}

static void finish(struct launcher *launcher)
{
	if (!has_token(launcher))
		log_info(launcher->log, "stopped");
	loop_stop(launcher->loop);
}

static void forget_token(struct launcher *launcher)
{
	explicit_bzero(&launcher->token, sizeof launcher->token);
	if (launcher->task_token)
		explicit_bzero(launcher->task_token, strlen(launcher->task_token));
	free_at_exit(&launcher->task_token);
}

static void next(void *arg)
{
	struct launcher *launcher = arg;

	failure_reply_free(launcher->answer);
	launcher->answer = NULL;
	if (launcher->attendance)
		attendance_end(launcher->attendance);
	timer_set(launcher->answer_end, CLOCK_NEVER);
	forget_token(launcher);
	launcher->at_work = false;
	if (launcher->succeeded && !has_token(launcher))
		log_info(launcher->log, "message %" PRIu64 " is answered", launcher->number);
	if (is_last(launcher))
		finish(launcher);
	else
		work_poll_ask(launcher->poll);
}

static void answer_done(void *arg)
{
	struct launcher *launcher = arg;

	launcher->answered = true;
	timer_set(launcher->answer_end, CLOCK_NEVER);
	settle(launcher);
}

/* The worker can say nothing more: the agent says it. */
static void answer(struct launcher *launcher, int64_t code, const char *reason)
{
	const struct failure_reply_options options = {
		.address = launcher->given->address,
		.token = launcher->token,
		.task_token = launcher->task_token,
		.code = code,
		.reason = reason,
		.patient = !is_last(launcher),
		.done = answer_done,
		.arg = launcher,
	};
	int r = failure_reply_new(
		launcher->loop, launcher->rpc, launcher->log, &options, &launcher->answer);

	if (r) {
		log_error(launcher->log, "message %" PRIu64 " cannot be answered: %s",
			launcher->number, strerror(-r));
		answer_done(launcher);
		return;
	}
	if (launcher->stopping)
		timer_set(launcher->answer_end, clock_after(clock_now_ms(), ANSWER_MS));
}

static void answer_late(void *arg)
{
	struct launcher *launcher = arg;

	log_error(launcher->log, "message %" PRIu64 " is not answered: no SuperNode in %d s",
		launcher->number, ANSWER_MS / 1000);
	answer_done(launcher);
}

static void worker_ended(void *arg, struct worker_process *worker, const struct process_end *end)
{
	struct launcher *launcher = arg;
	struct text reason = {0};
	char text[128];
	int code;

	end_describe(end, text, sizeof text);
	log_debug(launcher->log, "worker ended: message=%" PRIu64 " pid=%d: %s", launcher->number,
		(int)worker_process_pid(worker), text);
	/* A worker that ends with status 1 by itself has logged why there is no answer; --token
	 * needs no more. */
	bool told = has_token(launcher) && !launcher->stopping && end->kind == PROCESS_EXITED &&
		    end->value == EXIT_FAILURE;
	if (end->kind == PROCESS_EXITED && end->value == 0)
		launcher->succeeded = launcher->answered = true;
	else if (launcher->unwanted || told)
		launcher->answered = true;
	/* The app, at its own end, need not have what a reply on its way would have had. */
	if (launcher->answered && launcher->gave_up)
		timer_set(launcher->grace, clock_now_ms());
	if (launcher->answered)
		return;
	code = end_error(END_WORKER, end, launcher->given->launch.stderr_in_replies, &reason);
	answer(launcher, code,
		launcher->stopping ? "the worker was stopped"
		: reason.data      ? reason.data
				   : "the worker ended");
	text_done(&reason);
}

static void worker_gone(void *arg, struct worker_process *worker)
{
	struct launcher *launcher = arg;

	(void)worker;
	launcher->worker = NULL;
	settle(launcher);
}

/* Its time is over, or it was offered again: what is left of it only keeps the machine busy. */
static void on_unwanted(void *arg)
{
	struct launcher *launcher = arg;

	/* After the reply the app only ends. */
	if (launcher->answered)
		return;
	launcher->unwanted = true;
	if (!launcher->worker)
		return;
	log_info(launcher->log,
		"message %" PRIu64
		" is wanted from here no more (its time is over, or the SuperNode was started anew): stopping its worker",
		launcher->number);
	worker_process_stop(launcher->worker, WORKER_GRACE_MS);
}

static const struct worker_process_ops worker_events = {.ended = worker_ended, .gone = worker_gone};

/* ---- its beginning ---- */

static void start_worker(struct launcher *launcher)
{
	const struct control_start start = {
		.token = launcher->token,
		.task_token = launcher->task_token,
		.address = (char *)launcher->given->address,
		.flwr_home = (char *)launcher->options.flwr_home,
		.log_level = (int)launcher->given->launch.log_level,
		.signed_apps = launcher->given->signed_apps,
		.stderr_in_replies = launcher->given->launch.stderr_in_replies,
	};
	struct reason why = {0};
	char name[32];

	snprintf(name, sizeof name, "%" PRIu64, launcher->number);
	if (agent_start_worker(launcher->agent,
		    &(struct worker_process_spec){
			    .name = name, .start = &start, .ops = &worker_events, .arg = launcher},
		    &launcher->worker, &why)) {
		log_error(launcher->log, "cannot start a worker: %s", why.text);
		launcher->worker = NULL;
		answer(launcher, ERROR_CODE_CLIENT_APP_CRASHED, "no worker could be started");
		return;
	}
	log_info(launcher->log, "worker started: message=%" PRIu64 " pid=%d", launcher->number,
		(int)worker_process_pid(launcher->worker));
}

static void got_token(void *arg, uint64_t token, const char *task_token)
{
	struct launcher *launcher = arg;

	if (!token && !task_token) {
		finish(launcher);
		return;
	}
	launcher->number++;
	launcher->at_work = true;
	launcher->token = token;
	launcher->task_token = task_token ? strdup(task_token) : NULL;
	launcher->answered = false;
	launcher->succeeded = false;
	launcher->unwanted = false;
	launcher->gave_up = false;
	if (task_token && !launcher->task_token) {
		/* Without its token it cannot even be refused: its time will end. */
		log_error(launcher->log, "no memory for message %" PRIu64, launcher->number);
		answer_done(launcher);
		return;
	}
	if (launcher->stopping) {
		answer(launcher, ERROR_CODE_CLIENT_APP_CRASHED, "the worker was stopped");
		return;
	}
	if (launcher->attendance)
		(void)attendance_begin(launcher->attendance, token, launcher->task_token);
	start_worker(launcher);
}

/* ---- life ---- */

/* The worker knows its message and can answer it best; it has the same time for that as to end. */
static void grace_over(void *arg)
{
	struct launcher *launcher = arg;

	if (!launcher->worker)
		return;
	if (launcher->answered || launcher->gave_up) {
		worker_process_stop(launcher->worker, WORKER_GRACE_MS);
	} else {
		launcher->gave_up = true;
		worker_process_give_up(launcher->worker);
		timer_set(launcher->grace,
			clock_after(clock_now_ms(),
				has_token(launcher) ? TOKEN_REPLY_MS : WORKER_GRACE_MS));
	}
}

/* Make the poll that messages come from when there is no --token. */
static int new_poll(struct launcher *launcher)
{
	int r = work_poll_new(launcher->loop, launcher->rpc, launcher->log,
		&(struct work_poll_options){.address = launcher->given->address,
			.auth = launcher->options.auth,
			.got = got_token,
			.arg = launcher},
		&launcher->poll);

	if (r)
		return r;
	launcher->attendance = attendance_new(launcher->loop, launcher->log,
		work_poll_channel(launcher->poll), on_unwanted, launcher);
	return launcher->attendance ? 0 : -ENOMEM;
}

int launcher_new(struct loop *loop, struct rpc *rpc, struct log *log,
	const struct launcher_options *options, struct launcher **out)
{
	struct launcher *launcher = calloc(1, sizeof *launcher);
	int r = 0;

	if (!launcher)
		return -ENOMEM;
	*launcher = (struct launcher){
		.loop = loop,
		.rpc = rpc,
		.log = log,
		.options = *options,
		.given = options->given,
		.next = timer_new(loop, next, launcher),
		.grace = timer_new(loop, grace_over, launcher),
		.answer_end = timer_new(loop, answer_late, launcher),
	};
	if (!launcher->next || !launcher->grace || !launcher->answer_end)
		r = -ENOMEM;
	if (r == 0)
		r = agent_new(loop, log,
			&(struct agent_options){
				.launch = &options->given->launch, .bounds = options->bounds},
			&launcher->agent);
	if (r == 0 && !has_token(launcher))
		r = new_poll(launcher);
	if (r) {
		launcher_free(launcher);
		return r;
	}
	*out = launcher;
	return 0;
}

void launcher_start(struct launcher *launcher)
{
	if (has_token(launcher)) {
		app_bounds_warn(launcher->options.bounds, launcher->log);
		got_token(launcher, launcher->given->token, launcher->given->task_token);
		return;
	}
	log_info(launcher->log, "waiting for messages of the SuperNode at %s",
		launcher->given->address);
	agent_tell_python(launcher->agent);
	work_poll_ask(launcher->poll);
}

void launcher_stop(struct launcher *launcher)
{
	int64_t grace_ms = has_token(launcher) ? 0 : launcher->given->launch.grace_ms;

	if (launcher->stopping) {
		log_warn(launcher->log, "stopping now");
		loop_stop(launcher->loop);
		return;
	}
	launcher->stopping = true;
	if (!launcher->at_work) {
		log_info(launcher->log, "stopping");
		work_poll_stop(launcher->poll);
		return;
	}
	if (launcher->answer && !launcher->answered)
		timer_set(launcher->answer_end, clock_after(clock_now_ms(), ANSWER_MS));
	if (has_token(launcher))
		log_info(launcher->log, "stopping");
	else
		log_info(launcher->log,
			"stopping: the message at work gets up to %g s (--grace); a second signal stops at once",
			(double)grace_ms / 1000);
	timer_set(launcher->grace, clock_after(clock_now_ms(), grace_ms));
}

bool launcher_succeeded(const struct launcher *launcher)
{
	return launcher->succeeded;
}

void launcher_free(struct launcher *launcher)
{
	if (!launcher)
		return;
	agent_free(launcher->agent);
	failure_reply_free(launcher->answer);
	forget_token(launcher);
	attendance_free(launcher->attendance);
	work_poll_free(launcher->poll);
	timer_free(launcher->next);
	timer_free(launcher->grace);
	timer_free(launcher->answer_end);
	free(launcher);
}
