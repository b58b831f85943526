#include "clientapp/launcher.h"

#include "clientapp/api/attendance.h"
#include "clientapp/api/spelling_search.h"
#include "clientapp/api/work_poll.h"
#include "clientapp/failure_reply.h"
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/launch/agent.h"
#include "common/launch/dependencies.h"
#include "common/launch/end.h"
#include "common/message/envelope.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Stopping: for the answer in a worker's place, when the SuperNode cannot be reached. */
#define ANSWER_MS      5000
#define PATIENCE_MS    600000 /* its token is of no use any more; another release may be there */
#define SEARCH_MS      30000  /* with --token: for a SuperNode that cannot be reached */
#define TOKEN_REPLY_MS 30000  /* with --token: a reply that is on its way when we are stopped */

struct launcher {
	struct loop *loop;
	struct rpc *rpc;
	struct log *log;
	struct launcher_options options;
	const struct clientapp_options *given; /* of options */
	struct agent *agent;
	struct work_poll *poll;
	struct spelling_search *search; /* with --token: for the SuperNode's; NULL: none is on */
	struct assignment *assignments; /* the messages at work */
	uint64_t assigned;              /* how many there were */
	struct timer *next; /* when one may be done: from the loop, with nothing above us */
	bool asking;        /* for another message */
	bool stopping;
	bool succeeded; /* the worker of the one that was given last has answered */
};

/* A message that this launcher was given, with all that is done for it. */
struct assignment {
	struct assignment *next;
	struct launcher *launcher;
	uint64_t number; /* for log lines */
	uint64_t token;
	char *task_token;                /* of a message that is objects; else NULL */
	const struct spelling *spelling; /* of the calls about it; else NULL */
	struct worker_process *worker;   /* NULL: gone */
	struct failure_reply *answer;    /* in the worker's place */
	struct attendance *attendance;   /* NULL: of --token; or there was no memory */
	struct timer *grace;
	struct timer *answer_end;
	struct timer *worker_end; /* --worker-timeout */
	bool answered;            /* by whom ever, or it cannot be */
	bool succeeded;           /* by its worker */
	bool unwanted;            /* the SuperNode has answered the message itself */
	bool gave_up;             /* the worker was told to answer with an error */
	bool late;                /* the worker was stopped, for it took too long */
};

/* Is the message that of --token? */
static bool has_token(const struct launcher *launcher)
{
	return launcher->given->token_text;
}

/* Does the program end with the messages at work? */
static bool is_last(const struct launcher *launcher)
{
	return launcher->stopping || launcher->given->run_once || has_token(launcher);
}

/* ---- the end of a message ---- */

/* Worker gone, reply settled. */
static bool is_done(const struct assignment *assignment)
{
	return !assignment->worker && assignment->answered;
}

static void settle(const struct assignment *assignment)
{
	if (is_done(assignment))
		timer_set(assignment->launcher->next, 0);
}

static void finish(struct launcher *launcher)
{
	if (!has_token(launcher))
		log_info(launcher->log, "stopped");
	loop_stop(launcher->loop);
}

static void assignment_free(struct assignment *assignment)
{
	failure_reply_free(assignment->answer);
	attendance_free(assignment->attendance);
	timer_free(assignment->grace);
	timer_free(assignment->answer_end);
	timer_free(assignment->worker_end);
	explicit_bzero(&assignment->token, sizeof assignment->token);
	if (assignment->task_token)
		explicit_bzero(assignment->task_token, strlen(assignment->task_token));
	free(assignment->task_token);
	free(assignment);
}

/* Free those that are done. */
static void sweep(struct launcher *launcher)
{
	struct assignment **at = &launcher->assignments;

	while (*at) {
		struct assignment *assignment = *at;

		if (!is_done(assignment)) {
			at = &assignment->next;
			continue;
		}
		if (assignment->succeeded && !has_token(launcher))
			log_info(launcher->log, "message %" PRIu64 " is answered",
				assignment->number);
		*at = assignment->next;
		assignment_free(assignment);
	}
}

static unsigned at_work(const struct launcher *launcher)
{
	unsigned n = 0;

	for (const struct assignment *at = launcher->assignments; at; at = at->next)
		n++;
	return n;
}

static void ask(struct launcher *launcher)
{
	launcher->asking = true;
	work_poll_ask(launcher->poll);
}

static void next(void *arg)
{
	struct launcher *launcher = arg;

	sweep(launcher);
	if (launcher->asking)
		return;
	if (!is_last(launcher) && at_work(launcher) < launcher->options.bounds->workers)
		ask(launcher);
	else if (is_last(launcher) && !launcher->assignments)
		finish(launcher);
}

static void answer_done(void *arg)
{
	struct assignment *assignment = arg;

	assignment->answered = true;
	timer_set(assignment->answer_end, CLOCK_NEVER);
	settle(assignment);
}

/* The worker can say nothing more: the agent says it. */
static void answer(struct assignment *assignment, int64_t code, const char *reason)
{
	struct launcher *launcher = assignment->launcher;
	const struct failure_reply_options options = {
		.address = launcher->given->address,
		.tls = launcher->options.tls,
		.token = assignment->token,
		.task_token = assignment->task_token,
		.spelling = assignment->spelling,
		.http = launcher->options.http,
		.code = code,
		.reason = reason,
		.patient = !is_last(launcher),
		.done = answer_done,
		.arg = assignment,
	};
	int r = failure_reply_new(
		launcher->loop, launcher->rpc, launcher->log, &options, &assignment->answer);

	if (r) {
		log_error(launcher->log, "message %" PRIu64 " cannot be answered: %s",
			assignment->number, strerror(-r));
		answer_done(assignment);
		return;
	}
	timer_set(assignment->answer_end,
		clock_after(clock_now_ms(), launcher->stopping ? ANSWER_MS : PATIENCE_MS));
}

static void answer_late(void *arg)
{
	struct assignment *assignment = arg;

	log_error(assignment->launcher->log,
		"message %" PRIu64 " is not answered: the SuperNode was not there in time",
		assignment->number);
	answer_done(assignment);
}

/* What the error reply says of a worker that has ended; told: what is known of its end. */
static const char *why_ended(const struct assignment *assignment, const char *told)
{
	if (assignment->late)
		return "the worker took longer than --worker-timeout";
	if (assignment->launcher->stopping)
		return "the worker was stopped";
	return told ? told : "the worker ended";
}

static void worker_ended(void *arg, struct worker_process *worker, const struct process_end *end)
{
	struct assignment *assignment = arg;
	struct launcher *launcher = assignment->launcher;
	struct text reason = {0};
	char text[128];
	int code;

	timer_set(assignment->worker_end, CLOCK_NEVER);
	end_describe(end, text, sizeof text);
	log_debug(launcher->log, "worker ended: message=%" PRIu64 " pid=%d: %s", assignment->number,
		(int)worker_process_pid(worker), text);
	/* A worker that ends with status 1 by itself has logged why there is no answer; --token
	 * needs no more. */
	bool told = has_token(launcher) && !launcher->stopping && end->kind == PROCESS_EXITED &&
		    end->value == EXIT_FAILURE;
	if (end->kind == PROCESS_EXITED && end->value == 0)
		launcher->succeeded = assignment->succeeded = assignment->answered = true;
	else if (assignment->unwanted || told)
		assignment->answered = true;
	/* The app, at its own end, need not have what a reply on its way would have had. */
	if (assignment->answered && assignment->gave_up)
		timer_set(assignment->grace, clock_now_ms());
	if (assignment->answered)
		return;
	code = end_error(END_WORKER, end, launcher->given->launch.stderr_in_replies, &reason);
	answer(assignment, code, why_ended(assignment, reason.data));
	text_done(&reason);
}

static void worker_gone(void *arg, struct worker_process *worker)
{
	struct assignment *assignment = arg;

	(void)worker;
	assignment->worker = NULL;
	settle(assignment);
}

/* Its time is over, or it was offered again: what is left of it only keeps the machine busy. */
static void on_unwanted(void *arg)
{
	struct assignment *assignment = arg;

	/* After the reply the app only ends. */
	if (assignment->answered)
		return;
	assignment->unwanted = true;
	if (!assignment->worker)
		return;
	log_info(assignment->launcher->log,
		"message %" PRIu64
		" is wanted from here no more (its time is over, or the SuperNode was started anew): stopping its worker",
		assignment->number);
	worker_process_stop(assignment->worker, WORKER_GRACE_MS);
}

static const struct worker_process_ops worker_events = {.ended = worker_ended, .gone = worker_gone};

/* ---- its beginning ---- */

static void start_worker(struct assignment *assignment)
{
	struct launcher *launcher = assignment->launcher;
	const struct control_start start = {
		.token = assignment->token,
		.task_token = assignment->task_token,
		.spelling = assignment->spelling ? (char *)assignment->spelling->since : NULL,
		.address = (char *)launcher->given->address,
		.tls = !launcher->given->insecure,
		.root_certificates = (char *)launcher->given->root_certificates,
		.client_certificate = (char *)launcher->given->client_certificate,
		.client_key = (char *)launcher->given->client_key,
		.flwr_home = (char *)launcher->options.flwr_home,
		.log_level = (int)launcher->given->launch.log_level,
		.signed_apps = launcher->given->signed_apps,
		.stderr_in_replies = launcher->given->launch.stderr_in_replies,
	};
	struct reason why = {0};
	char name[32];

	snprintf(name, sizeof name, "%" PRIu64, assignment->number);
	if (agent_start_worker(launcher->agent,
		    &(struct worker_process_spec){.name = name,
			    .start = &start,
			    .ops = &worker_events,
			    .arg = assignment},
		    &assignment->worker, &why)) {
		log_error(launcher->log, "cannot start a worker: %s", why.text);
		assignment->worker = NULL;
		answer(assignment, ERROR_CODE_CLIENT_APP_CRASHED, "no worker could be started");
		return;
	}
	log_info(launcher->log, "worker started: message=%" PRIu64 " pid=%d", assignment->number,
		(int)worker_process_pid(assignment->worker));
	if (launcher->given->worker_timeout_ms)
		timer_set(assignment->worker_end,
			clock_after(clock_now_ms(), launcher->given->worker_timeout_ms));
}

/* A worker that hangs, or was stopped by somebody, can answer nothing: its end is answered for. */
static void worker_late(void *arg)
{
	struct assignment *assignment = arg;

	if (!assignment->worker || assignment->answered)
		return;
	assignment->late = true;
	log_warn(assignment->launcher->log,
		"message %" PRIu64 ": its worker takes longer than --worker-timeout: stopping it",
		assignment->number);
	worker_process_stop(assignment->worker, WORKER_GRACE_MS);
}

/* The worker knows its message and can answer it best; it has the same time for that as to end. */
static void grace_over(void *arg)
{
	struct assignment *assignment = arg;
	bool one_token = has_token(assignment->launcher);

	if (!assignment->worker)
		return;
	if (assignment->answered || assignment->gave_up) {
		worker_process_stop(assignment->worker, WORKER_GRACE_MS);
	} else {
		assignment->gave_up = true;
		worker_process_give_up(assignment->worker);
		timer_set(assignment->grace,
			clock_after(clock_now_ms(), one_token ? TOKEN_REPLY_MS : WORKER_GRACE_MS));
	}
}

/* Put a message on the list. NULL on no memory. */
static struct assignment *assignment_new(struct launcher *launcher, const struct work *work)
{
	const char *task_token = work->task_token;
	struct assignment *assignment = calloc(1, sizeof *assignment);

	if (!assignment)
		return NULL;
	*assignment = (struct assignment){
		.next = launcher->assignments,
		.launcher = launcher,
		.number = launcher->assigned,
		.token = work->token,
		.spelling = work->spelling,
		.task_token = task_token ? strdup(task_token) : NULL,
		.grace = timer_new(launcher->loop, grace_over, assignment),
		.answer_end = timer_new(launcher->loop, answer_late, assignment),
		.worker_end = timer_new(launcher->loop, worker_late, assignment),
	};
	if ((task_token && !assignment->task_token) || !assignment->grace ||
		!assignment->answer_end || !assignment->worker_end) {
		assignment_free(assignment);
		return NULL;
	}
	launcher->assignments = assignment;
	return assignment;
}

static void attend(struct assignment *assignment)
{
	struct launcher *launcher = assignment->launcher;
	struct rpc_channel *channel = work_poll_channel(launcher->poll);

	if (!channel || assignment->answered ||
		(assignment->spelling && assignment->spelling != &spelling_1_34))
		return;
	assignment->attendance = attendance_new(launcher->loop, launcher->log,
		&(struct attendance_options){.channel = channel,
			.token = assignment->token,
			.task_token = assignment->task_token,
			.unwanted = on_unwanted,
			.arg = assignment});
}

/* The SuperNode is away, or there again. */
static void on_channel(void *arg, bool there)
{
	struct launcher *launcher = arg;

	for (struct assignment *at = launcher->assignments; at; at = at->next) {
		attendance_free(at->attendance);
		at->attendance = NULL;
		if (there)
			attend(at);
	}
}

static void got_work(void *arg, const struct work *work)
{
	struct launcher *launcher = arg;
	struct assignment *assignment;

	launcher->asking = false;
	if (!work->token && !work->task_token) {
		if (!launcher->assignments)
			finish(launcher);
		return;
	}
	/* There may be room for another one. */
	timer_set(launcher->next, 0);
	launcher->assigned++;
	launcher->succeeded = false;
	assignment = assignment_new(launcher, work);
	if (!assignment) {
		/* The message cannot even be refused: its time will end. */
		log_error(launcher->log, "no memory for message %" PRIu64, launcher->assigned);
		return;
	}
	if (launcher->stopping) {
		answer(assignment, ERROR_CODE_CLIENT_APP_CRASHED, "the worker was stopped");
		return;
	}
	if (!has_token(launcher))
		attend(assignment);
	start_worker(assignment);
}

/* ---- life ---- */

/* Make the poll that messages come from when there is no --token. */
static int new_poll(struct launcher *launcher)
{
	return work_poll_new(launcher->loop, launcher->rpc, launcher->log,
		&(struct work_poll_options){.address = launcher->given->address,
			.tls = launcher->options.tls,
			.auth = launcher->options.auth,
			.http = launcher->options.http,
			.got = got_work,
			.channel = on_channel,
			.arg = launcher},
		&launcher->poll);
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
	};
	if (!launcher->next)
		r = -ENOMEM;
	if (r == 0)
		r = agent_new(loop, log,
			&(struct agent_options){.launch = &options->given->launch,
				.bounds = options->bounds,
				.warm_idle_ms = options->given->launch.warm_idle_ms,
				.warm_python = !options->given->launch.no_preload,
				.dependencies = options->dependencies},
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

/* The release of the SuperNode that has issued the token is known now, or none is there. */
static void found_spelling(void *arg, const struct spelling *spelling, const char *details)
{
	struct launcher *launcher = arg;

	if (spelling) {
		got_work(launcher, &(struct work){.task_token = launcher->given->task_token,
					   .spelling = spelling});
	} else {
		log_error(launcher->log, "no SuperNode answers at %s: %s", launcher->given->address,
			details);
		loop_stop(launcher->loop);
	}
}

static void start_with_token(struct launcher *launcher)
{
	const struct spelling_search_options options = {.rpc = launcher->rpc,
		.http = launcher->options.http,
		.log = launcher->log,
		.address = launcher->given->address,
		.tls = launcher->options.tls,
		.task_token = launcher->given->task_token,
		.retry_ms = SEARCH_MS,
		.found = found_spelling,
		.arg = launcher};
	int r;

	app_bounds_warn(launcher->options.bounds, launcher->log);
	if (!launcher->given->task_token) {
		got_work(launcher, &(struct work){.token = launcher->given->token});
		return;
	}
	r = spelling_search_new(launcher->loop, &options, &launcher->search);
	if (r == 0)
		return;
	log_error(launcher->log, "cannot work: %s", strerror(-r));
	loop_stop(launcher->loop);
}

void launcher_start(struct launcher *launcher)
{
	if (has_token(launcher)) {
		dependencies_warn(&launcher->given->launch, launcher->log);
		start_with_token(launcher);
		return;
	}
	log_info(launcher->log, "waiting for messages of the SuperNode at %s",
		launcher->given->address);
	agent_tell_apps(launcher->agent);
	ask(launcher);
}

/* Ask no more; messages at work get grace_ms. */
static void stop_within(struct launcher *launcher, int64_t grace_ms)
{
	launcher->stopping = true;
	agent_stop_spare(launcher->agent);
	if (launcher->asking)
		work_poll_stop(launcher->poll);
	if (grace_ms == 0 || !launcher->assignments)
		log_info(launcher->log, "stopping");
	else
		log_info(launcher->log,
			"stopping: the message%s up to %g s (--grace); a second signal stops at once",
			at_work(launcher) > 1 ? "s at work get" : " at work gets",
			(double)grace_ms / 1000);
	if (!launcher->assignments && has_token(launcher))
		loop_stop(launcher->loop);
	for (struct assignment *at = launcher->assignments; at; at = at->next) {
		if (at->answer && !at->answered)
			timer_set(at->answer_end, clock_after(clock_now_ms(), ANSWER_MS));
		timer_set(at->grace, clock_after(clock_now_ms(), grace_ms));
	}
}

void launcher_stop(struct launcher *launcher)
{
	if (launcher->stopping) {
		log_warn(launcher->log, "stopping now");
		loop_stop(launcher->loop);
		return;
	}
	stop_within(launcher, has_token(launcher) ? 0 : launcher->given->launch.grace_ms);
}

void launcher_cut_short(struct launcher *launcher)
{
	stop_within(launcher, 0);
}

bool launcher_succeeded(const struct launcher *launcher)
{
	return launcher->succeeded;
}

void launcher_free(struct launcher *launcher)
{
	struct assignment *following;

	if (!launcher)
		return;
	agent_free(launcher->agent);
	for (struct assignment *at = launcher->assignments; at; at = following) {
		following = at->next;
		assignment_free(at);
	}
	spelling_search_free(launcher->search);
	work_poll_free(launcher->poll);
	timer_free(launcher->next);
	free(launcher);
}
