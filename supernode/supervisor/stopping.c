/*
 * Stopping is a short sequence of phases, each left when its condition holds or its time is over.
 */
#include "supernode/supervisor/supervisor_internal.h"

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
	struct supervisor *supervisor = arg;

	supervisor->leaving--;
	stopping_check(supervisor);
}

static void leave(struct supervisor *supervisor)
{
	/* A pull that is out may still bring a message: nobody would work on it any more. */
	node_give_up(supervisor->node, supervisor_now(), "the SuperNode was stopped");
	supervisor->phase = PHASE_LEAVING;
	timer_set(supervisor->end, CLOCK_NEVER);
	supervisor->leaving = 2;
	fleet_stop(supervisor->fleet, part_left, supervisor);
	appio_stop(supervisor->appio, CALLS_GRACE_MS, part_left, supervisor);
	bundles_stop(supervisor->bundles);
	timer_set(supervisor->health_timer, CLOCK_NEVER);
	if (supervisor->health) {
		supervisor->leaving++;
		health_stop(supervisor->health, CALLS_GRACE_MS, part_left, supervisor);
	}
}

/* All messages are answered: leave, or stay until the last reply was fetched. */
static void answered(struct supervisor *supervisor)
{
	if (!supervisor->answered_ms) {
		leave(supervisor);
		return;
	}
	log_info(supervisor->log,
		"stopping: up to %d s for the ServerApp to fetch the last reply from the SuperLink",
		FETCH_MS / 1000);
	supervisor->phase = PHASE_LINGERING;
	timer_set(supervisor->end, clock_after(supervisor->answered_ms, FETCH_MS));
}

/* The rest of the grace is for apps that have replied and are at their own end. */
static void end_apps(struct supervisor *supervisor)
{
	unsigned left = supervisor->agent ? agent_count(supervisor->agent) : 0;

	if (supervisor->phase == PHASE_LEAVING && left > 0) {
		supervisor->phase = PHASE_ENDING;
		timer_set(supervisor->end, supervisor->grace_end_ms);
	} else if (left == 0) {
		supervisor->phase = PHASE_LEFT;
		loop_stop(supervisor->loop);
	}
}

/* Their grace is over; what is left after that is killed with the agent. */
static void apps_late(struct supervisor *supervisor)
{
	if (supervisor->apps_stopped) {
		supervisor->phase = PHASE_LEFT;
		loop_stop(supervisor->loop);
		return;
	}
	supervisor->apps_stopped = true;
	timer_set(supervisor->end, clock_after(clock_now_ms(), 2 * WORKER_GRACE_MS));
	slots_stop_all(supervisor->slots, WORKER_GRACE_MS);
}

void stopping_check(struct supervisor *supervisor)
{
	if (supervisor->phase == PHASE_DRAINING || supervisor->phase == PHASE_ANSWERING) {
		if (node_count(supervisor->node).messages == 0)
			answered(supervisor);
	} else if ((supervisor->phase == PHASE_LEAVING && supervisor->leaving == 0 &&
			   bundles_count(supervisor->bundles) == 0) ||
		   supervisor->phase == PHASE_ENDING) {
		end_apps(supervisor);
	}
}

void stopping_over(void *arg)
{
	struct supervisor *supervisor = arg;

	if (supervisor->phase == PHASE_DRAINING) {
		log_warn(supervisor->log,
			"stopping: the grace of %" PRId64 " s is over: messages at work are ended",
			supervisor->grace_ms / 1000);
		supervisor->phase = PHASE_ANSWERING;
		timer_set(
			supervisor->end, clock_after(clock_now_ms(), WORKER_GRACE_MS + ANSWER_MS));
		node_give_up(supervisor->node, supervisor_now(), "the SuperNode was stopped");
		/* Apps that have replied, too. */
		if (supervisor->slots)
			slots_stop_all(supervisor->slots, WORKER_GRACE_MS);
		supervisor_pump(supervisor);
	} else if (supervisor->phase == PHASE_ANSWERING) {
		log_warn(supervisor->log, "stopping: some replies could not be sent");
		leave(supervisor);
	} else if (supervisor->phase == PHASE_LINGERING) {
		leave(supervisor);
	} else if (supervisor->phase == PHASE_ENDING) {
		apps_late(supervisor);
	}
}

/* The SuperLink is lost for good, or has told the node to leave. */
void supervisor_over(struct supervisor *supervisor, enum fleet_over over, const char *sentence)
{
	static const int codes[] = {[FLEET_OVER_LOST] = EXIT_CODE_NO_SUPERLINK,
		[FLEET_OVER_KEY] = EXIT_CODE_KEY_INVALID};

	if (over == FLEET_OVER_TOLD) {
		log_info(supervisor->log, "%s", sentence);
	} else {
		log_error(supervisor->log, "%s (Exit Code: %d, %s)", sentence, codes[over],
			exit_code_meaning(codes[over]));
		supervisor->status = 1; /* 2 is for this machine's own options */
	}
	if (supervisor->phase >= PHASE_LEAVING)
		return;
	supervisor->answered_ms = 0;
	node_close(supervisor->node);
	node_give_up(supervisor->node, supervisor_now(), "the SuperNode has lost its SuperLink");
	supervisor->phase = PHASE_ANSWERING;
	supervisor->grace_end_ms = clock_after(clock_now_ms(), supervisor->grace_ms);
	timer_set(supervisor->end, clock_after(clock_now_ms(), WORKER_GRACE_MS));
	supervisor_pump(supervisor);
}

void supervisor_stop(struct supervisor *supervisor)
{
	unsigned messages = node_count(supervisor->node).messages;
	char said[128] = "";

	if (supervisor->phase != PHASE_WORKING) {
		log_warn(supervisor->log,
			"stopping now: no reply is sent any more, and the SuperLink is not told");
		supervisor->hurried = true;
		loop_stop(supervisor->loop);
		return;
	}
	if (messages)
		snprintf(said, sizeof said,
			": %u message%s at work, up to %g s (--grace); a second signal stops at once",
			messages, messages == 1 ? "" : "s", (double)supervisor->grace_ms / 1000);
	log_info(supervisor->log, "stopping%s", said);
	node_close(supervisor->node);
	supervisor->phase = PHASE_DRAINING;
	supervisor->grace_end_ms = clock_after(clock_now_ms(), supervisor->grace_ms);
	timer_set(supervisor->end, supervisor->grace_end_ms);
	supervisor_pump(supervisor);
}
