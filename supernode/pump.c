/*
 * pump: does what the node decides, after each event that reached it: from the SuperLink (by
 * uplink.c), from workers and their processes, from time.
 */
#include "supernode/supernode_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LARGE_BYTES    (8 << 20) /* of a message whose memory is worth being given back */
#define SPARE_MS       600000    /* a large message's file waits so long for the next round */
#define TRIM_MS        500       /* after its end, when no other is at hand */
#define HEALTH_LOOK_MS 5000      /* a heartbeat may become too old */
#define OFFER_FIRST_MS 10000     /* a message has waited for a worker: said */
#define OFFER_LINE_MS  60000     /* said again */

/* ---- what comes from workers and processes ---- */

static void on_changed(void *arg)
{
	supernode_pump(arg);
}

static void on_ready(void *arg, uint64_t message, const struct peer *peer)
{
	struct supernode *supernode = arg;
	char text[512];

	if (supernode->runner) {
		runner_ready(supernode->runner, message);
	} else {
		node_describe(supernode->node, message, text, sizeof text);
		log_info(supernode->log, "worker came: from=%s %s", peer->text, text);
		if (supernode->launcher)
			launcher_process_ready(supernode->launcher);
	}
}

const struct workers_ops workers_events = {.changed = on_changed, .ready = on_ready};

static void on_worker_ended(void *arg, uint64_t message, int64_t code, const char *reason)
{
	struct supernode *supernode = arg;

	node_worker_ended(supernode->node, supernode_now(), message, code, reason);
	supernode_pump(supernode);
}

static void on_worker_gone(void *arg, uint64_t message)
{
	struct supernode *supernode = arg;

	node_worker_gone(supernode->node, supernode_now(), message);
	supernode_pump(supernode);
}

const struct runner_ops runner_events = {.ended = on_worker_ended, .gone = on_worker_gone};

void pump_launcher_gone(void *arg)
{
	supernode_pump(arg);
}

/* ---- what comes from the SuperLink ---- */

static void on_told_to_end(void *arg)
{
	struct supernode *supernode = arg;

	if (supernode->phase != PHASE_WORKING)
		return;
	supernode_stop(supernode);
	supernode->told = true;
}

static void on_over(void *arg, enum fleet_over over, const char *sentence)
{
	supernode_over(arg, over, sentence);
}

const struct uplink_ops pump_uplink = {
	.changed = on_changed, .told_to_end = on_told_to_end, .over = on_over};

/* ---- what the node decides ---- */

static void do_fetch_run(struct supernode *supernode, const struct node_action *action)
{
	uplink_fetch_run(&supernode->uplink, action);
}

/* The node says it once a run. */
static void do_run_overlaps(struct supernode *supernode, const struct node_action *action)
{
	log_info(supernode->log,
		"run %" PRIu64
		": several of its messages are at work at once (--parallel-in-run); each gets the Context as it is when it starts, and the Context of the last one to be answered stays",
		action->run_id);
}

static void do_run_ended(struct supernode *supernode, const struct node_action *action)
{
	if (supernode->agent)
		agent_run_ended(supernode->agent, action->run_id);
}

static void do_push_reply(struct supernode *supernode, const struct node_action *action)
{
	uplink_push_reply(&supernode->uplink, action);
}

static void do_start_worker(struct supernode *supernode, const struct node_action *action)
{
	char task_token[NODE_TOKEN_TEXT_BYTES] = "";
	const struct runner_task task = {
		.message = action->message,
		.token = action->token,
		.task_token = action->form == MESSAGE_OBJECTS ? task_token : NULL,
	};
	struct reason why = {0};
	int r;

	(void)node_token_text(supernode->node, action->token, task_token);
	r = runner_start(supernode->runner, &task, &why);
	explicit_bzero(task_token, sizeof task_token);
	if (r == 0)
		return;
	log_error(supernode->log, "cannot start a worker: %s", why.text);
	node_worker_ended(supernode->node, supernode_now(), action->message,
		ERROR_CODE_CLIENT_APP_CRASHED, "the SuperNode could not start a worker");
	node_worker_gone(supernode->node, supernode_now(), action->message);
}

static void do_stop_worker(struct supernode *supernode, const struct node_action *action)
{
	runner_stop(supernode->runner, action->message, WORKER_GRACE_MS);
}

/* Back to the system with what a large message took, unless the next one can use it. */
void pump_trim(void *arg)
{
	struct supernode *supernode = arg;

	if (node_count(supernode->node).messages) {
		timer_set(supernode->trim_timer, clock_after(clock_now_ms(), TRIM_MS));
	} else {
		spool_trim_later(supernode->spool, SPARE_MS);
		supernode->options->trim();
	}
	budget_peak_reset(&supernode->budget);
}

/* Has a message been large, inline or in objects, since the last that was? */
static bool was_large(struct supernode *supernode)
{
	uint64_t passed_bytes = spool_passed_bytes(supernode->spool);

	if (supernode->budget.peak_bytes < LARGE_BYTES &&
		passed_bytes - supernode->passed_bytes < LARGE_BYTES)
		return false;
	supernode->passed_bytes = passed_bytes;
	return true;
}

static void do_finished(struct supernode *supernode, const struct node_action *action)
{
	uplink_finished(&supernode->uplink, action);
	if (supernode->options->trim && was_large(supernode))
		timer_set(supernode->trim_timer, clock_after(clock_now_ms(), TRIM_MS));
}

static void (*const does[NODE_ACTION_N])(struct supernode *, const struct node_action *) = {
	[NODE_FETCH_RUN] = do_fetch_run,
	[NODE_FETCH_FAB] = fab_fetch,
	[NODE_RUN_OVERLAPS] = do_run_overlaps,
	[NODE_RUN_ENDED] = do_run_ended,
	[NODE_START_WORKER] = do_start_worker,
	[NODE_STOP_WORKER] = do_stop_worker,
	[NODE_PUSH_REPLY] = do_push_reply,
	[NODE_FINISHED] = do_finished,
};

/* ---- messages that wait for a worker to come ---- */

/* Messages of one SuperLink have one form, so that the first look finds them or the second. */
static uint64_t oldest_offer(const struct supernode *supernode, int64_t *since_ms)
{
	uint64_t message = node_offered(supernode->node, MESSAGE_OBJECTS, since_ms);

	return message ? message : node_offered(supernode->node, MESSAGE_INLINE, since_ms);
}

static void offers_set_timer(struct supernode *supernode)
{
	int64_t since_ms, at_ms;

	if (!oldest_offer(supernode, &since_ms)) {
		timer_set(supernode->offers, CLOCK_NEVER);
		return;
	}
	at_ms = since_ms + OFFER_FIRST_MS;
	if (supernode->offer_line_ms >= since_ms)
		at_ms = supernode->offer_line_ms + OFFER_LINE_MS;
	timer_set(supernode->offers, at_ms);
}

void pump_say_offer(void *arg)
{
	struct supernode *supernode = arg;
	const char *address = workers_address(supernode->workers);
	int64_t since_ms;
	char text[512];
	uint64_t message = oldest_offer(supernode, &since_ms);

	if (message) {
		supernode->offer_line_ms = clock_now_ms();
		node_describe(supernode->node, message, text, sizeof text);
		log_warn(supernode->log,
			"no worker has asked for a message that has been here for %" PRId64
			" s: %s: %s %s",
			(clock_now_ms() - since_ms) / 1000, text,
			supernode->launcher
				? "is --clientapp-command a launcher? It is told to ask at"
			: supernode->credentials.workers
				? "start flwr-clientapp --root-certificates FILE --clientappio-api-address"
				: "start flwr-clientapp --insecure --clientappio-api-address",
			address);
	}
	offers_set_timer(supernode);
}

/* The health service tells the truth: it serves while the node is registered and the last heartbeat
 * is recent. */
void pump_health(void *arg)
{
	struct supernode *supernode = arg;

	if (!supernode->health)
		return;
	health_set(supernode->health,
		supernode->phase == PHASE_WORKING && fleet_is_online(supernode->fleet));
	timer_set(supernode->health_timer, clock_after(clock_now_ms(), HEALTH_LOOK_MS));
}

void supernode_pump(struct supernode *supernode)
{
	struct node_action action;

	/* An action may be an event itself; the loop below then sees what follows from it. */
	if (supernode->pumping)
		return;
	supernode->pumping = true;
	while (node_next_action(supernode->node, &action))
		does[action.kind](supernode, &action);
	workers_offer(supernode->workers);
	supernode->pumping = false;
	offers_set_timer(supernode);
	timer_set(supernode->tick, node_next_ms(supernode->node));
	if (supernode->health && supernode->phase < PHASE_LEAVING)
		pump_health(supernode);
	if (supernode->phase == PHASE_WORKING)
		fleet_poke(supernode->fleet);
	else
		stopping_check(supernode);
}

void pump_tick(void *arg)
{
	struct supernode *supernode = arg;

	node_tick(supernode->node, supernode_now());
	supernode_pump(supernode);
}
