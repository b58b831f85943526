#include "common/base/cleanup.h"
#include "common/rpc/rpc.h"
#include "supernode/fleet/fleet.h"

#include <errno.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

#define FAB_BYTES   3000
#define REPLIES     3
#define PATIENCE_MS 50000

extern char **environ;

/* The smallest owner: one message at a time is sent back as it came. */
struct owner {
	struct fleet *fleet;
	struct envelope message;
	bool busy;
	unsigned registered, lost, replies;
	bool over, stopped;
};

static void on_pushed(void *arg, uint64_t number, enum outcome outcome, const char *details)
{
	struct owner *owner = arg;

	(void)details;
	assert_int_equal(number, 17);
	if (outcome == OUTCOME_OK)
		owner->replies++;
	envelope_done(&owner->message);
	owner->busy = false;
	fleet_poke(owner->fleet);
}

static void on_fab(void *arg, uint64_t run_id, enum outcome outcome, struct slices *content,
	const char *details)
{
	struct owner *owner = arg;
	auto_(envelope_done) struct envelope reply = {.has_content = true};

	(void)run_id;
	(void)details;
	assert_int_equal(outcome, OUTCOME_OK);
	assert_int_equal(content->bytes, FAB_BYTES);
	slices_done(content);
	assert_int_equal(
		envelope_reply_metadata(&owner->message.metadata, clock_wall_s(), &reply.metadata),
		0);
	assert_int_equal(slices_append_refs(&reply.content, &owner->message.content), 0);
	assert_int_equal(fleet_push(owner->fleet, 17, &reply, on_pushed, owner), 0);
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

static void on_message(void *arg, struct envelope *message)
{
	struct owner *owner = arg;

	assert_false(owner->busy);
	owner->busy = true;
	owner->message = *message;
	assert_int_equal(fleet_get_run(owner->fleet, message->metadata.run_id, on_run, owner), 0);
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

static void on_over(void *arg, bool error, const char *sentence)
{
	(void)error;
	print_message("over: %s\n", sentence);
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
static pid_t start_superlink(int *socket_out)
{
	char *python = getenv("FLWR_TEST_PYTHON");
	char script[] = FLWR_TEST_DIR "/superlink.py";
	char *argv[] = {python, script, NULL};
	posix_spawn_file_actions_t actions;
	int ends[2];
	pid_t pid;

	if (!python)
		fail_msg("FLWR_TEST_PYTHON is not set: configure with FLWR_PYTHON_ENV");
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

	assert_non_null(fgets(line, sizeof(line), file));
	line[strcspn(line, "\n")] = '\0';
	assert_string_equal(line, expected);
}

/* What a person reads: each trouble once. */
static void check_log(int fd)
{
	auto_(free_at_exit) char *text = calloc(1, 65536);
	unsigned forgotten = 0;

	assert_non_null(text);
	assert_true(pread(fd, text, 65535, 0) > 0);
	print_message("%s", text);
	for (char *at = text; (at = strstr(at, "has forgotten node")); at++)
		forgotten++;
	assert_int_equal(forgotten, 2);
	assert_null(strstr(text, "ERROR"));
}

static void test_a_life_at_a_real_fleet_api(void **state)
{
	static const struct fleet_ops ops = {on_registered, on_lost, on_wants, on_message, on_over};
	struct owner owner = {0};
	int script, log_fd = memfd_create("log", MFD_CLOEXEC), status;
	pid_t pid = start_superlink(&script);
	FILE *file = fdopen(script, "r");
	struct log *log = log_new(log_fd, "test", LOG_LEVEL_INFO);
	struct transport *transport = NULL;
	struct loop *loop = NULL;
	struct rpc *rpc = NULL;
	char address[64];
	unsigned port = 0;
	int64_t end_ms;

	(void)state;
	assert_non_null(fgets(address, sizeof(address), file));
	assert_int_equal(sscanf(address, "port %u", &port), 1);
	snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(rpc_new(loop, &rpc), 0);
	assert_int_equal(transport_grpc_new(rpc, NULL, address, INT32_MAX, &transport), 0);
	assert_int_equal(fleet_new(loop, log, transport,
				 &(struct fleet_options){.superlink = address,
					 .retry = {-1, -1},
					 .poll_min_ms = 100,
					 .poll_max_ms = 500,
					 .random01 = half},
				 &ops, &owner, &owner.fleet),
		0);
	end_ms = clock_now_ms() + PATIENCE_MS;
	fleet_start(owner.fleet);
	while (owner.replies < REPLIES && !owner.over && clock_now_ms() < end_ms)
		loop_step(loop, 100);
	assert_int_equal(owner.replies, REPLIES);
	assert_int_equal(owner.registered, 3);
	assert_int_equal(owner.lost, 2);
	fleet_stop(owner.fleet, on_stopped, &owner);
	while (!owner.stopped && clock_now_ms() < end_ms)
		loop_step(loop, 100);
	assert_true(owner.stopped);
	fleet_free(owner.fleet);
	rpc_free(rpc);
	loop_free(loop);

	shutdown(script, SHUT_WR);
	expect(file, "reply 1 1 ä kept");
	expect(file, "reply 2 2 ä kept");
	expect(file, "reply 3 3 ä kept");
	expect(file, "nodes 0");
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	fclose(file);
	check_log(log_fd);
	log_free(log);
	close(log_fd);
}

static void test_an_address_that_is_none(void **state)
{
	struct transport *transport = NULL;
	struct loop *loop = NULL;
	struct rpc *rpc = NULL;

	(void)state;
	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(rpc_new(loop, &rpc), 0);
	assert_int_equal(transport_grpc_new(rpc, NULL, "", INT32_MAX, &transport), -EINVAL);
	assert_null(transport);
	rpc_free(rpc);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_life_at_a_real_fleet_api),
		cmocka_unit_test(test_an_address_that_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
