#include "life.h"

#include "common/base/cleanup.h"
#include "common/http/http.h"
#include "common/rpc/rpc.h"
#include "supernode/fleet/fleet.h"

#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

#define FAB_BYTES   3000
#define REPLIES     3
#define PATIENCE_MS 10000

extern char **environ;

/* The smallest owner: one message at a time is sent back as it came. */
struct owner {
	struct fleet *fleet;
	struct held_message message;
	bool busy;
	unsigned registered, lost, contents, replies;
	bool over, stopped;
};

static void on_pushed(void *arg, uint64_t number, enum outcome outcome, const char *details)
{
	struct owner *owner = arg;

	assert_int_equal(number, 17);
	if (outcome == OUTCOME_OK)
		owner->replies++;
	else
		print_message("push: %s %s\n", outcome_name(outcome), details);
	held_message_done(&owner->message);
	owner->busy = false;
	fleet_poke(owner->fleet);
}

static void on_fab(void *arg, uint64_t run_id, enum outcome outcome, struct slices *content,
	struct value_map *verifications, const char *details)
{
	struct owner *owner = arg;
	auto_(held_message_done) struct held_message reply = {.envelope.has_content = true};
	const struct fleet_push push = {17, &reply, 0.5, on_pushed, owner};

	(void)verifications;
	(void)run_id;
	(void)details;
	assert_int_equal(outcome, OUTCOME_OK);
	assert_int_equal(content->bytes, FAB_BYTES);
	slices_done(content);
	assert_int_equal(envelope_reply_metadata(&owner->message.envelope.metadata, clock_wall_s(),
				 &reply.envelope.metadata),
		0);
	assert_int_equal(
		slices_append_refs(&reply.envelope.content, &owner->message.envelope.content), 0);
	if (owner->message.objects)
		reply.objects = object_set_ref(owner->message.objects);
	assert_int_equal(fleet_push(owner->fleet, &push), 0);
}

static void on_run(
	void *arg, uint64_t run_id, enum outcome outcome, struct run *run, const char *details)
{
	struct owner *owner = arg;

	(void)details;
	assert_int_equal(outcome, OUTCOME_OK);
	assert_int_equal(run->run_id, run_id);
	assert_string_equal(run->fab_id, "me/app");
	assert_int_equal(run->override_config.n, 1);
	assert_int_equal(fleet_get_fab(owner->fleet, run_id, run->fab_hash, on_fab, owner), 0);
	run_done(run);
}

static void work(struct owner *owner)
{
	assert_int_equal(
		fleet_get_run(owner->fleet, owner->message.envelope.metadata.run_id, on_run, owner),
		0);
}

static uint64_t on_message(void *arg, struct held_message *message, const char *refused)
{
	struct owner *owner = arg;

	assert_false(owner->busy);
	assert_null(refused);
	owner->busy = true;
	owner->message = held_message_take(message);
	if (!owner->message.objects)
		work(owner);
	return 17;
}

static void on_content(void *arg, uint64_t number, enum outcome outcome, const char *details)
{
	struct owner *owner = arg;

	(void)details;
	assert_int_equal(number, 17);
	assert_int_equal(outcome, OUTCOME_OK);
	assert_int_equal(object_set_missing(owner->message.objects), 0);
	owner->contents++;
	work(owner);
}

static bool on_wants(void *arg)
{
	return !((struct owner *)arg)->busy;
}

static void on_registered(void *arg, uint64_t node_id)
{
	assert_int_not_equal(node_id, 0);
	((struct owner *)arg)->registered++;
}

static void on_lost(void *arg)
{
	((struct owner *)arg)->lost++;
}

static void on_over(void *arg, enum fleet_over over, const char *sentence)
{
	print_message("over (%d): %s\n", (int)over, sentence);
	((struct owner *)arg)->over = true;
}

static void on_stopped(void *arg)
{
	((struct owner *)arg)->stopped = true;
}

static double half(void *arg)
{
	(void)arg;
	return 0.5;
}

/* The script, with a socket as its stdin and stdout. */
static pid_t start_superlink(const char *python, const char *name, int *socket_out)
{
	char script[512];
	char *argv[] = {(char *)python, script, NULL};
	posix_spawn_file_actions_t actions;
	int ends[2];
	pid_t pid;

	snprintf(script, sizeof script, FLWR_TEST_DIR "/%s", name);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	assert_int_equal(posix_spawn(&pid, python, &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	*socket_out = ends[0];
	return pid;
}

static void expect(FILE *file, const char *expected)
{
	char line[256];

	assert_non_null(fgets(line, sizeof line, file));
	line[strcspn(line, "\n")] = '\0';
	assert_string_equal(line, expected);
}

static char *read_log(int fd)
{
	char *text = calloc(1, 65536);

	assert_non_null(text);
	assert_true(pread(fd, text, 65535, 0) >= 0);
	print_message("%s", text);
	return text;
}

/* What a person reads: each trouble once. */
static void check_log(int fd)
{
	auto_(free_at_exit) char *text = read_log(fd);
	unsigned forgotten = 0;

	for (char *at = text; (at = strstr(at, "has forgotten node")); at++)
		forgotten++;
	assert_int_equal(forgotten, 2);
	assert_null(strstr(text, "ERROR"));
}

/* Loop, io, and what calls go over. */
struct base {
	struct loop *loop;
	struct rpc *rpc;
	struct http *http;
	struct spool *spool;
	struct log *log;
	int log_fd;
};

static void base_init(struct base *base)
{
	signal(SIGPIPE, SIG_IGN);
	base->log_fd = memfd_create("log", MFD_CLOEXEC);
	base->log = log_new(base->log_fd, "test", LOG_LEVEL_INFO);
	assert_non_null(base->log);
	assert_int_equal(loop_new(&base->loop), 0);
	assert_int_equal(rpc_new(base->loop, &base->rpc), 0);
	assert_int_equal(http_new(base->loop, &base->http), 0);
	assert_int_equal(spool_new(base->loop, "/nowhere", 1 << 30, &base->spool), 0);
}

static void base_done(struct base *base)
{
	spool_free(base->spool);
	http_free(base->http);
	rpc_free(base->rpc);
	loop_free(base->loop);
	check_log(base->log_fd);
	log_free(base->log);
	close(base->log_fd);
}

static void live(struct base *base, struct owner *owner, const char *address, const char *speaks)
{
	static const struct fleet_ops ops = {
		on_registered, on_lost, on_wants, on_message, on_content, on_over};
	struct connector *connector = NULL;
	int64_t end_ms = clock_now_ms() + PATIENCE_MS;

	assert_int_equal(connector_new(base->rpc, base->http, base->log,
				 &(struct connector_options){
					 .address = address, .receive_max_bytes = INT32_MAX},
				 &connector),
		0);
	assert_int_equal(fleet_new(&(struct fleet_options){.loop = base->loop,
					   .log = base->log,
					   .connector = connector,
					   .ops = &ops,
					   .arg = owner,
					   .spool = base->spool,
					   .retry = {-1, -1},
					   .poll_min_ms = 100,
					   .poll_max_ms = 500,
					   .random01 = half},
				 &owner->fleet),
		0);
	fleet_start(owner->fleet);
	while (owner->replies < REPLIES && !owner->over && clock_now_ms() < end_ms)
		loop_step(base->loop, 100);
	if (owner->replies != REPLIES)
		free(read_log(base->log_fd));
	assert_int_equal(owner->replies, REPLIES);
	assert_int_equal(owner->registered, 3);
	assert_int_equal(owner->lost, 2);
	assert_string_equal(fleet_speaks(owner->fleet), speaks);
	fleet_stop(owner->fleet, on_stopped, owner);
	while (!owner->stopped && clock_now_ms() < end_ms)
		loop_step(base->loop, 100);
	assert_true(owner->stopped);
	fleet_free(owner->fleet);
}

void life_run(const char *python, const char *script, const char *speaks)
{
	struct owner owner = {0};
	struct base base = {0};
	char address[64];
	unsigned port = 0;
	int socket, status;
	pid_t pid = start_superlink(python, script, &socket);
	FILE *file = fdopen(socket, "r");

	assert_non_null(fgets(address, sizeof address, file));
	assert_int_equal(sscanf(address, "port %u", &port), 1);
	snprintf(address, sizeof address, "127.0.0.1:%u", port);
	base_init(&base);
	live(&base, &owner, address, speaks);
	shutdown(socket, SHUT_WR);
	expect(file, "reply 1 1 ä kept");
	expect(file, "reply 2 2 ä kept");
	expect(file, "reply 3 3 ä kept");
	expect(file, "nodes 0");
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	fclose(file);
	base_done(&base);
}
