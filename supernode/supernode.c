#include "supernode/supernode_internal.h"

#include "common/base/cleanup.h"
#include "common/base/exit_code.h"
#include "common/base/files.h"
#include "common/base/installed.h"
#include "common/base/random.h"
#include "common/launch/app_user.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OBJECTS_MEMORY_BYTES (32 << 20) /* of all messages; as much again may be on its way */
#define WORKERS_SPARE_BYTES  (64 << 20) /* for requests of workers, above the budget */
#define COMMAND_MAX          3000 /* of --clientapp-command: what a control socket passes on */

static int new_node(struct supernode *supernode)
{
	const struct supernode_options *options = supernode->options;

	budget_init(&supernode->budget, options->memory_budget_bytes ? options->memory_budget_bytes
								     : budget_default_limit());
	supernode->node = node_new(&(struct node_options){
		.node_config = &options->node_config,
		.slots = options->bounds ? options->bounds->workers
					 : (unsigned int)options->launch.max_workers,
		.parallel_in_run = options->parallel_in_run,
		.tells_ends = true,
		.workers_come = options->workers_come,
		.offer_ms = options->clientapp_wait_ms,
		.worker_timeout_ms = options->worker_timeout_ms,
		.budget = &supernode->budget,
		.random = random_u64,
	});
	return supernode->node ? 0 : -ENOMEM;
}

/* Build the command as it will be started, with some values. */
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

/* What apps can reach, and what of this node they cannot. */
static int new_sandbox(struct supernode *supernode, struct reason *why)
{
	const struct supernode_options *options = supernode->options;
	const char *const own[] = {options->auth_private_key, options->trusted_entities,
		options->launcher_secret, options->ssl_certificate, options->ssl_key,
		supernode->state.path};
	int r = sandbox_new(&(struct sandbox_options){.launch = &options->launch,
				    .user = options->bounds ? options->bounds->user : NULL,
				    .flwr_home = supernode->flwr_home.path},
		&supernode->sandbox, why);

	for (size_t i = 0; i < ARRAY_LEN(own) && r == 0; i++)
		r = sandbox_hide(supernode->sandbox, own[i]);
	return r ? r : sandbox_hide_socket(supernode->sandbox, options->worker_api_address);
}

static int new_agent(struct supernode *supernode, struct reason *why)
{
	const struct supernode_options *options = supernode->options;
	int r = options->clientapp_command ? check_command(options->clientapp_command, why)
					   : agent_check_python(options->launch.python, why);

	if (r == 0 && options->bounds && options->bounds->user)
		r = app_user_check(options->bounds->user, supernode->flwr_home.path,
			options->launch.python, why);
	if (r == 0 && !options->clientapp_command)
		r = dependencies_init(&supernode->dependencies, &options->launch,
			supernode->flwr_home.path, options->bounds ? options->bounds->user : NULL,
			why);
	if (r == 0 && !options->clientapp_command)
		r = new_sandbox(supernode, why);
	if (r)
		return r;
	return agent_new(supernode->loop, supernode->log,
		&(struct agent_options){.launch = &options->launch,
			.bounds = options->bounds,
			.warm_idle_ms = options->launch.warm_idle_ms,
			.warm_python = !options->launch.no_preload,
			.dependencies = &supernode->dependencies,
			.sandbox = supernode->sandbox},
		&supernode->agent);
}

static int new_runner(struct supernode *supernode)
{
	const struct supernode_options *options = supernode->options;

	supernode->runner = runner_new(
		&(struct runner_options){
			.log = supernode->log,
			.agent = supernode->agent,
			.address = workers_address(supernode->workers),
			.tls = options->worker_api_address && supernode->credentials.workers,
			.root_certificates = options->ssl_authorities,
			/* Workers of the node show that they are of it. */
			.client_certificate =
				options->ssl_require_client ? options->ssl_certificate : NULL,
			.client_key = options->ssl_require_client ? options->ssl_key : NULL,
			.flwr_home = supernode->flwr_home.path,
			.command = options->clientapp_command,
			.token_dir = supernode->token_files ? supernode->dir.path : NULL,
			.content_max_bytes = supernode->budget.limit_bytes,
			.log_level = options->launch.log_level,
			.stderr_in_replies = options->launch.stderr_in_replies,
			.signed_apps = supernode->credentials.trusted != NULL,
		},
		&runner_events, supernode);
	return supernode->runner ? 0 : -ENOMEM;
}

static int new_launcher(struct supernode *supernode)
{
	const struct supernode_options *options = supernode->options;

	supernode->launcher = launcher_process_new(&(struct launcher_process_options){
		.loop = supernode->loop,
		.log = supernode->log,
		.agent = supernode->agent,
		.address = workers_address(supernode->workers),
		.flwr_home = supernode->flwr_home.path,
		.command = options->clientapp_command,
		.log_level = options->launch.log_level,
		.gone = pump_launcher_gone,
		.arg = supernode,
	});
	return supernode->launcher ? 0 : -ENOMEM;
}

/* Bundles are read in children, in both isolations. */
static int new_fab_checks(struct supernode *supernode)
{
	auto_(free_at_exit) char *reader = path_installed("libexec/flwr-native/flwr-read-manifest");
	int r = reader ? 0 : -ENOMEM;

	if (r == 0 && !supernode->agent)
		r = process_set_new(supernode->loop, supernode->log, &supernode->processes);
	if (r)
		return r;
	if (access(reader, X_OK) < 0)
		log_error(supernode->log, "no app can run: %s, which reads their bundles: %s",
			reader, strerror(errno));
	return fab_checks_new(supernode->loop, supernode->log,
		&(struct fab_checks_options){
			.processes = supernode->agent ? agent_processes(supernode->agent)
						      : supernode->processes,
			.trusted = supernode->credentials.trusted,
			.reader_path = reader,
		},
		&supernode->fab_checks);
}

/* Is each worker flwr-clientapp, started by this program, at a unix socket? */
static bool own_workers(const struct supernode_options *options)
{
	return !options->workers_come && !options->clientapp_command &&
	       !options->worker_api_address;
}

static int new_server(struct supernode *supernode, struct reason *why)
{
	const struct supernode_options *options = supernode->options;

	return workers_new(supernode->rpc,
		&(struct workers_options){
			.loop = supernode->loop,
			.log = supernode->log,
			.node = supernode->node,
			.ops = &workers_events,
			.arg = supernode,
			.address = options->worker_api_address,
			.socket_group = options->socket_group,
			.launchers = supernode->credentials.launchers,
			.tls = supernode->credentials.workers,
			.shows_certificates = options->ssl_require_client,
			.dir = supernode->dir.path,
			.receive_max_bytes = options->grpc_max_bytes,
			.memory_max_bytes = supernode->budget.limit_bytes + WORKERS_SPARE_BYTES,
			.spool = supernode->spool,
			.own_workers = own_workers(options),
			.workers_come = options->workers_come,
			.reconnect_ms = options->worker_reconnect_ms,
		},
		&supernode->workers, why);
}

static int new_workers(struct supernode *supernode, struct reason *why)
{
	const struct supernode_options *options = supernode->options;
	struct reason cause = {0};
	const char *option = options->worker_api_text ? "--clientappio-api-address: " : "";
	int r = 0;

	if (!options->worker_api_address || supernode->token_files) {
		if (!options->worker_api_address)
			option = options->launch.flwr_dir ? "--flwr-dir: " : "";
		r = private_dir_open(options->launch.flwr_dir, &supernode->dir, &cause);
		if (r == 0)
			r = sandbox_hide(supernode->sandbox, supernode->dir.path);
	}
	if (r == 0)
		r = new_server(supernode, &cause);
	if (r && cause.text[0])
		reason_set(why, "%s%s", option, cause.text);
	return r;
}

static int new_spool(struct supernode *supernode)
{
	const struct supernode_options *options = supernode->options;
	auto_(free_at_exit) char *dir = path_spool(options->launch.flwr_dir);
	int r;

	if (dir && access(dir, W_OK | X_OK) < 0 && errno != ENOENT) /* else it is made */
		log_warn(supernode->log,
			"messages over %d MiB cannot be kept: %s: %s; give TMPDIR a directory on a disk, or mount one at /var/tmp",
			OBJECTS_MEMORY_BYTES >> 20, dir, strerror(errno));
	r = dir ? spool_new(supernode->loop, dir, OBJECTS_MEMORY_BYTES, &supernode->spool)
		: -ENOMEM;
	if (r == 0)
		spool_set_file_max(supernode->spool, options->spool_max_bytes);
	return r;
}

static int new_state(struct supernode *supernode, struct reason *why)
{
	const struct supernode_options *options = supernode->options;

	return state_dir_open(&(struct state_dir_options){.dir = options->state_dir,
				      .flwr_dir = options->launch.flwr_dir,
				      .superlink = options->superlink,
				      .none = options->no_state},
		supernode->credentials.key, supernode->log, &supernode->state, why);
}

static int new_fleet(struct supernode *supernode)
{
	const struct supernode_options *options = supernode->options;
	struct connector *connector;
	int r = connector_new(supernode->rpc, supernode->http, supernode->log,
		&(struct connector_options){.address = options->superlink,
			.ca_pem = supernode->credentials.ca_pem,
			.receive_max_bytes = options->grpc_max_bytes,
			.memory_max_bytes = supernode->budget.limit_bytes},
		&connector);

	if (r)
		return r;
	r = fleet_new(
		&(struct fleet_options){
			.link = {.loop = supernode->loop,
				.log = supernode->log,
				.connector = connector,
				.key = take_pointer(&supernode->credentials.key),
				.transport = options->transport,
				.clock_offset_s = options->clock_offset_s,
				.retry = {options->max_retries, options->max_wait_ms},
				.random01 = random_01},
			.state_dir = supernode->state.path,
			.spool = supernode->spool,
			.budget = &supernode->budget,
			.own_workers = own_workers(options),
			.poll_min_ms = options->poll_min_ms,
			.poll_max_ms = options->poll_max_ms,
			.ops = &uplink_events,
			.arg = &supernode->uplink,
		},
		&supernode->fleet);
	supernode->uplink = (struct uplink){.log = supernode->log,
		.node = supernode->node,
		.fleet = supernode->fleet,
		.guess = options->transport,
		.ops = &pump_uplink,
		.arg = supernode};
	return r;
}

static int new_parts(struct supernode *supernode, struct reason *why)
{
	const struct supernode_options *options = supernode->options;
	int r = credentials_load(options, supernode->log, &supernode->credentials, why);

	if (r)
		return r;
	r = flwr_home_open(options->launch.flwr_dir, &supernode->flwr_home, why);
	if (r)
		return r;
	supernode->token_files = options->clientapp_command &&
				 strstr(options->clientapp_command, COMMAND_TOKEN_FILE);
	supernode->tick = timer_new(supernode->loop, pump_tick, supernode);
	supernode->end = timer_new(supernode->loop, stopping_over, supernode);
	supernode->trim_timer = timer_new(supernode->loop, pump_trim, supernode);
	supernode->offers = timer_new(supernode->loop, pump_say_offer, supernode);
	supernode->health_timer = timer_new(supernode->loop, pump_health, supernode);
	if (!supernode->tick || !supernode->end || !supernode->offers || !supernode->trim_timer ||
		!supernode->health_timer)
		return -ENOMEM;
	r = new_state(supernode, why);
	if (r == 0)
		r = new_node(supernode);
	if (r == 0)
		r = rpc_new(supernode->loop, &supernode->rpc);
	if (r == 0)
		r = http_new(supernode->loop, &supernode->http, why);
	if (r == 0)
		r = new_spool(supernode);
	if (r == 0 && (!options->workers_come || options->is_launcher))
		r = new_agent(supernode, why);
	if (r == 0)
		r = new_fab_checks(supernode);
	if (r == 0)
		r = new_workers(supernode, why);
	if (r == 0 && !options->workers_come)
		r = new_runner(supernode);
	if (r == 0 && options->is_launcher)
		r = new_launcher(supernode);
	if (r == 0 && options->health_server_address)
		r = health_new(&(struct health_options){supernode->loop, supernode->rpc,
				       supernode->log, options->health_server_address},
			&supernode->health, why);
	if (r == 0)
		r = new_fleet(supernode);
	return r;
}

int supernode_new(struct loop *loop, struct log *log, const struct supernode_options *options,
	struct supernode **out, struct reason *why)
{
	struct supernode *supernode = calloc(1, sizeof *supernode);
	int r;

	if (!supernode)
		return -ENOMEM;
	supernode->loop = loop;
	supernode->log = log;
	supernode->options = options;
	r = sodium_init() < 0 ? -EIO : new_parts(supernode, why);
	if (r) {
		supernode_free(supernode);
		return r;
	}
	*out = supernode;
	return 0;
}

void supernode_start(struct supernode *supernode)
{
	const char *address = workers_address(supernode->workers);

	/* Somebody who starts workers needs it, whatever the level; not the private socket's. */
	if (log_enabled(supernode->log, LOG_LEVEL_INFO))
		log_info(supernode->log, "worker API: address=%s", address);
	else if (!supernode->dir.path)
		fprintf(stderr, "worker API: address=%s\n", address);
	if (supernode->agent && !supernode->options->clientapp_command)
		agent_tell_apps(supernode->agent);
	if (!supernode->runner && supernode->credentials.trusted)
		log_warn(supernode->log,
			"--trusted-entities: FABs are checked here, installed apps by the workers that come: start each flwr-clientapp with --signed-apps");
	fleet_start(supernode->fleet);
}

void supernode_reload(struct supernode *supernode)
{
	credentials_reload(&supernode->credentials, supernode->log);
}

const char *supernode_private_dir(const struct supernode *supernode)
{
	return supernode->dir.path;
}

bool supernode_hurried(const struct supernode *supernode)
{
	return supernode->hurried;
}

int supernode_status(const struct supernode *supernode)
{
	return supernode->status;
}

void supernode_abandon(struct supernode *supernode)
{
	agent_free(supernode->agent);
	process_set_free(supernode->processes);
	sandbox_free(supernode->sandbox);
	flwr_home_done(&supernode->flwr_home);
	private_dir_close(&supernode->dir);
}

static void part_down(void *arg)
{
	bool *down = arg;

	*down = true;
}

void supernode_free(struct supernode *supernode)
{
	bool down = false;

	if (!supernode)
		return;
	fab_checks_free(supernode->fab_checks);
	process_set_free(supernode->processes);
	/* The launcher's timer would start it by an agent that is gone. */
	if (supernode->launcher)
		launcher_process_stop(supernode->launcher, 0);
	agent_free(supernode->agent);
	fleet_free(supernode->fleet);
	/* Only one that was never started still has its server. */
	if (supernode->workers && supernode->phase < PHASE_ENDING)
		workers_stop(supernode->workers, 0, part_down, &down);
	while (supernode->workers && supernode->phase < PHASE_ENDING && !down)
		loop_step(supernode->loop, 100);
	down = false;
	if (supernode->health && supernode->phase < PHASE_ENDING)
		health_stop(supernode->health, 0, part_down, &down);
	while (supernode->health && supernode->phase < PHASE_ENDING && !down)
		loop_step(supernode->loop, 100);
	workers_free(supernode->workers);
	health_free(supernode->health);
	http_free(supernode->http);
	if (supernode->rpc)
		rpc_free(supernode->rpc);
	runner_free(supernode->runner);
	launcher_process_free(supernode->launcher);
	node_free(supernode->node);
	spool_free(supernode->spool);
	timer_free(supernode->tick);
	timer_free(supernode->end);
	timer_free(supernode->offers);
	timer_free(supernode->trim_timer);
	timer_free(supernode->health_timer);
	private_dir_close(&supernode->dir);
	credentials_done(&supernode->credentials);
	state_dir_close(&supernode->state);
	dependencies_done(&supernode->dependencies);
	sandbox_free(supernode->sandbox);
	flwr_home_done(&supernode->flwr_home);
	free(supernode);
}
