/*
 * Events reach the node from three sides (SuperLink, worker API, processes); after each of them
 * supervisor_pump() does what the node decided.
 */
#include "supernode/supervisor/supervisor_internal.h"

#include "common/base/cleanup.h"
#include "common/base/exit_code.h"
#include "common/base/files.h"
#include "common/launch/app_user.h"
#include "supernode/supervisor/token_file.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OBJECTS_MEMORY_BYTES (32 << 20) /* of all messages; as much again may be on its way */
#define APPIO_SPARE_BYTES    (64 << 20) /* for requests of workers, above the budget */
#define COMMAND_MAX          3000      /* of --clientapp-command: what a control socket passes on */
#define LARGE_BYTES          (8 << 20) /* of a message whose memory is worth being given back */
#define SPARE_MS             600000    /* a large message's file waits so long for the next round */
#define TRIM_MS              500       /* after its end, when no other is at hand */
#define HEALTH_LOOK_MS       5000      /* a heartbeat may become too old */
#define OFFER_FIRST_MS       10000     /* a message has waited for a worker: said */
#define OFFER_LINE_MS        60000     /* said again */

static uint64_t random_u64(void *arg)
{
	uint64_t number;

	(void)arg;
	randombytes_buf(&number, sizeof number);
	return number;
}

static double random_01(void *arg)
{
	/* 53 bits: what a double holds. */
	return (double)(random_u64(arg) >> 11) / 9007199254740992.0;
}

/* ---- the workers' side ---- */

static void on_changed(void *arg)
{
	supervisor_pump(arg);
}

static void on_ready(void *arg, uint64_t message, const struct peer *peer)
{
	struct supervisor *supervisor = arg;
	char text[512];

	if (supervisor->slots) {
		slots_ready(supervisor->slots, message);
	} else {
		node_describe(supervisor->node, message, text, sizeof text);
		log_info(supervisor->log, "worker came: from=%s %s", peer->text, text);
	}
}

static const struct appio_ops appio_events = {.changed = on_changed, .ready = on_ready};

static void on_worker_ended(void *arg, uint64_t message, int64_t code, const char *reason)
{
	struct supervisor *supervisor = arg;

	node_worker_ended(supervisor->node, supervisor_now(), message, code, reason);
	supervisor_pump(supervisor);
}

static void on_worker_gone(void *arg, uint64_t message)
{
	struct supervisor *supervisor = arg;

	if (supervisor->token_files)
		token_file_remove(supervisor->dir.path, message);
	node_worker_gone(supervisor->node, supervisor_now(), message);
	supervisor_pump(supervisor);
}

static const struct slots_ops slots_events = {.ended = on_worker_ended, .gone = on_worker_gone};

/* ---- what the node decides ---- */

/* The file of the command's placeholder, if it has that. 0 or -errno. */
static int make_token_file(struct supervisor *supervisor, const struct node_action *action,
	const char *task_token, char **path_out)
{
	char number[24];
	int r;

	if (!supervisor->token_files)
		return 0;
	snprintf(number, sizeof number, "%" PRIu64, action->token);
	r = token_file_make(supervisor->dir.path, action->message,
		action->form == MESSAGE_OBJECTS ? task_token : number, path_out);
	explicit_bzero(number, sizeof number);
	return r;
}

static void do_start_worker(struct supervisor *supervisor, const struct node_action *action)
{
	char task_token[NODE_TOKEN_TEXT_BYTES] = "";
	auto_(free_at_exit) char *token_file = NULL;
	struct control_start start = {
		.token = action->token,
		.task_token = action->form == MESSAGE_OBJECTS ? task_token : NULL,
		.address = (char *)appio_address(supervisor->appio),
		.flwr_home = supervisor->flwr_home.path,
		.command = supervisor->clientapp_command,
		.content_max_bytes = supervisor->budget.limit_bytes,
		.log_level = supervisor->log_level,
		.stderr_in_replies = supervisor->stderr_in_replies,
		.signed_apps = supervisor->credentials.trusted != NULL,
	};
	struct reason why = {0};
	int r;

	(void)node_token_text(supervisor->node, action->token, task_token);
	r = make_token_file(supervisor, action, task_token, &token_file);
	start.token_file = token_file;
	if (r)
		reason_set(&why, "no file for its token: %s", strerror(-r));
	else
		r = slots_start(supervisor->slots, action->message, &start, &why);
	explicit_bzero(task_token, sizeof task_token);
	if (r == 0)
		return;
	log_error(supervisor->log, "cannot start a worker: %s", why.text);
	if (supervisor->token_files)
		token_file_remove(supervisor->dir.path, action->message);
	node_worker_ended(supervisor->node, supervisor_now(), action->message,
		ERROR_CODE_CLIENT_APP_CRASHED, "the SuperNode could not start a worker");
	node_worker_gone(supervisor->node, supervisor_now(), action->message);
}

static void do_stop_worker(struct supervisor *supervisor, const struct node_action *action)
{
	slots_stop(supervisor->slots, action->message, WORKER_GRACE_MS);
}

/* Back to the system with what a large message took, unless the next one can use it. */
static void trim_late(void *arg)
{
	struct supervisor *supervisor = arg;

	if (node_count(supervisor->node).messages) {
		timer_set(supervisor->trim_timer, clock_after(clock_now_ms(), TRIM_MS));
	} else {
		spool_trim_later(supervisor->spool, SPARE_MS);
		supervisor->trim();
	}
	budget_peak_reset(&supervisor->budget);
}

/* Has a message been large, inline or in objects, since the last that was? */
static bool was_large(struct supervisor *supervisor)
{
	uint64_t passed_bytes = spool_passed_bytes(supervisor->spool);

	if (supervisor->budget.peak_bytes < LARGE_BYTES &&
		passed_bytes - supervisor->passed_bytes < LARGE_BYTES)
		return false;
	supervisor->passed_bytes = passed_bytes;
	return true;
}

static void do_finished(struct supervisor *supervisor, const struct node_action *action)
{
	char text[512];

	node_describe(supervisor->node, action->message, text, sizeof text);
	if (action->code < 0)
		log_warn(supervisor->log, "message dropped: %s: %s", text, action->text);
	else if (action->code > 0)
		log_warn(supervisor->log, "message failed: %s code=%" PRId64 ": %s", text,
			action->code, action->text);
	else
		log_debug(supervisor->log, "message finished: %s", text);
	if (supervisor->trim && was_large(supervisor))
		timer_set(supervisor->trim_timer, clock_after(clock_now_ms(), TRIM_MS));
}

static void (*const does[NODE_ACTION_N])(struct supervisor *, const struct node_action *) = {
	[NODE_FETCH_RUN] = superlink_fetch_run,
	[NODE_FETCH_FAB] = superlink_fetch_fab,
	[NODE_START_WORKER] = do_start_worker,
	[NODE_STOP_WORKER] = do_stop_worker,
	[NODE_PUSH_REPLY] = superlink_push_reply,
	[NODE_FINISHED] = do_finished,
};

/* ---- messages that wait for a worker to come ---- */

/* All messages of a SuperLink have one form. */
static uint64_t oldest_offer(const struct supervisor *supervisor, int64_t *since_ms)
{
	uint64_t message = node_offered(supervisor->node, MESSAGE_OBJECTS, since_ms);

	return message ? message : node_offered(supervisor->node, MESSAGE_INLINE, since_ms);
}

static void offers_set_timer(struct supervisor *supervisor)
{
	int64_t since_ms, at_ms;

	if (!oldest_offer(supervisor, &since_ms)) {
		timer_set(supervisor->offers, CLOCK_NEVER);
		return;
	}
	at_ms = since_ms + OFFER_FIRST_MS;
	if (supervisor->offer_line_ms >= since_ms)
		at_ms = supervisor->offer_line_ms + OFFER_LINE_MS;
	timer_set(supervisor->offers, at_ms);
}

static void offers_say(void *arg)
{
	struct supervisor *supervisor = arg;
	const char *address = appio_address(supervisor->appio);
	int64_t since_ms;
	char text[512];
	uint64_t message = oldest_offer(supervisor, &since_ms);

	if (message) {
		supervisor->offer_line_ms = clock_now_ms();
		node_describe(supervisor->node, message, text, sizeof text);
		log_warn(supervisor->log,
			"no worker has asked for a message that has been here for %" PRId64
			" s: %s: start flwr-clientapp --insecure --clientappio-api-address %s",
			(clock_now_ms() - since_ms) / 1000, text, address);
	}
	offers_set_timer(supervisor);
}

/* It tells the truth: registered, and the last heartbeat is recent. Workers are served as long as
 * the node works. */
static void look_at_health(void *arg)
{
	struct supervisor *supervisor = arg;

	if (!supervisor->health)
		return;
	health_set(supervisor->health,
		supervisor->phase == PHASE_WORKING && fleet_is_online(supervisor->fleet));
	timer_set(supervisor->health_timer, clock_after(clock_now_ms(), HEALTH_LOOK_MS));
}

/* Do what the node decided, until it has nothing more to say. */
void supervisor_pump(struct supervisor *supervisor)
{
	struct node_action action;

	/* What an action does may be an event; the loop below then sees its actions. */
	if (supervisor->pumping)
		return;
	supervisor->pumping = true;
	while (node_next_action(supervisor->node, &action))
		does[action.kind](supervisor, &action);
	appio_offer(supervisor->appio);
	supervisor->pumping = false;
	offers_set_timer(supervisor);
	timer_set(supervisor->tick, node_next_ms(supervisor->node));
	if (supervisor->health && supervisor->phase < PHASE_LEAVING)
		look_at_health(supervisor);
	if (supervisor->phase == PHASE_WORKING)
		fleet_poke(supervisor->fleet);
	else
		stopping_check(supervisor);
}

static void tick(void *arg)
{
	struct supervisor *supervisor = arg;

	node_tick(supervisor->node, supervisor_now());
	supervisor_pump(supervisor);
}

/* ---- life ---- */

static int new_node(struct supervisor *supervisor, const struct supervisor_options *options)
{
	budget_init(&supervisor->budget, options->memory_budget_bytes ? options->memory_budget_bytes
								      : budget_default_limit());
	supervisor->node = node_new(&(struct node_options){
		.node_config = options->node_config,
		.slots = 1,
		.workers_come = options->workers_come,
		.offer_ms = options->offer_ms,
		.worker_timeout_ms = options->worker_timeout_ms,
		.budget = &supervisor->budget,
		.random = random_u64,
	});
	return supervisor->node ? 0 : -ENOMEM;
}

/* As it will be started: with some values. */
static int check_command(const char *template, struct reason *why)
{
	const struct command_values values = {
		.address = "unix:/socket", .token = 1, .token_file = "/file", .parent_pid = 1};
	struct reason cause = {0};
	char **argv;
	int r = strlen(template) < COMMAND_MAX ? command_build(template, &values, &argv, &cause)
					       : reason_code(&cause, -EINVAL, "it is too long");

	if (r)
		return reason_code(why, r, "--clientapp-command: %s", cause.text);
	command_free(argv);
	return 0;
}

static int new_agent(
	struct supervisor *supervisor, const struct supervisor_options *options, struct reason *why)
{
	struct agent_options agent = {.python = options->python,
		.log_level = options->log_level,
		.passes_output = options->passes_output,
		.bounds = options->bounds,
		.exit_grace_ms = options->app_exit_grace_ms};
	int r = options->clientapp_command ? check_command(options->clientapp_command, why)
					   : agent_check_python(options->python, why);

	if (r == 0 && options->bounds && options->bounds->user)
		r = app_user_check(
			options->bounds->user, supervisor->flwr_home.path, options->python, why);
	if (r)
		return r;
	r = agent_paths(&agent);
	if (r == 0)
		r = agent_new(supervisor->loop, supervisor->log, &agent, &supervisor->agent);
	free((char *)agent.worker_path);
	free((char *)agent.start_path);
	free((char *)agent.bridge_path);
	if (r)
		return r;
	supervisor->slots = slots_new(supervisor->log, supervisor->agent,
		options->stderr_in_replies, &slots_events, supervisor);
	return supervisor->slots ? 0 : -ENOMEM;
}

/* Bundles are read in children, in both isolations. */
static int new_bundles(struct supervisor *supervisor)
{
	auto_(free_at_exit) char *reader = path_installed("libexec/flwr-native/flwr-read-manifest");
	int r = reader ? 0 : -ENOMEM;

	if (r == 0 && !supervisor->agent)
		r = process_set_new(supervisor->loop, supervisor->log, &supervisor->processes);
	if (r)
		return r;
	if (access(reader, X_OK) < 0)
		log_error(supervisor->log, "no app can run: %s, which reads their bundles: %s",
			reader, strerror(errno));
	return bundles_new(supervisor->loop, supervisor->log,
		&(struct bundles_options){
			.processes = supervisor->agent ? agent_processes(supervisor->agent)
						       : supervisor->processes,
			.trusted = supervisor->credentials.trusted,
			.reader_path = reader,
		},
		&supervisor->bundles);
}

/* Is each worker flwr-clientapp, started by this program, at a unix socket? */
static bool own_workers(const struct supervisor_options *options)
{
	return !options->workers_come && !options->clientapp_command &&
	       !options->worker_api_address;
}

static int new_server(
	struct supervisor *supervisor, const struct supervisor_options *options, struct reason *why)
{
	return appio_new(supervisor->loop, supervisor->rpc, supervisor->log, supervisor->node,
		&(struct appio_options){
			.address = options->worker_api_address,
			.socket_group = options->socket_group,
			.launchers = supervisor->credentials.launchers,
			.dir = supervisor->dir.path,
			.receive_max_bytes = options->grpc_max_bytes,
			.memory_max_bytes = supervisor->budget.limit_bytes + APPIO_SPARE_BYTES,
			.spool = supervisor->spool,
			.own_workers = own_workers(options),
			.workers_come = options->workers_come,
			.reconnect_ms = options->reconnect_ms,
		},
		&appio_events, supervisor, &supervisor->appio, why);
}

static int new_appio(
	struct supervisor *supervisor, const struct supervisor_options *options, struct reason *why)
{
	struct reason cause = {0};
	const char *option = "--clientappio-api-address: ";
	int r = 0;

	if (!options->worker_api_address || supervisor->token_files) {
		option = options->flwr_dir ? "--flwr-dir: " : "";
		r = private_dir_open(options->flwr_dir, &supervisor->dir, &cause);
	}
	if (r == 0)
		r = new_server(supervisor, options, &cause);
	if (r && cause.text[0])
		reason_set(why, "%s%s", option, cause.text);
	return r;
}

static int new_spool(struct supervisor *supervisor, const struct supervisor_options *options)
{
	auto_(free_at_exit) char *dir = path_spool(options->flwr_dir);
	int r;

	if (dir && access(dir, W_OK | X_OK) < 0 && errno != ENOENT) /* else it is made */
		log_warn(supervisor->log,
			"messages over %d MiB cannot be kept: %s: %s; give TMPDIR a directory on a disk, or mount one at /var/tmp",
			OBJECTS_MEMORY_BYTES >> 20, dir, strerror(errno));
	r = dir ? spool_new(supervisor->loop, dir, OBJECTS_MEMORY_BYTES, &supervisor->spool)
		: -ENOMEM;
	if (r == 0)
		spool_set_file_max(supervisor->spool, options->spool_max_bytes);
	return r;
}

static int new_state(
	struct supervisor *supervisor, const struct supervisor_options *options, struct reason *why)
{
	return state_dir_open(&(struct state_dir_options){.dir = options->state_dir,
				      .flwr_dir = options->flwr_dir,
				      .superlink = options->superlink,
				      .none = options->no_state},
		supervisor->credentials.key, supervisor->log, &supervisor->state, why);
}

static int new_fleet(struct supervisor *supervisor, const struct supervisor_options *options)
{
	struct connector *connector;
	int r = connector_new(supervisor->rpc, supervisor->http, supervisor->log,
		&(struct connector_options){.address = options->superlink,
			.ca_pem = supervisor->credentials.ca_pem,
			.receive_max_bytes = options->grpc_max_bytes,
			.memory_max_bytes = supervisor->budget.limit_bytes},
		&connector);

	if (r)
		return r;
	return fleet_new(supervisor->loop, supervisor->log, connector,
		&(struct fleet_options){
			.operator_key = take_pointer(&supervisor->credentials.key),
			.clock_offset_s = options->clock_offset_s,
			.state_dir = supervisor->state.path,
			.spool = supervisor->spool,
			.budget = &supervisor->budget,
			.own_workers = own_workers(options),
			.retry = {options->max_retries, options->max_wait_ms},
			.poll_min_ms = options->poll_min_ms,
			.poll_max_ms = options->poll_max_ms,
			.random01 = random_01,
		},
		&superlink_events, supervisor, &supervisor->fleet);
}

static int new_parts(
	struct supervisor *supervisor, const struct supervisor_options *options, struct reason *why)
{
	int r = credentials_load(options, supervisor->log, &supervisor->credentials, why);

	if (r)
		return r;
	r = flwr_home_open(options->flwr_dir, &supervisor->flwr_home, why);
	if (r)
		return r;
	if (options->clientapp_command)
		supervisor->clientapp_command = strdup(options->clientapp_command);
	supervisor->token_files = options->clientapp_command &&
				  strstr(options->clientapp_command, COMMAND_TOKEN_FILE);
	supervisor->tick = timer_new(supervisor->loop, tick, supervisor);
	supervisor->end = timer_new(supervisor->loop, stopping_over, supervisor);
	supervisor->trim = options->trim;
	supervisor->grpc_wanted = options->grpc_wanted;
	supervisor->trim_timer = timer_new(supervisor->loop, trim_late, supervisor);
	supervisor->offers = timer_new(supervisor->loop, offers_say, supervisor);
	supervisor->health_timer = timer_new(supervisor->loop, look_at_health, supervisor);
	if (options->clientapp_command && !supervisor->clientapp_command)
		return -ENOMEM;
	if (!supervisor->tick || !supervisor->end || !supervisor->offers ||
		!supervisor->trim_timer || !supervisor->health_timer)
		return -ENOMEM;
	r = new_state(supervisor, options, why);
	if (r == 0)
		r = new_node(supervisor, options);
	if (r == 0)
		r = rpc_new(supervisor->loop, &supervisor->rpc);
	if (r == 0)
		r = http_new(supervisor->loop, &supervisor->http);
	if (r == 0)
		r = new_spool(supervisor, options);
	if (r == 0 && !options->workers_come)
		r = new_agent(supervisor, options, why);
	if (r == 0)
		r = new_bundles(supervisor);
	if (r == 0)
		r = new_appio(supervisor, options, why);
	if (r == 0 && options->health_server_address)
		r = health_new(supervisor->loop, supervisor->rpc, supervisor->log,
			options->health_server_address, &supervisor->health, why);
	if (r == 0)
		r = new_fleet(supervisor, options);
	return r;
}

int supervisor_new(struct loop *loop, struct log *log, const struct supervisor_options *options,
	struct supervisor **out, struct reason *why)
{
	struct supervisor *supervisor = calloc(1, sizeof *supervisor);
	int r;

	if (!supervisor)
		return -ENOMEM;
	supervisor->loop = loop;
	supervisor->log = log;
	supervisor->grace_ms = options->grace_ms;
	supervisor->log_level = options->log_level;
	supervisor->stderr_in_replies = options->stderr_in_replies;
	r = sodium_init() < 0 ? -EIO : new_parts(supervisor, options, why);
	if (r) {
		supervisor_free(supervisor);
		return r;
	}
	*out = supervisor;
	return 0;
}

void supervisor_start(struct supervisor *supervisor)
{
	const char *address = appio_address(supervisor->appio);

	/* Somebody who starts workers needs it, whatever the level; not the private socket's. */
	if (log_enabled(supervisor->log, LOG_LEVEL_INFO))
		log_info(supervisor->log, "worker API: address=%s", address);
	else if (!supervisor->dir.path)
		fprintf(stderr, "worker API: address=%s\n", address);
	if (supervisor->agent && !supervisor->clientapp_command)
		agent_tell_python(supervisor->agent);
	if (!supervisor->slots && supervisor->credentials.trusted)
		log_warn(supervisor->log,
			"--trusted-entities: FABs are checked here, installed apps by the workers that come: start each flwr-clientapp with --signed-apps");
	fleet_start(supervisor->fleet);
}

bool supervisor_hurried(const struct supervisor *supervisor)
{
	return supervisor->hurried;
}

int supervisor_status(const struct supervisor *supervisor)
{
	return supervisor->status;
}

void supervisor_abandon(struct supervisor *supervisor)
{
	agent_free(supervisor->agent);
	process_set_free(supervisor->processes);
	flwr_home_done(&supervisor->flwr_home);
	private_dir_close(&supervisor->dir);
}

static void part_down(void *arg)
{
	bool *down = arg;

	*down = true;
}

void supervisor_free(struct supervisor *supervisor)
{
	bool down = false;

	if (!supervisor)
		return;
	bundles_free(supervisor->bundles);
	process_set_free(supervisor->processes);
	agent_free(supervisor->agent);
	fleet_free(supervisor->fleet);
	/* Only one that was never started still has its server. */
	if (supervisor->appio && supervisor->phase < PHASE_ENDING)
		appio_stop(supervisor->appio, 0, part_down, &down);
	while (supervisor->appio && supervisor->phase < PHASE_ENDING && !down)
		loop_step(supervisor->loop, 100);
	down = false;
	if (supervisor->health && supervisor->phase < PHASE_ENDING)
		health_stop(supervisor->health, 0, part_down, &down);
	while (supervisor->health && supervisor->phase < PHASE_ENDING && !down)
		loop_step(supervisor->loop, 100);
	appio_free(supervisor->appio);
	health_free(supervisor->health);
	http_free(supervisor->http);
	if (supervisor->rpc)
		rpc_free(supervisor->rpc);
	slots_free(supervisor->slots);
	node_free(supervisor->node);
	spool_free(supervisor->spool);
	timer_free(supervisor->tick);
	timer_free(supervisor->end);
	timer_free(supervisor->offers);
	timer_free(supervisor->trim_timer);
	timer_free(supervisor->health_timer);
	private_dir_close(&supervisor->dir);
	credentials_done(&supervisor->credentials);
	state_dir_close(&supervisor->state);
	flwr_home_done(&supervisor->flwr_home);
	free(supervisor->clientapp_command);
	free(supervisor);
}
