/*
 * Stopping is a short sequence of phases, each left when its condition holds or its time is over.
 */
#include "supernode/supernode_internal.h"

#include "common/base/exit_code.h"

#include <inttypes.h>
#include <stdio.h>

#define ANSWER_MS      5000 /* to push the last replies */
#define CALLS_GRACE_MS 500  /* for calls of workers */
/* A SuperLink of 1.17 or later throws away what the ServerApp has not fetched yet of a node that
 * leaves; ServerApps ask every 3 s. */
#define FETCH_MS 4000

static void part_left(void *arg)
{
	struct supernode *supernode = arg;

	supernode->leaving--;
	stopping_check(supernode);
}

/* End what this node has started. */
static void stop_workers(struct supernode *supernode)
{
	if (supernode->runner)
		runner_stop_all(supernode->runner, WORKER_GRACE_MS);
	if (supernode->launcher)
		launcher_process_stop(supernode->launcher, WORKER_GRACE_MS);
}

static void leave(struct supernode *supernode)
{
	/* A pull that is out may still bring a message: nobody would work on it any more. */
	node_give_up(supernode->node, supernode_now(), "the SuperNode was stopped");
	supernode->phase = PHASE_LEAVING;
	timer_set(supernode->end, CLOCK_NEVER);
	supernode->leaving = 2;
	fleet_stop(supernode->fleet, part_left, supernode);
	workers_stop(supernode->workers, CALLS_GRACE_MS, part_left, supernode);
	fab_checks_stop(supernode->fab_checks);
	/* A launcher has nothing of its own to end with. */
	if (supernode->launcher)
		launcher_process_stop(supernode->launcher, WORKER_GRACE_MS);
	timer_set(supernode->health_timer, CLOCK_NEVER);
	if (supernode->health) {
		supernode->leaving++;
		health_stop(supernode->health, CALLS_GRACE_MS, part_left, supernode);
	}
}

static void hurry(struct supernode *supernode)
{
	supernode->hurried = true;
	loop_stop(supernode->loop);
}

/* Leave, now that messages are answered, or stay until the ServerApp has fetched the last reply. */
static void answered(struct supernode *supernode)
{
	int64_t until_ms = clock_after(supernode->uplink.answered_ms, FETCH_MS);

	if (supernode->cut_short) {
		hurry(supernode);
		return;
	}
	if (!supernode->uplink.answered_ms || until_ms <= clock_now_ms()) {
		leave(supernode);
		return;
	}
	log_info(supernode->log,
		"stopping: up to %d s for the ServerApp to fetch the last reply; a second signal skips that",
		FETCH_MS / 1000);
	supernode->phase = PHASE_LINGERING;
	timer_set(supernode->end, until_ms);
}

/* The rest of the grace is for apps that have replied and are at their own end. */
static void end_apps(struct supernode *supernode)
{
	unsigned left = supernode->agent ? agent_count(supernode->agent) : 0;

	if (supernode->phase == PHASE_LEAVING && left > 0) {
		supernode->phase = PHASE_ENDING;
		timer_set(supernode->end, supernode->grace_end_ms);
	} else if (left == 0) {
		supernode->phase = PHASE_LEFT;
		loop_stop(supernode->loop);
	}
}

/* Apps had their grace: stop them; the next time leave, and the agent kills what is left. */
static void apps_late(struct supernode *supernode)
{
	if (supernode->apps_stopped) {
		supernode->phase = PHASE_LEFT;
		loop_stop(supernode->loop);
		return;
	}
	supernode->apps_stopped = true;
	timer_set(supernode->end, clock_after(clock_now_ms(), 2 * WORKER_GRACE_MS));
	stop_workers(supernode);
}

void stopping_check(struct supernode *supernode)
{
	if (supernode->phase == PHASE_DRAINING || supernode->phase == PHASE_ANSWERING) {
		if (node_count(supernode->node).messages == 0)
			answered(supernode);
	} else if ((supernode->phase == PHASE_LEAVING && supernode->leaving == 0 &&
			   fab_checks_count(supernode->fab_checks) == 0) ||
		   supernode->phase == PHASE_ENDING) {
		end_apps(supernode);
	}
}

void stopping_over(void *arg)
{
	struct supernode *supernode = arg;

	if (supernode->phase == PHASE_DRAINING) {
		log_warn(supernode->log,
			"stopping: the grace of %" PRId64 " s is over: messages at work are ended",
			supernode->options->launch.grace_ms / 1000);
		supernode->phase = PHASE_ANSWERING;
		timer_set(supernode->end, clock_after(clock_now_ms(), WORKER_GRACE_MS + ANSWER_MS));
		node_give_up(supernode->node, supernode_now(), "the SuperNode was stopped");
		/* Apps that have replied, too. */
		stop_workers(supernode);
		supernode_pump(supernode);
	} else if (supernode->phase == PHASE_ANSWERING) {
		log_warn(supernode->log, "stopping: some replies could not be sent");
		if (supernode->cut_short)
			hurry(supernode);
		else
			leave(supernode);
	} else if (supernode->phase == PHASE_LINGERING) {
		leave(supernode);
	} else if (supernode->phase == PHASE_ENDING) {
		apps_late(supernode);
	}
}

/* No message is taken any more. */
static void close_node(struct supernode *supernode)
{
	node_close(supernode->node);
	if (supernode->agent)
		agent_stop_spare(supernode->agent);
}

/* The SuperLink is lost for good, or has told the node to leave. */
void supernode_over(struct supernode *supernode, enum fleet_over over, const char *sentence)
{
	static const int codes[] = {[FLEET_OVER_LOST] = EXIT_CODE_NO_SUPERLINK,
		[FLEET_OVER_REFUSED] = EXIT_CODE_NO_SUPERLINK,
		[FLEET_OVER_KEY] = EXIT_CODE_KEY_INVALID};

	if (over == FLEET_OVER_TOLD) {
		log_info(supernode->log, "%s", sentence);
	} else {
		log_error(supernode->log, "%s (Exit Code: %d, %s)", sentence, codes[over],
			exit_code_meaning(codes[over]));
		supernode->status = 1; /* 2 is for this machine's own options */
	}
	if (supernode->phase >= PHASE_LEAVING)
		return;
	supernode->uplink.answered_ms = 0;
	close_node(supernode);
	node_give_up(supernode->node, supernode_now(),
		over == FLEET_OVER_TOLD ? "the SuperNode was told to end"
					: "the SuperNode has lost its SuperLink");
	supernode->phase = PHASE_ANSWERING;
	supernode->grace_end_ms = clock_after(clock_now_ms(), supernode->options->launch.grace_ms);
	timer_set(supernode->end, clock_after(clock_now_ms(), WORKER_GRACE_MS));
	supernode_pump(supernode);
}

void supernode_stop(struct supernode *supernode)
{
	unsigned messages = node_count(supernode->node).messages;
	char said[128] = "";

	if (supernode->phase == PHASE_LINGERING) {
		leave(supernode);
		return;
	}
	if (supernode->phase == PHASE_DRAINING && supernode->told) {
		supernode->told = false;
		log_info(supernode->log,
			"stopping already, since the SuperLink said so; a second signal stops at once");
		return;
	}
	if (supernode->phase != PHASE_WORKING) {
		log_warn(supernode->log,
			"stopping now: no reply is sent any more, and the SuperLink is not told");
		hurry(supernode);
		return;
	}
	if (messages)
		snprintf(said, sizeof said,
			": %u message%s at work, up to %g s (--grace); a second signal stops at once",
			messages, messages == 1 ? "" : "s",
			(double)supernode->options->launch.grace_ms / 1000);
	log_info(supernode->log, "stopping%s", said);
	close_node(supernode);
	supernode->phase = PHASE_DRAINING;
	supernode->grace_end_ms = clock_after(clock_now_ms(), supernode->options->launch.grace_ms);
	timer_set(supernode->end, supernode->grace_end_ms);
	supernode_pump(supernode);
}

void supernode_cut_short(struct supernode *supernode, int64_t within_ms)
{
	supernode->cut_short = true;
	if (supernode->phase >= PHASE_LINGERING || node_count(supernode->node).messages == 0) {
		hurry(supernode);
		return;
	}
	if (supernode->phase == PHASE_WORKING)
		close_node(supernode);
	supernode->phase = PHASE_ANSWERING;
	timer_set(supernode->end, clock_after(clock_now_ms(), within_ms));
	if (supernode->runner)
		runner_stop_all(supernode->runner, 0);
	if (supernode->launcher)
		launcher_process_stop(supernode->launcher, 0);
	node_give_up(supernode->node, supernode_now(), "the SuperNode was killed");
	supernode_pump(supernode);
}
