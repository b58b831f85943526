#include "common/launch/agent_client.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

struct agent_client {
	const struct agent_client_ops *ops;
	void *arg;
	int control;
	struct watch *watch;
	struct timer *timer; /* tells from the loop that the agent could not be asked: failed */
	struct process_end failed;
	bool asked;
	bool started;
	bool ended; /* said, or not to be said any more */
};

static void client_end(struct agent_client *client, const struct process_end *end)
{
	if (client->ended)
		return;
	client->ended = true;
	client->ops->ended(client->arg, end);
}

static void tell_failed(void *arg)
{
	struct agent_client *client = arg;

	client_end(client, &client->failed);
}

static void client_lost(struct agent_client *client)
{
	watch_free(client->watch);
	client->watch = NULL;
	close_fd(&client->control);
	client->ended = true;
	client->ops->lost(client->arg);
}

/* Take one message an event, and do nothing after the callee: it may free the client. */
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
		client->ops->started(client->arg, take_fd(&message.fd), message.native);
	} else if (message.kind == CONTROL_APP_ENDED && client->asked) {
		client_end(client, &message.end);
	} else if (message.kind == CONTROL_GIVE_UP) {
		client->ops->give_up(client->arg);
	} else {
		client_lost(client);
	}
	control_message_done(&message);
}

int agent_client_new(struct loop *loop, int control, const struct agent_client_ops *ops, void *arg,
	struct agent_client **out)
{
	struct agent_client *client = calloc(1, sizeof *client);

	if (!client) {
		close_fd(&control);
		return -ENOMEM;
	}
	*client = (struct agent_client){.ops = ops,
		.arg = arg,
		.control = control,
		.timer = timer_new(loop, tell_failed, client),
		.watch = watch_new(loop, control, WATCH_READ, control_ready, client)};
	if (!client->timer || !client->watch) {
		agent_client_free(client);
		return -ENOMEM;
	}
	*out = client;
	return 0;
}

static void client_ask(struct agent_client *client, const struct control_message *message)
{
	int r = client->control < 0 ? -EPIPE : control_send(client->control, message);

	/* When the agent has gone, that comes as an event. */
	if (r == 0 || r == -EPIPE || message->kind != CONTROL_APP_START)
		return;
	client->failed = (struct process_end){.kind = PROCESS_NOT_STARTED, .value = -r};
	reason_set(&client->failed.why, "its agent could not be asked for a process: %s",
		strerror(-r));
	timer_set(client->timer, clock_now_ms());
}

void agent_client_start(struct agent_client *client, const struct control_app *app)
{
	struct control_message message = {.kind = CONTROL_APP_START, .fd = -1};

	assert(!client->asked);
	client->asked = true;
	if (app)
		message.app = *app;
	client_ask(client, &message);
}

void agent_client_stop(struct agent_client *client)
{
	if (client->asked && !client->ended)
		client_ask(client, &(struct control_message){.kind = CONTROL_APP_STOP, .fd = -1});
}

void agent_client_free(struct agent_client *client)
{
	if (!client)
		return;
	watch_free(client->watch);
	timer_free(client->timer);
	close_fd(&client->control);
	free(client);
}

void agent_client_die(void)
{
	kill(0, SIGKILL);
	_exit(128 + SIGKILL);
}
