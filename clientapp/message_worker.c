/*
 * Two things go on at once: the app process starts (an interpreter's imports take longest of all),
 * and the inputs are fetched and the FAB installed. When both are there the app runs. Whatever
 * fails ends in one reply: answer().
 */
#include "clientapp/message_worker.h"

#include "clientapp/appio/instruction.h"
#include "clientapp/run/app_host.h"
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/fab/install.h"
#include "common/launch/end.h"
#include "common/records/maps_codec.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stddef.h>
#include <string.h>

#define LARGE_BYTES (8 << 20) /* of a content whose memory is worth being given back at once */

struct message_worker {
	struct loop *loop;
	struct log *log;
	struct instruction *instruction;
	struct app_source *apps;
	struct app_host *host;
	void (*done)(void *arg);
	void *arg;
	char *flwr_home;
	bool stderr_in_replies;
	char *failure; /* is all there is to answer */
	int64_t failure_code;
	/* Inputs. */
	struct slices context_bytes; /* given back as they came after an error */
	struct envelope message;
	struct context context;
	struct run run;
	char *fab_hash;
	struct slices fab;
	/* The FAB's installation, on the io thread. */
	struct job install;
	int install_result;
	struct reason why;
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
	/* Outputs. */
	struct instruction_outputs outputs;
	bool answered;
	bool shrunk; /* the reply was too large: an error instead, once */
	bool succeeded;
};

static void answer_too_large(struct message_worker *worker, const char *details);

static size_t outputs_bytes(const struct message_worker *worker)
{
	return worker->outputs.message.bytes + worker->outputs.context.bytes;
}

static void push_done(void *arg, enum outcome outcome, const char *details)
{
	struct message_worker *worker = arg;

	worker->succeeded = outcome == OUTCOME_OK;
	if (outcome == OUTCOME_RESOURCE_EXHAUSTED && !worker->shrunk &&
		outputs_bytes(worker) > ENVELOPE_STRING_MAX) {
		worker->shrunk = true;
		answer_too_large(worker, details);
		return;
	}
	if (!worker->succeeded)
		log_error(worker->log, "the SuperNode did not take the outputs: %s: %s",
			outcome_name(outcome), details);
	worker->done(worker->arg);
}

/* The only way to a reply; envelope is taken over; context bytes are in outputs.context already. */
static void answer(struct message_worker *worker, struct envelope *envelope)
{
	int r;

	worker->answered = true;
	if (envelope->has_error)
		text_cut(envelope->error_reason, ENVELOPE_STRING_MAX);
	r = envelope_encode(envelope, &worker->outputs.message);
	envelope_done(envelope);
	if (r == 0)
		r = instruction_push(worker->instruction, &worker->outputs, push_done, worker);
	if (r)
		push_done(worker, OUTCOME_RESOURCE_EXHAUSTED, strerror(-r));
}

static void answer_error(struct message_worker *worker, int64_t code, const char *reason)
{
	struct envelope envelope = {0};
	int r;

	if (worker->answered)
		return;
	if (!worker->message.metadata.message_id) {
		log_error(worker->log, "%s", reason);
		worker->answered = true;
		worker->done(worker->arg);
		return;
	}
	log_error(worker->log, "message %s failed: code=%" PRId64 ": %s",
		worker->message.metadata.message_id, code, reason);
	slices_done(&worker->outputs.context);
	r = slices_append_refs(&worker->outputs.context, &worker->context_bytes);
	if (r == 0)
		r = envelope_error(
			&worker->message.metadata, clock_wall_s(), code, reason, &envelope);
	if (r) {
		worker->answered = true;
		push_done(worker, OUTCOME_RESOURCE_EXHAUSTED, strerror(-r));
		return;
	}
	answer(worker, &envelope);
}

/* The SuperNode has no room for the outputs: an error is small. */
static void answer_too_large(struct message_worker *worker, const char *details)
{
	char reason[512];

	snprintf(reason, sizeof reason,
		"reply and context of %zu bytes are too large for the SuperNode: %s",
		outputs_bytes(worker), details);
	slices_done(&worker->outputs.message);
	worker->answered = false;
	answer_error(worker, ERROR_CODE_CLIENT_APP_CRASHED, reason);
}

/* ---- the app process ---- */

/* The context as it is after the app ran: its state is what the app left. */
static int encode_context(struct message_worker *worker, struct app_reply *reply)
{
	int r;

	if (!reply->has_state)
		return slices_append_refs(&worker->outputs.context, &worker->context_bytes);
	slices_done(&worker->context.state);
	r = maps_encode(&reply->state, &worker->context.state);
	return r ? r : context_encode(&worker->context, &worker->outputs.context);
}

static void take_reply(struct message_worker *worker)
{
	auto_(app_reply_done) struct app_reply reply = {0};
	auto_(envelope_done) struct envelope envelope = {0};
	int r;

	app_host_take_reply(worker->host, &reply);
	if (reply.has_error && !reply.has_state) {
		answer_error(worker, reply.error_code, reply.error_reason);
		return;
	}
	r = envelope_reply_metadata(&worker->message.metadata, clock_wall_s(), &envelope.metadata);
	if (r == 0 && reply.has_error) {
		envelope.has_error = true;
		envelope.error_code = reply.error_code;
		envelope.error_reason = take_pointer(&reply.error_reason);
	} else if (r == 0) {
		if (reply.metadata.ttl > 0 && reply.metadata.ttl < envelope.metadata.ttl)
			envelope.metadata.ttl = reply.metadata.ttl;
		envelope.has_content = true;
		r = maps_encode(&reply.content, &envelope.content);
	}
	if (r == 0)
		r = encode_context(worker, &reply);
	if (r)
		answer_error(worker, ERROR_CODE_CLIENT_APP_CRASHED, "no memory for the reply");
	else
		answer(worker, &envelope);
}

static void answer_ended(struct message_worker *worker)
{
	struct text reason = {0};
	int code = end_error(END_APP, &worker->end, worker->stderr_in_replies, &reason);

	answer_error(worker, code, reason.data ? reason.data : "the app process ended");
	text_done(&reason);
}

/* All that is needed to run is there? Then run. */
static void proceed(struct message_worker *worker)
{
	auto_(record_dict_done) struct record_dict content = {0};
	auto_(record_dict_done) struct record_dict state = {0};
	struct app_task task = {
		.metadata = &worker->message.metadata,
		.content = &content,
		.run_id = worker->context.run_id,
		.node_id = worker->context.node_id,
		.node_config = &worker->context.node_config,
		.run_config = &worker->context.run_config,
		.state = &state,
		.app_dir = worker->app_dir,
		.clientapp = worker->manifest.clientapp,
	};
	bool large;
	int r;

	if (!worker->installed || !worker->host || worker->answered || worker->given ||
		worker->said || worker->app_ended)
		return;
	worker->given = true;
	r = maps_decode(&worker->message.content, &content, &worker->why);
	if (r == 0)
		r = maps_decode(&worker->context.state, &state, &worker->why);
	if (r == 0)
		r = app_host_run(worker->host, &task);
	/* The app has its own copy now; what remains is not needed again. */
	large = worker->message.content.bytes >= LARGE_BYTES;
	slices_done(&worker->message.content);
	record_dict_done(&content);
	if (large)
		malloc_trim(0);
	if (r)
		answer_error(worker, ERROR_CODE_CLIENT_APP_CRASHED,
			worker->why.text[0] ? worker->why.text : strerror(-r));
}

/* The app process has said its last, or is dead: answer with that, once it is known what is
 * answered. */
static void settle_app(struct message_worker *worker)
{
	if (worker->answered || !worker->message.metadata.message_id)
		return;
	if (worker->said && worker->said_event == APP_HOST_REPLY) {
		if (app_host_refused(worker->host))
			log_error(worker->log,
				"no app can run: install the flwr package for the python that was "
				"named at the start, or give --python one that has it");
		take_reply(worker);
	} else if (worker->said) {
		answer_error(worker, ERROR_CODE_CLIENT_APP_CRASHED,
			worker->said_event == APP_HOST_BROKEN
				? app_host_reason(worker->host)
				: "the app process did not say hello within 120 s: python or the "
				  "import of flwr hangs");
		app_source_stop(worker->apps);
	} else if (worker->app_ended) {
		answer_ended(worker);
	}
}

/* Nothing can come from the app any more, and yet it has not ended. */
static void hung_up_late(void *arg)
{
	struct message_worker *worker = arg;

	if (worker->app_ended || worker->answered)
		return;
	answer_error(worker, ERROR_CODE_CLIENT_APP_CRASHED,
		"the app process closed its connection without a reply");
	app_source_stop(worker->apps);
}

static void host_event(void *arg, enum app_host_event event)
{
	struct message_worker *worker = arg;

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
		/* What it was that ended it is told by app_ended(), unless it lives on. */
		timer_set(worker->hung_up, clock_after(clock_now_ms(), WORKER_GRACE_MS));
		break;
	}
}

static void app_started(void *arg, int fd)
{
	struct message_worker *worker = arg;

	worker->host = app_host_new(worker->loop, fd, host_event, worker);
	if (!worker->host) {
		app_source_stop(worker->apps);
		return;
	}
	proceed(worker);
}

static void app_ended(void *arg, const struct process_end *end)
{
	struct message_worker *worker = arg;

	/* Its reply may still be in the socket. */
	if (worker->host)
		app_host_ended(worker->host);
	worker->end = *end;
	worker->app_ended = true;
	settle_app(worker);
}

static void agent_lost(void *arg)
{
	(void)arg;
	app_source_die();
}

static const struct app_source_ops app_events = {
	.started = app_started, .ended = app_ended, .lost = agent_lost};

/* ---- the FAB ---- */

static void install_run(struct job *job)
{
	struct message_worker *worker = container_of(job, struct message_worker, install);
	const struct fab_limits limits = fab_limits_default();

	worker->install_result =
		fab_check_hash(&worker->fab, worker->run.fab_hash, &limits, &worker->why);
	if (worker->install_result == 0)
		worker->install_result =
			fab_install(&worker->fab, worker->run.fab_hash, worker->flwr_home, &limits,
				&worker->manifest, &worker->app_dir, &worker->why);
}

static void install_done(struct job *job)
{
	struct message_worker *worker = container_of(job, struct message_worker, install);
	struct reason why = worker->why;
	int r = worker->install_result;

	worker->installing = false;
	worker->why = (struct reason){0};
	slices_done(&worker->fab);
	if (r == -EBADMSG || r == -EFBIG) {
		answer_error(worker, ERROR_CODE_INVALID_FAB, why.text);
	} else if (r) {
		log_error(worker->log, "the FAB cannot be installed below %s: %s",
			worker->flwr_home, why.text[0] ? why.text : strerror(-r));
		reason_set(&why,
			"An exception was raised when attempting to load `ClientApp`: the FAB "
			"could not be installed: %s",
			strerror(-r));
		answer_error(worker, ERROR_CODE_LOAD_CLIENT_APP, why.text);
	} else {
		worker->installed = true;
		proceed(worker);
	}
}

/* ---- the inputs ---- */

static int decode_inputs(struct message_worker *worker, struct instruction_inputs *inputs)
{
	int r = envelope_decode(&inputs->message, &worker->message);

	if (r == 0)
		r = slices_move(&worker->context_bytes, &inputs->context);
	if (r == 0)
		r = context_decode(&worker->context_bytes, &worker->context);
	if (r == 0)
		r = run_decode(&inputs->run, &worker->run);
	if (r == 0 && inputs->fab.bytes)
		r = fab_decode(&inputs->fab, &worker->fab_hash, &worker->fab);
	return r;
}

static void pull_done(
	void *arg, enum outcome outcome, struct instruction_inputs *inputs, const char *details)
{
	struct message_worker *worker = arg;
	int r;

	if (outcome != OUTCOME_OK) {
		/* Who answers for another worker may come late: it, or its SuperNode, has. */
		log_line(worker->log, worker->failure ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR,
			"the SuperNode gave no inputs: %s: %s", outcome_name(outcome), details);
		worker->answered = true;
		worker->done(worker->arg);
		return;
	}
	r = decode_inputs(worker, inputs);
	instruction_inputs_done(inputs);
	if (r) {
		answer_error(worker, ERROR_CODE_CLIENT_APP_CRASHED,
			"the worker could not decode its inputs");
		return;
	}
	if (worker->failure) {
		answer_error(worker, worker->failure_code, worker->failure);
		return;
	}
	log_info(worker->log, "works on run_id=%" PRIu64 " message_id=%s type=%s",
		worker->message.metadata.run_id, worker->message.metadata.message_id,
		worker->message.metadata.message_type);
	if (!worker->message.has_content) {
		answer_error(worker, ERROR_CODE_CLIENT_APP_CRASHED, "the message has no content");
		return;
	}
	if (!worker->fab.bytes || !worker->run.fab_hash[0]) {
		answer_error(worker, ERROR_CODE_INVALID_FAB, "the run has no FAB");
		return;
	}
	settle_app(worker);
	if (worker->answered)
		return;
	worker->install = (struct job){.run = install_run, .done = install_done};
	worker->installing = true;
	r = loop_job(worker->loop, &worker->install);
	if (r) {
		worker->installing = false;
		answer_error(worker, ERROR_CODE_LOAD_CLIENT_APP, strerror(-r));
	}
}

/* ---- life ---- */

int message_worker_new(struct loop *loop, struct rpc *rpc, struct log *log,
	const struct message_worker_options *options, void (*done)(void *arg), void *arg,
	struct message_worker **out)
{
	struct message_worker *worker = calloc(1, sizeof *worker);
	auto_(close_at_exit) int control = options->control;
	int r;

	if (!worker)
		return -ENOMEM;
	worker->loop = loop;
	worker->log = log;
	worker->done = done;
	worker->arg = arg;
	worker->stderr_in_replies = options->stderr_in_replies;
	worker->flwr_home = strdup(options->flwr_home);
	worker->hung_up = timer_new(loop, hung_up_late, worker);
	worker->failure = options->failure ? strdup(options->failure) : NULL;
	worker->failure_code = options->failure_code;
	r = worker->flwr_home && worker->hung_up && !worker->failure == !options->failure
		    ? instruction_new(loop, rpc, log, options->address, options->token,
			      options->patient ? CLOCK_NEVER : INSTRUCTION_RETRY_MS,
			      &worker->instruction)
		    : -ENOMEM;
	if (r == 0 && worker->failure) {
		worker->apps = NULL;
	} else if (r == 0 && control >= 0) {
		r = app_source_from_control(
			loop, take_fd(&control), &app_events, worker, &worker->apps);
	} else if (r == 0) {
		struct agent_options agent = {
			.python = options->python, .log_level = options->log_level};

		r = agent_paths(&agent);
		if (r == 0)
			r = app_source_local(loop, log, &agent, &app_events, worker, &worker->apps);
		free((char *)agent.worker_path);
		free((char *)agent.start_path);
		free((char *)agent.bridge_path);
	}
	if (r) {
		message_worker_free(worker);
		return r;
	}
	*out = worker;
	return 0;
}

void message_worker_start(struct message_worker *worker)
{
	if (worker->apps)
		app_source_start(worker->apps);
	if (instruction_pull(worker->instruction, pull_done, worker))
		push_done(worker, OUTCOME_RESOURCE_EXHAUSTED, "no memory");
}

void message_worker_stop(struct message_worker *worker)
{
	if (worker->apps)
		app_source_stop(worker->apps);
	if (worker->message.metadata.message_id) {
		answer_error(worker, ERROR_CODE_CLIENT_APP_CRASHED, "the worker was stopped");
	} else if (!worker->answered) {
		worker->answered = true;
		worker->done(worker->arg);
	}
}

bool message_worker_succeeded(const struct message_worker *worker)
{
	return worker->succeeded;
}

void message_worker_free(struct message_worker *worker)
{
	if (!worker)
		return;
	while (worker->installing)
		loop_step(worker->loop, 1000);
	timer_free(worker->hung_up);
	app_host_free(worker->host);
	worker->host = NULL;
	app_source_free(worker->apps);
	free(worker->failure);
	instruction_free(worker->instruction);
	slices_done(&worker->context_bytes);
	envelope_done(&worker->message);
	context_done(&worker->context);
	run_done(&worker->run);
	free(worker->fab_hash);
	slices_done(&worker->fab);
	manifest_done(&worker->manifest);
	free(worker->app_dir);
	instruction_outputs_done(&worker->outputs);
	free(worker->flwr_home);
	free(worker);
}
