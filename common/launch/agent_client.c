#include "common/launch/agent_client.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/launch/agent_internal.h"
#include "common/launch/app_process.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* Either control or set is there. */
struct agent_client {
	struct loop *loop;
	const struct agent_client_ops *ops;
	void *arg;
	bool asked;
	bool stopped; /* before it began */
	bool ended;   /* said, or not to be said any more */
	struct timer
		*timer; /* does from the loop what agent_client_start() and _finish() lead to */
	struct process_end failed;
	/* by control socket */
	int control;
	struct watch *watch;
	bool started;
	/* local */
	struct log *log;
	struct agent *agent;
	struct process *app;
	bool finishing; /* its reply was taken over */
	char cut[64];   /* why it was not left to its own end; "": it was */
};

static void client_end(struct agent_client *client, const struct process_end *end)
{
	if (client->ended)
		return;
	client->ended = true;
	client->ops->ended(client->arg, end);
}

static void local_begin(struct agent_client *client);

/* The exit grace is over. */
static void local_late(struct agent_client *client)
{
	if (!client->app)
		return;
	snprintf(client->cut, sizeof client->cut, "%g s after its reply (--app-exit-grace)",
		(double)client->agent->options->app_exit_grace_ms / 1000);
	process_stop(client->app, WORKER_GRACE_MS);
}

static void client_begin(void *arg)
{
	struct agent_client *client = arg;

	if (client->finishing)
		local_late(client);
	else if (client->agent)
		local_begin(client);
	else
		client_end(client, &client->failed);
}

static void client_free_at_exit(struct agent_client **client)
{
	agent_client_free(*client);
}

static struct agent_client *client_new(
	struct loop *loop, const struct agent_client_ops *ops, void *arg)
{
	auto_(client_free_at_exit) struct agent_client *client = calloc(1, sizeof *client);

	if (!client)
		return NULL;
	client->loop = loop;
	client->ops = ops;
	client->arg = arg;
	client->control = -1;
	client->timer = timer_new(loop, client_begin, client);
	return client->timer ? take_pointer(&client) : NULL;
}

/* ---- by control socket ---- */

static void client_lost(struct agent_client *client)
{
	watch_free(client->watch);
	client->watch = NULL;
	close_fd(&client->control);
	client->ended = true;
	client->ops->lost(client->arg);
}

/* One message an event, and nothing after the callee: it may free the client. */
static void control_ready(void *arg, int ready)
{
	struct agent_client *client = arg;
	struct control_message message;
	int r = control_receive(client->control, &message);

	(void)ready;
	if (r == -EAGAIN)
		return;
	if (r <= 0) {
		client_lost(client);
		return;
	}
	if (message.kind == CONTROL_APP_STARTED && client->asked && !client->started) {
		client->started = true;
		client->ops->started(client->arg, take_fd(&message.fd));
	} else if (message.kind == CONTROL_APP_ENDED && client->asked) {
		client_end(client, &message.end);
	} else {
		client_lost(client);
	}
	control_message_done(&message);
}

int agent_client_from_control(struct loop *loop, int control, const struct agent_client_ops *ops,
	void *arg, struct agent_client **out)
{
	auto_(close_at_exit) int socket = control;
	auto_(client_free_at_exit) struct agent_client *client = client_new(loop, ops, arg);

	if (!client)
		return -ENOMEM;
	client->watch = watch_new(loop, socket, WATCH_READ, control_ready, client);
	if (!client->watch)
		return -ENOMEM;
	client->control = take_fd(&socket);
	*out = take_pointer(&client);
	return 0;
}

static void control_ask(struct agent_client *client, enum control_kind kind)
{
	struct control_message message = {.kind = kind, .fd = -1};
	int r = client->control < 0 ? -EPIPE : control_send(client->control, &message);

	/* When the agent has gone, that comes as an event. */
	if (r == 0 || r == -EPIPE || kind != CONTROL_APP_START)
		return;
	client->failed = (struct process_end){.kind = PROCESS_NOT_STARTED, .value = -r};
	reason_set(&client->failed.why, "its agent could not be asked for a process: %s",
		strerror(-r));
	timer_set(client->timer, clock_now_ms());
}

/* ---- local ---- */

static void app_ended(void *arg, struct process *process, const struct process_end *end)
{
	struct agent_client *client = arg;

	(void)process;
	if (client->cut[0])
		app_process_tell_cut(client->log, "app", client->cut, end);
	client_end(client, end);
}

static void app_gone(void *arg, struct process *process)
{
	struct agent_client *client = arg;

	(void)process;
	client->app = NULL;
}

static const struct process_ops app_ops = {.ended = app_ended, .gone = app_gone};

int agent_client_local(struct loop *loop, struct log *log, const struct agent_options *options,
	const struct agent_client_ops *ops, void *arg, struct agent_client **out)
{
	auto_(client_free_at_exit) struct agent_client *client = client_new(loop, ops, arg);
	int r;

	if (!client)
		return -ENOMEM;
	client->log = log;
	r = agent_new(loop, log, options, &client->agent);
	if (r < 0)
		return r;
	*out = take_pointer(&client);
	return 0;
}

static void local_begin(struct agent_client *client)
{
	struct app_process app = {.fd = -1};
	int r = -ECANCELED;

	if (client->stopped)
		client->failed = (struct process_end){
			.kind = PROCESS_NOT_STARTED, .value = ECANCELED, .stop = PROCESS_STOPPED};
	else
		r = app_process_start(client->agent, "app", &app_ops, client, &app);
	client->app = app.process;
	if (r < 0 && !client->stopped)
		client->failed = app.failed;
	if (r < 0)
		client_end(client, &client->failed);
	else
		client->ops->started(client->arg, app.fd);
}

static void local_wait(struct agent_client *client, int64_t wait_ms)
{
	int64_t end_ms = clock_after(clock_now_ms(), wait_ms);
	int64_t now_ms;

	while (client->app && (now_ms = clock_now_ms()) < end_ms)
		loop_step(client->loop, end_ms - now_ms);
}

static void local_end(struct agent_client *client)
{
	/* The one who frees it wants to hear no more. */
	client->ended = true;
	local_wait(client, WORKER_GRACE_MS);
	if (!client->app)
		return;
	process_stop(client->app, WORKER_GRACE_MS);
	local_wait(client, WORKER_GRACE_MS);
}

/* ---- both ---- */

void agent_client_start(struct agent_client *client)
{
	assert(!client->asked);
	client->asked = true;
	if (client->agent)
		timer_set(client->timer, clock_now_ms());
	else
		control_ask(client, CONTROL_APP_START);
}

bool agent_client_finish(struct agent_client *client)
{
	if (!client->app || client->ended)
		return false;
	client->finishing = true;
	timer_set(client->timer,
		clock_after(clock_now_ms(), client->agent->options->app_exit_grace_ms));
	return true;
}

void agent_client_stop(struct agent_client *client)
{
	if (!client->asked || client->ended)
		return;
	if (client->finishing && !client->cut[0])
		snprintf(client->cut, sizeof client->cut, "when it was told to stop");
	if (!client->agent)
		control_ask(client, CONTROL_APP_STOP);
	else if (client->app)
		process_stop(client->app, WORKER_GRACE_MS);
	else
		client->stopped = true;
}

void agent_client_free(struct agent_client *client)
{
	if (!client)
		return;
	if (client->app)
		local_end(client);
	agent_free(client->agent);
	if (client->watch)
		watch_free(client->watch);
	close_fd(&client->control);
	if (client->timer)
		timer_free(client->timer);
	free(client);
}

void agent_client_die(void)
{
	kill(0, SIGKILL);
	_exit(128 + SIGKILL);
}
