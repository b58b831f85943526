#include "supernode/supervisor/slots.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/launch/end.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

struct slot {
	struct slot *next;
	struct slots *slots;
	uint64_t message;
	struct worker_process *worker;
	bool ready;
};

struct slots {
	struct log *log;
	struct agent *agent;
	bool stderr_in_replies;
	const struct slots_ops *ops;
	void *arg;
	struct slot *first;
};

struct slots *slots_new(struct log *log, struct agent *agent, bool stderr_in_replies,
	const struct slots_ops *ops, void *arg)
{
	struct slots *slots = calloc(1, sizeof *slots);

	if (slots)
		*slots = (struct slots){log, agent, stderr_in_replies, ops, arg, NULL};
	return slots;
}

void slots_free(struct slots *slots)
{
	if (!slots)
		return;
	while (slots->first) {
		struct slot *slot = slots->first;

		slots->first = slot->next;
		free(slot);
	}
	free(slots);
}

static struct slot *slot_of(const struct slots *slots, uint64_t message)
{
	struct slot *slot = slots->first;

	while (slot && slot->message != message)
		slot = slot->next;
	return slot;
}

static void worker_ended(void *arg, struct worker_process *worker, const struct process_end *end)
{
	struct slot *slot = arg;
	struct process_end told = *end;
	struct text reason = {0};
	char text[128];
	int code;

	told.never_ready = !slot->ready;
	end_describe(end, text, sizeof text);
	log_debug(slot->slots->log, "worker ended: message=%" PRIu64 " pid=%d: %s", slot->message,
		(int)worker_process_pid(worker), text);
	code = end_error(END_WORKER, &told, slot->slots->stderr_in_replies, &reason);
	slot->slots->ops->ended(slot->slots->arg, slot->message, code,
		reason.data ? reason.data : "the worker ended");
	text_done(&reason);
}

static void worker_gone(void *arg, struct worker_process *worker)
{
	struct slot *slot = arg;
	struct slots *slots = slot->slots;
	struct slot **at = &slots->first;
	uint64_t message = slot->message;

	(void)worker;
	while (*at != slot)
		at = &(*at)->next;
	*at = slot->next;
	free(slot);
	slots->ops->gone(slots->arg, message);
}

static const struct worker_process_ops worker_events = {.ended = worker_ended, .gone = worker_gone};

int slots_start(struct slots *slots, uint64_t message, const struct control_start *start,
	struct reason *why)
{
	struct slot *slot = calloc(1, sizeof *slot);
	char name[32];
	int r;

	if (!slot)
		return reason_code(why, -ENOMEM, "no memory");
	slot->slots = slots;
	slot->message = message;
	snprintf(name, sizeof name, "%" PRIu64, message);
	r = agent_start_worker(slots->agent, name, start, &worker_events, slot, &slot->worker, why);
	if (r) {
		free(slot);
		return r;
	}
	slot->next = slots->first;
	slots->first = slot;
	log_info(slots->log, "worker started: message=%" PRIu64 " pid=%d", message,
		(int)worker_process_pid(slot->worker));
	return 0;
}

void slots_ready(struct slots *slots, uint64_t message)
{
	struct slot *slot = slot_of(slots, message);

	if (slot)
		slot->ready = true;
}

void slots_stop(struct slots *slots, uint64_t message, int64_t grace_ms)
{
	struct slot *slot = slot_of(slots, message);

	if (slot)
		worker_process_stop(slot->worker, grace_ms);
}

void slots_stop_all(struct slots *slots, int64_t grace_ms)
{
	for (struct slot *slot = slots->first; slot; slot = slot->next)
		worker_process_stop(slot->worker, grace_ms);
}
