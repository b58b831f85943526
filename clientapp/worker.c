/*
 * Two things go on at once: the app process starts (an interpreter's imports take longest of all),
 * and the inputs are fetched and the FAB installed. When both are there the app runs. Where some
 * apps are native, the process starts when the installed FAB has said which app it is for. Whatever
 * fails ends in one reply: answer().
 */
#include "clientapp/worker.h"

#include "clientapp/api/conversation.h"
#include "clientapp/api/spelling.h"
#include "clientapp/run/app_host.h"
#include "common/base/budget.h"
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/files.h"
#include "common/base/text.h"
#include "common/fab/install.h"
#include "common/launch/agent_client.h"
#include "common/launch/end.h"
#include "common/launch/native_apps.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stddef.h>
#include <string.h>

/* A SuperNode that cannot be reached is tried for so long. */
#define WORKER_RETRY_MS 30000
#define LARGE_BYTES     (8 << 20) /* of a content whose memory is worth being given back at once */

struct worker {
	struct loop *loop;
	struct log *log;
	struct conversation *conversation;
	struct agent_client *agent;
	struct app_host *host;
	void (*done)(void *arg);
	void *arg;
	char *flwr_home;
	uint64_t content_max_bytes;
	bool stderr_in_replies;
	bool signed_apps;
	bool names_apps; /* the agent must be told which app a process is for */
	bool native;     /* the app process is no Python */
	struct conversation_inputs inputs;
	/* The FAB's installation, on the io thread. */
	struct job install;
	int install_result;
	struct reason why;
	struct reason note; /* of what was changed in an installed app */
	struct manifest manifest;
	char *app_dir;
	bool installing;
	bool installed;
	bool given;            /* the app has the task */
	struct timer *hung_up; /* its connection has ended: the process must, too */
	bool said;             /* the app process has said its last: said_event */
	enum app_host_event said_event;
	bool app_ended;
	struct process_end end; /* of the app, when it has ended */
	bool answered;
	bool shrunk; /* the reply was too large: an error instead, once */
	bool succeeded;
};

static void answer_too_large(struct worker *worker, const char *details, uint64_t bytes);

static bool knows_message(const struct worker *worker)
{
	return worker->inputs.message.metadata.message_id != NULL;
}

static void push_done(void *arg, enum outcome outcome, const char *details, uint64_t bytes)
{
	struct worker *worker = arg;

	worker->succeeded = outcome == OUTCOME_OK;
	if (outcome == OUTCOME_RESOURCE_EXHAUSTED && !worker->shrunk &&
		bytes > ENVELOPE_STRING_MAX) {
		worker->shrunk = true;
		answer_too_large(worker, details, bytes);
		return;
	}
	if (!worker->succeeded)
		log_error(worker->log, "the SuperNode did not take the outputs: %s: %s",
			outcome_name(outcome), details);
	worker->done(worker->arg);
}

/* The only way to a reply, which is taken over. r: was it made? */
static void answer(struct worker *worker, struct conversation_reply *reply, int r)
{
	worker->answered = true;
	if (r)
		conversation_reply_done(reply);
	else
		r = conversation_push(worker->conversation, reply, push_done, worker);
	if (r)
		push_done(worker, OUTCOME_RESOURCE_EXHAUSTED, strerror(-r), 0);
}

static void answer_error(struct worker *worker, int64_t code, const char *reason)
{
	struct conversation_reply reply = {0};

	if (worker->answered)
		return;
	if (!knows_message(worker)) {
		log_error(worker->log, "%s", reason);
		worker->answered = true;
		worker->done(worker->arg);
		return;
	}
	log_error(worker->log, "message %s failed: code=%" PRId64 ": %s",
		conversation_message_id(&worker->inputs), code, reason);
	answer(worker, &reply, conversation_error_reply(&worker->inputs, code, reason, &reply));
}

/* The SuperNode has no room for the outputs: an error is small. */
static void answer_too_large(struct worker *worker, const char *details, uint64_t bytes)
{
	char reason[512];

	snprintf(reason, sizeof reason,
		"reply and context of %" PRIu64 " bytes are too large for the SuperNode: %s", bytes,
		details);
	worker->answered = false;
	answer_error(worker, ERROR_CODE_CLIENT_APP_CRASHED, reason);
}

/* ---- the app process ---- */

/* Make the reply that is sent: records and the Context are the app's, and move; metadata is ours.
 */
static int make_reply(
	struct worker *worker, struct app_reply *app, struct conversation_reply *reply)
{
	struct envelope *message = &reply->message;
	int r = envelope_reply_metadata(
		&worker->inputs.message.metadata, clock_wall_s(), &message->metadata);

	if (r)
		return r;
	message->has_error = app->has_error;
	message->has_content = !app->has_error;
	if (app->has_error) {
		message->error_code = app->error_code;
		message->error_reason = take_pointer(&app->error_reason);
	} else if (app->metadata.ttl > 0 && app->metadata.ttl < message->metadata.ttl) {
		message->metadata.ttl = app->metadata.ttl;
	}
	reply->has_context = app->has_context;
	reply->node_config = app->node_config;
	reply->run_config = app->run_config;
	app->node_config = (struct value_map){0};
	app->run_config = (struct value_map){0};
	r = record_dict_move(&reply->content, &app->content);
	if (r == 0)
		r = record_dict_move(&reply->state, &app->state);
	if (message->has_error)
		text_cut(message->error_reason, ENVELOPE_REASON_MAX);
	return r ? r : conversation_reply_context(&worker->inputs, reply);
}

static void take_reply(struct worker *worker)
{
	auto_(app_reply_done) struct app_reply app = {0};
	struct conversation_reply reply = {0};

	app_host_take_reply(worker->host, &app);
	if (app.has_error && !app.has_context) {
		answer_error(worker, app.error_code, app.error_reason);
		return;
	}
	if (make_reply(worker, &app, &reply)) {
		conversation_reply_done(&reply);
		answer_error(worker, ERROR_CODE_CLIENT_APP_CRASHED, "no memory for the reply");
	} else {
		answer(worker, &reply, 0);
	}
}

static void answer_ended(struct worker *worker)
{
	struct text reason = {0};
	int code = end_error(END_APP, &worker->end, worker->stderr_in_replies, &reason);

	answer_error(worker, code, reason.data ? reason.data : "the app process ended");
	text_done(&reason);
}

/* Bytes of the inputs once they are written out for the app: each use of a piece counts. */
static uint64_t expanded_bytes(const struct worker *worker)
{
	return record_dict_bytes(&worker->inputs.content) +
	       record_dict_bytes(&worker->inputs.state);
}

static bool is_too_large(const struct worker *worker)
{
	return worker->inputs.too_large || expanded_bytes(worker) > worker->content_max_bytes;
}

static void answer_expanded(struct worker *worker)
{
	const struct conversation_inputs *inputs = &worker->inputs;
	struct reason why;

	reason_set(&why,
		"the message takes %s%" PRIu64
		" bytes when its arrays are written out for the app, and the memory budget is %" PRIu64
		" bytes",
		inputs->too_large ? "more than " : "",
		inputs->too_large ? worker->content_max_bytes : expanded_bytes(worker),
		worker->content_max_bytes);
	log_error(worker->log, "%s", why.text);
	answer_error(worker, ERROR_CODE_CLIENT_APP_CRASHED, why.text);
}

/* All that is needed to run is there? Then run. */
static void proceed(struct worker *worker)
{
	struct conversation_inputs *inputs = &worker->inputs;
	const struct app_task task = {
		.metadata = &inputs->message.metadata,
		.content = &inputs->content,
		.run_id = inputs->context.run_id,
		.node_id = inputs->context.node_id,
		.series_id = inputs->context.series_id,
		.node_config = &inputs->context.node_config,
		.run_config = &inputs->context.run_config,
		.state = &inputs->state,
		.app_dir = worker->app_dir,
		.fab_id = worker->manifest.fab_id,
		.fab_version = worker->manifest.version,
		.fab_hash = inputs->run.fab_hash,
		.file = inputs->file,
	};
	struct reason why = {0};
	int r;

	if (!worker->installed || !worker->host || worker->answered || worker->given ||
		worker->said || worker->app_ended)
		return;
	worker->given = true;
	r = app_host_run(worker->host, &task);
	/* The app has its own copy now; what remains is not needed again. */
	record_dict_done(&inputs->content);
	record_dict_done(&inputs->state);
	memory_file_free(inputs->file);
	inputs->file = NULL;
	if (inputs->content_bytes >= LARGE_BYTES)
		malloc_trim(0);
	if (r) {
		reason_set(&why, "the message could not be handed to the app process: %s",
			strerror(-r));
		answer_error(worker, ERROR_CODE_CLIENT_APP_CRASHED, why.text);
	}
}

/* The app process has said its last, or is dead: answer with that, once it is known what is
 * answered. */
static void settle_app(struct worker *worker)
{
	if (worker->answered || !knows_message(worker))
		return;
	if (worker->said && worker->said_event == APP_HOST_REPLY) {
		if (app_host_refused(worker->host) && !worker->native)
			log_error(worker->log,
				"no app can run: install the flwr package for the python that was named at the start, or give --python one that has it");
		take_reply(worker);
	} else if (worker->said) {
		answer_error(worker, ERROR_CODE_CLIENT_APP_CRASHED,
			worker->said_event == APP_HOST_BROKEN ? app_host_reason(worker->host)
			: worker->native
				? "the native app was not loaded within 120 s: its constructors or the function that returns it hang"
				: "the app process did not say hello within 120 s: python or the import of flwr hangs");
		agent_client_stop(worker->agent);
	} else if (worker->app_ended) {
		answer_ended(worker);
	}
}

/* Nothing can come from the app any more, and yet it has not ended. */
static void hung_up_late(void *arg)
{
	struct worker *worker = arg;

	if (worker->app_ended || worker->answered)
		return;
	answer_error(worker, ERROR_CODE_CLIENT_APP_CRASHED,
		"the app process closed its connection without a reply");
	agent_client_stop(worker->agent);
}

static void host_event(void *arg, enum app_host_event event)
{
	struct worker *worker = arg;

	switch (event) {
	case APP_HOST_HELLO:
		log_debug(worker->log, "app ready: %s", app_host_hello_text(worker->host));
		break;
	case APP_HOST_REPLY:
	case APP_HOST_BROKEN:
	case APP_HOST_SILENT:
		worker->said = true;
		worker->said_event = event;
		settle_app(worker);
		break;
	case APP_HOST_HUNG_UP:
		/* app_ended() tells how the app has ended, unless it lives on. */
		timer_set(worker->hung_up, clock_after(clock_now_ms(), WORKER_GRACE_MS));
		break;
	}
}

static void app_started(void *arg, int fd, bool native)
{
	struct worker *worker = arg;

	worker->native = native;
	worker->host = app_host_new(worker->loop, fd, host_event, worker);
	if (!worker->host) {
		agent_client_stop(worker->agent);
		return;
	}
	proceed(worker);
}

static void app_ended(void *arg, const struct process_end *end)
{
	struct worker *worker = arg;

	/* Its reply may still be in the socket. */
	if (worker->host)
		app_host_ended(worker->host);
	worker->end = *end;
	worker->app_ended = true;
	settle_app(worker);
}

/* The agent wants an answer now. */
static void give_up(void *arg)
{
	struct worker *worker = arg;

	agent_client_stop(worker->agent);
	if (knows_message(worker)) {
		answer_error(worker, ERROR_CODE_CLIENT_APP_CRASHED, "the worker was stopped");
	} else if (!worker->answered) {
		worker->answered = true;
		worker->done(worker->arg);
	}
}

/* Nobody takes a reply any more: what the app does is for nothing. */
static void token_gone(void *arg)
{
	struct worker *worker = arg;

	if (worker->answered)
		return;
	worker->answered = true;
	agent_client_stop(worker->agent);
	worker->done(worker->arg);
}

static void agent_lost(void *arg)
{
	(void)arg;
	agent_client_die();
}

static const struct agent_client_ops agent_events = {
	.started = app_started, .ended = app_ended, .give_up = give_up, .lost = agent_lost};

/* ---- the FAB ---- */

static void install_run(struct job *job)
{
	struct worker *worker = container_of(job, struct worker, install);
	const struct fab_limits limits = fab_limits_default();
	auto_(free_at_exit) char *older_home = NULL;
	int r = fab_check_hash(
		&worker->inputs.fab, worker->inputs.run.fab_hash, &limits, &worker->why);

	if (r == 0)
		r = path_flwr_home_older(worker->flwr_home, &older_home);
	if (r == 0)
		r = fab_install(&worker->inputs.fab,
			&(struct fab_install_options){.hash = worker->inputs.run.fab_hash,
				.flwr_home = worker->flwr_home,
				.older_home = older_home,
				.limits = limits,
				.strict = worker->signed_apps,
				.note = &worker->note},
			&worker->manifest, &worker->app_dir, &worker->why);
	worker->install_result = r;
}

/* The FAB has no app that Python could load, and no app may be native here. */
static void answer_native(struct worker *worker)
{
	struct reason why;

	reason_set(&why,
		"An exception was raised when attempting to load `ClientApp`: the app brings native code (%.100s), which this node takes only where its operator allows it: --allow-native %.100s",
		worker->manifest.clientapp, worker->manifest.fab_id);
	answer_error(worker, ERROR_CODE_LOAD_CLIENT_APP, why.text);
	agent_client_stop(worker->agent);
}

static void ask_for_app(struct worker *worker)
{
	if (worker->answered)
		return;
	agent_client_start(worker->agent, &(struct control_app){.fab_id = worker->manifest.fab_id,
						  .component = worker->manifest.clientapp,
						  .dir = worker->app_dir,
						  .run_id = worker->inputs.context.run_id});
}

static void install_done(struct job *job)
{
	struct worker *worker = container_of(job, struct worker, install);
	struct reason why = worker->why;
	int r = worker->install_result;

	worker->installing = false;
	worker->why = (struct reason){0};
	slices_done(&worker->inputs.fab);
	if (worker->note.text[0])
		log_warn(worker->log, "%s: %s", worker->note.text,
			worker->app_dir ? worker->app_dir : "not done");
	if (r == -EBADMSG || r == -EFBIG) {
		answer_error(worker, ERROR_CODE_INVALID_FAB, why.text);
	} else if (r) {
		log_error(worker->log, "the FAB cannot be installed below %s: %s",
			worker->flwr_home, why.text[0] ? why.text : strerror(-r));
		reason_set(&why,
			"An exception was raised when attempting to load `ClientApp`: the FAB could not be installed: %s",
			strerror(-r));
		answer_error(worker, ERROR_CODE_LOAD_CLIENT_APP, why.text);
	} else if (!worker->names_apps && native_component(worker->manifest.clientapp)) {
		answer_native(worker);
	} else {
		worker->installed = true;
		if (worker->names_apps)
			ask_for_app(worker);
		proceed(worker);
	}
}

/* ---- the inputs ---- */

static void install(struct worker *worker)
{
	int r;

	worker->install = (struct job){.run = install_run, .done = install_done};
	worker->installing = true;
	r = loop_job(worker->loop, &worker->install);
	if (r) {
		worker->installing = false;
		answer_error(worker, ERROR_CODE_LOAD_CLIENT_APP, strerror(-r));
	}
}

static void pull_done(
	void *arg, enum outcome outcome, struct conversation_inputs *inputs, const char *details)
{
	struct worker *worker = arg;
	const struct metadata *metadata = &worker->inputs.message.metadata;

	if (worker->answered)
		return;
	if (outcome != OUTCOME_OK) {
		log_error(worker->log, "the SuperNode gave no inputs: %s: %s",
			outcome_name(outcome), details);
		worker->answered = true;
		worker->done(worker->arg);
		return;
	}
	worker->inputs = *inputs;
	*inputs = (struct conversation_inputs){0};
	if (knows_message(worker))
		log_info(worker->log, "works on run_id=%" PRIu64 " message_id=%s type=%s",
			metadata->run_id, metadata->message_id, metadata->message_type);
	if (worker->inputs.broken.text[0] && !worker->inputs.too_large)
		answer_error(worker,
			worker->inputs.unavailable ? ERROR_CODE_MESSAGE_UNAVAILABLE
						   : ERROR_CODE_CLIENT_APP_CRASHED,
			worker->inputs.broken.text);
	else if (!worker->inputs.message.has_content)
		answer_error(worker, ERROR_CODE_CLIENT_APP_CRASHED, "the message has no content");
	else if (is_too_large(worker))
		answer_expanded(worker);
	else if (!worker->inputs.fab.bytes || !worker->inputs.run.fab_hash[0])
		answer_error(worker, ERROR_CODE_INVALID_FAB, "the run has no FAB");
	else
		settle_app(worker);
	if (!worker->answered)
		install(worker);
}

/* ---- life ---- */

static void worker_free_at_exit(struct worker **worker)
{
	worker_free(*worker);
}

int worker_new(struct loop *loop, struct rpc *rpc, struct log *log,
	const struct worker_options *options, struct worker **out)
{
	const struct control_start *start = options->start;
	const uint64_t content_max_bytes =
		start->content_max_bytes ? start->content_max_bytes : budget_default_limit();
	struct conversation_options conversation = {.address = start->address,
		.tls = options->tls,
		.token = start->token,
		.task_token = start->task_token,
		.spelling = spelling_find(start->spelling),
		.http = options->http,
		.retry_ms = WORKER_RETRY_MS,
		.content_max_bytes = content_max_bytes,
		.gone = token_gone};
	auto_(close_at_exit) int control = options->control;
	auto_(worker_free_at_exit) struct worker *worker = calloc(1, sizeof *worker);
	int r;

	if (!worker)
		return -ENOMEM;
	worker->loop = loop;
	worker->log = log;
	worker->done = options->done;
	worker->arg = options->arg;
	worker->stderr_in_replies = start->stderr_in_replies;
	worker->content_max_bytes = content_max_bytes;
	worker->signed_apps = start->signed_apps;
	worker->names_apps = start->names_apps;
	worker->flwr_home = strdup(start->flwr_home);
	worker->hung_up = timer_new(loop, hung_up_late, worker);
	if (!worker->flwr_home || !worker->hung_up)
		return -ENOMEM;
	conversation.arg = worker;
	r = conversation_new(loop, rpc, log, &conversation, &worker->conversation);
	if (r == 0)
		r = agent_client_new(
			loop, take_fd(&control), &agent_events, worker, &worker->agent);
	if (r)
		return r;
	*out = take_pointer(&worker);
	return 0;
}

void worker_start(struct worker *worker)
{
	int r;

	if (!worker->names_apps)
		agent_client_start(worker->agent, NULL);
	r = conversation_pull(worker->conversation, pull_done, worker);
	if (r)
		push_done(worker, OUTCOME_RESOURCE_EXHAUSTED, "no memory", 0);
}

bool worker_succeeded(const struct worker *worker)
{
	return worker->succeeded;
}

void worker_free(struct worker *worker)
{
	if (!worker)
		return;
	while (worker->installing)
		loop_step(worker->loop, 1000);
	timer_free(worker->hung_up);
	app_host_free(worker->host);
	agent_client_free(worker->agent);
	conversation_free(worker->conversation);
	conversation_inputs_done(&worker->inputs);
	manifest_done(&worker->manifest);
	free(worker->app_dir);
	free(worker->flwr_home);
	free(worker);
}
