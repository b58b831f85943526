/*
 * What the tests of common/launch start. The first argument says what it is.
 */
#include "common/base/cleanup.h"
#include "common/launch/agent_client.h"
#include "common/launch/control.h"
#include "common/launch/fork_server.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define BOMB      60    /* processes */
#define BOMB_USER 20003 /* has no others */

static void pause_for_ever(void)
{
	for (;;)
		pause();
}

/* "fd N" for every descriptor. */
static int be_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' && atol(entry->d_name) != dirfd(dir))
			printf("fd %s\n", entry->d_name);
	closedir(dir);
	return 0;
}

/* "masked N", "ignored N" for what a new program should not inherit. */
static int be_signals(void)
{
	sigset_t mask;
	struct sigaction action;

	sigprocmask(SIG_BLOCK, NULL, &mask);
	for (int i = 1; i < 32; i++) {
		if (sigismember(&mask, i) == 1)
			printf("masked %d\n", i);
		if (sigaction(i, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
			printf("ignored %d\n", i);
	}
	printf("session %s\n", getsid(0) == getpid() ? "own" : "inherited");
	return 0;
}

static void branch(bool own_session, int ready)
{
	if (fork() != 0)
		return;
	if (own_session) {
		setsid();
		if (fork() != 0)
			_exit(0);
	}
	dprintf(STDOUT_FILENO, "member %d\n", (int)getpid());
	close(ready);
	pause_for_ever();
}

/* Ignores TERM, as do children in its group and daemons in sessions of their own. */
static int be_tree(void)
{
	int ready[2];
	char byte;

	signal(SIGTERM, SIG_IGN);
	if (pipe2(ready, O_CLOEXEC) < 0)
		return 1;
	for (int i = 0; i < 8; i++)
		branch(i % 2, ready[1]);
	close(ready[1]);
	while (read(ready[0], &byte, 1) < 0)
		;
	printf("tree complete\n");
	fflush(stdout);
	pause_for_ever();
	return 0;
}

/* Ends, and leaves processes that fork as long as the kernel lets their user have more. */
static int be_bomb(void)
{
	const struct rlimit limit = {BOMB, BOMB};

	if (setrlimit(RLIMIT_NPROC, &limit) < 0 || setresuid(BOMB_USER, BOMB_USER, BOMB_USER) < 0)
		return 1;
	for (pid_t first = getpid();;) {
		pid_t child = fork();

		if (child == 0)
			setsid();
		/* A sanitizer would want a process more to look for leaks. */
		if (child < 0 && getpid() == first)
			_exit(0);
	}
}

/* Hands its stderr to whoever has the other end of PROCESS_FD, and ends. */
static int be_holder(void)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} space = {.bytes = {0}};
	struct iovec piece = {.iov_base = (char[]){"x"}, .iov_len = 1};
	struct msghdr header = {.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = space.bytes,
		.msg_controllen = sizeof space.bytes};
	struct cmsghdr *with = CMSG_FIRSTHDR(&header);

	with->cmsg_level = SOL_SOCKET;
	with->cmsg_type = SCM_RIGHTS;
	with->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(with), &(int){STDERR_FILENO}, sizeof(int));
	fprintf(stderr, "the last words");
	return sendmsg(PROCESS_FD, &header, 0) == 1 ? 0 : 1;
}

/* The next message of the agent; exits when there is none. */
static void next(struct control_message *message)
{
	struct pollfd wanted = {.fd = PROCESS_FD, .events = POLLIN};
	int r;

	do
		r = poll(&wanted, 1, -1) < 0 ? -1 : control_receive(PROCESS_FD, message);
	while (r == -EAGAIN);
	if (r != 1)
		_exit(99);
}

static void say(enum control_kind kind)
{
	struct control_message message = {.kind = kind, .fd = -1};

	if (control_send(PROCESS_FD, &message) < 0)
		_exit(98);
}

/* Ask for a process of this app. */
static void ask_for(const struct control_app *app)
{
	struct control_message message = {.kind = CONTROL_APP_START, .fd = -1, .app = *app};

	if (control_send(PROCESS_FD, &message) < 0)
		_exit(98);
}

/* Wait for what the app says on its socket, and print it. */
static void app_listen(int fd)
{
	char text[256];
	ssize_t n = read(fd, text, sizeof text - 1);

	text[n > 0 ? n : 0] = '\0';
	printf("app said %s\n", text);
	fflush(stdout);
}

/* A worker that asks for an app process; behaviours 4 to 11, and from 100 on: as 4, for run 100 to
 * 199; from 200 on for the same runs with another app. */
static int run_app(uint64_t behaviour, bool names_apps)
{
	struct control_app app = {.fab_id = (char *)"lab/robot",
		.component = (char *)"native:robot.so",
		.dir = (char *)"/apps/robot"};
	auto_(control_message_done) struct control_message started = {.fd = -1};
	auto_(control_message_done) struct control_message ended = {.fd = -1};

	if (behaviour >= 100) {
		app.run_id = 100 + behaviour % 100;
		app.component = (char *)"robot.client:app";
	}
	if (behaviour >= 200)
		app.dir = (char *)"/apps/other";
	if (behaviour == 9 || (app.run_id && names_apps))
		ask_for(&app);
	else
		say(CONTROL_APP_START);
	next(&started);
	if (started.kind == CONTROL_APP_ENDED) {
		printf("app not started: %d %s\n", started.end.value, started.end.why.text);
		return 0;
	}
	if (started.native)
		printf("app is native\n");
	app_listen(started.fd);
	if (behaviour == 5) /* ends before the app */
		return 0;
	if (behaviour == 6) /* crashes */
		abort();
	if (behaviour == 7) /* hangs */
		pause_for_ever();
	if (behaviour == 8 || behaviour == 11) /* stops the app */
		say(CONTROL_APP_STOP);
	if (behaviour == 11) /* and ends before it */
		return 0;
	next(&ended);
	printf("app ended kind=%d value=%d tail=%s\n", ended.end.kind, ended.end.value,
		ended.end.tail);
	return 0;
}

/* The token says how a worker behaves. */
static int be_worker(void)
{
	auto_(control_message_done) struct control_message start = {.fd = -1};

	next(&start);
	if (start.kind != CONTROL_START)
		return 97;
	printf("start token=%llu address=%s home=%s level=%d\n",
		(unsigned long long)start.start.token, start.start.address, start.start.flwr_home,
		start.start.log_level);
	if (start.start.names_apps)
		printf("apps have names\n");
	fflush(stdout);
	switch (start.start.token) {
	case 1:
		return 0;
	case 2: /* sends what is no message */
		if (send(PROCESS_FD, "nonsense", 8, 0) != 8)
			return 96;
		pause_for_ever();
		break;
	case 3: /* asks twice */
		say(CONTROL_APP_START);
		say(CONTROL_APP_START);
		pause_for_ever();
		break;
	default:
		break;
	}
	return run_app(start.start.token, start.start.names_apps);
}

/* ---- a worker that uses agent_client ---- */

static struct loop *loop;

static void client_started(void *arg, int fd, bool native)
{
	(void)arg;
	(void)native;
	app_listen(fd);
	printf("worker %d waits\n", (int)getpid());
	fflush(stdout);
}

static void client_ended(void *arg, const struct process_end *end)
{
	(void)arg;
	printf("client ended kind=%d value=%d\n", end->kind, end->value);
	loop_stop(loop);
}

static void client_lost(void *arg)
{
	(void)arg;
	agent_client_die();
}

static const struct agent_client_ops client_ops = {
	.started = client_started, .ended = client_ended, .lost = client_lost};

static int be_client_worker(void)
{
	struct control_message start;
	struct agent_client *client;

	next(&start);
	control_message_done(&start);
	if (loop_new(&loop) < 0 ||
		agent_client_new(loop, PROCESS_FD, &client_ops, NULL, &client) < 0)
		return 95;
	agent_client_start(client, NULL);
	loop_run(loop);
	agent_client_free(client);
	loop_free(loop);
	return 0;
}

static int be_fork_server(void)
{
	return fork_server_serve() ? be_worker() : 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*be)(void);
	} kinds[] = {
		{"fds", be_fds},
		{"signals", be_signals},
		{"tree", be_tree},
		{"bomb", be_bomb},
		{"holder", be_holder},
		{"--control", be_worker},
		{"client", be_client_worker},
		{FORK_SERVER_OPTION, be_fork_server},
	};

	for (size_t i = 0; argc > 1 && i < ARRAY_LEN(kinds); i++)
		if (strcmp(argv[1], kinds[i].name) == 0)
			return kinds[i].be();
	return 94;
}
