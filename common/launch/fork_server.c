#include "common/launch/fork_server.h"

#include "common/base/cleanup.h"
#include "common/base/number.h"
#include "common/launch/agent_internal.h"
#include "common/launch/end.h"
#include "common/launch/zygote_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define FORK_SERVER_FAILURES 3 /* without a fork that has begun; then there is none any more */

struct fork_server {
	struct agent *agent;
	struct process *process; /* NULL: none, or gone */
	int control;             /* -1: it is of no use */
	bool ready;
	unsigned failures;
};

int fork_server_new(struct agent *agent, struct fork_server **out)
{
	struct fork_server *server = calloc(1, sizeof *server);

	if (!server)
		return -ENOMEM;
	server->agent = agent;
	server->control = -1;
	*out = server;
	return 0;
}

void fork_server_free(struct fork_server *server)
{
	if (!server)
		return;
	close_fd(&server->control);
	free(server);
}

bool fork_server_is_there(const struct fork_server *server)
{
	return server->control >= 0;
}

void fork_server_drop(struct fork_server *server)
{
	close_fd(&server->control);
	server->ready = false;
	if (server->process)
		process_kill(server->process);
}

static void server_fail(struct fork_server *server, const char *what)
{
	server->failures++;
	log_debug(server->agent->log, "fork server: %s%s", what,
		server->failures < FORK_SERVER_FAILURES ? "" : "; there is none any more");
	fork_server_drop(server);
}

/* ---- its process ---- */

static void server_ended(void *arg, struct process *process, const struct process_end *end)
{
	struct fork_server *server = arg;
	char how[128];

	(void)process;
	if (server->control < 0)
		return;
	end_describe(end, how, sizeof how);
	server_fail(server, how);
}

static void server_gone(void *arg, struct process *process)
{
	struct fork_server *server = arg;

	(void)process;
	server->process = NULL;
	server->agent->spares--;
}

void fork_server_have(struct fork_server *server)
{
	static const struct process_ops ops = {.ended = server_ended, .gone = server_gone};
	struct agent *agent = server->agent;
	const char *const argv[] = {agent->paths->worker, FORK_SERVER_OPTION, NULL};
	auto_(close_at_exit) int theirs = -1;
	struct process_spec spec = {.name = "fork server",
		.argv = argv,
		.env_hide = agent->bounds ? agent->bounds->env_hide : NULL,
		.logs = true,
		.ops = &ops,
		.arg = server};
	struct reason why = {.text = ""};
	int r;

	if (server->process || server->failures >= FORK_SERVER_FAILURES)
		return;
	r = zygote_socket_open(&server->control, &theirs);
	spec.fd = theirs;
	if (r == 0)
		r = process_start(agent->set, &spec, &server->process, &why);
	if (r)
		server_fail(server, why.text[0] ? why.text : strerror(-r));
	else
		agent->spares++;
}

/* ---- forks ---- */

/* Wait for this letter. text gets what comes with it. 0; -EAGAIN: not within so many milliseconds;
 * -errno. */
static int server_answer(
	const struct fork_server *server, int letter, int within_ms, char text[ZYGOTE_BYTES])
{
	struct pollfd answer = {.fd = server->control, .events = POLLIN};
	size_t len;
	pid_t pid;
	int r;

	if (within_ms && poll(&answer, 1, within_ms) <= 0)
		return -EAGAIN;
	r = zygote_socket_receive(server->control, text, &len, &pid);
	if (r < 0)
		return r;
	return r == letter ? 0 : r == 0 ? -EPIPE : -EBADMSG;
}

/* Have the prepared process forked (nobody hunts for orphans meanwhile), with these at their
 * places. 0 or -errno. */
static int server_fork(
	const struct fork_server *server, struct process *process, int control, int out, int err)
{
	auto_(close_at_exit) int go = -1;
	auto_(close_at_exit) int its_go = -1;
	char text[ZYGOTE_BYTES];
	int ends[2];
	uint64_t pid;
	int r;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	its_go = ends[0];
	go = ends[1];
	r = zygote_socket_send(
		server->control, 'F', "", 0, (int[]){control, out, err, its_go}, FORK_SERVER_FDS);
	if (r == 0)
		r = server_answer(server, 'P', FORK_SERVER_ANSWER_MS, text);
	if (r == 0)
		r = number_u64(text, &pid);
	if (r == 0)
		r = process_adopt(process, (pid_t)pid);
	/* It ends by itself when it gets no byte. */
	if (r == 0 && write(go, "", 1) != 1)
		log_debug(server->agent->log, "fork server: %s", strerror(errno));
	return r;
}

int fork_server_start(
	struct fork_server *server, const struct process_spec *spec, struct process **out)
{
	char text[ZYGOTE_BYTES];
	struct process *process = NULL;
	auto_(close_at_exit) int its_out = -1;
	auto_(close_at_exit) int its_err = -1;
	int r;

	if (server->control < 0)
		return -ESRCH;
	r = server->ready ? 0 : server_answer(server, 'R', 0, text);
	if (r == -EAGAIN)
		return r;
	server->ready = true;
	if (r == 0)
		r = process_prepare(server->agent->set, spec, &process, &its_out, &its_err);
	if (r == 0)
		r = server_fork(server, process, spec->fd, its_out, its_err);
	if (r == 0) {
		server->failures = 0;
		*out = process;
		return 0;
	}
	process_discard(process);
	server_fail(server, strerror(-r));
	return r;
}
