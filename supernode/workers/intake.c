#include "supernode/workers/intake.h"

#include "supernode/workers/refuse.h"

#include <string.h>

/* true: it had not begun. */
static bool unqueue(struct intake *intake, const struct request *request)
{
	for (size_t i = 0; i < intake->n_queue; i++) {
		if (intake->queue[i] != request)
			continue;
		intake->n_queue--;
		memmove(intake->queue + i, intake->queue + i + 1,
			(intake->n_queue - i) * sizeof intake->queue[0]);
		return true;
	}
	return false;
}

static void admit_next(struct intake *intake)
{
	while (intake->n < intake->max && intake->n_queue > 0) {
		struct request *request = intake->queue[0];

		unqueue(intake, request);
		intake->n++;
		request_admit(request);
	}
}

static void cancelled(void *arg, struct request *request)
{
	struct intake *intake = arg;
	bool queued = unqueue(intake, request);

	request_on_cancel(request, NULL, NULL);
	guests_busy(intake->guests, request->peer, -1);
	refuse_gone(request);
	if (!queued)
		intake_release(intake);
}

void intake_admit(struct intake *intake, struct request *request)
{
	if (intake->n_queue == INTAKE_QUEUE_MAX) {
		refuse(intake->guests, request, OUTCOME_RESOURCE_EXHAUSTED,
			"too many contents are waiting to be received");
		return;
	}
	request_on_cancel(request, cancelled, intake);
	guests_busy(intake->guests, request->peer, 1);
	intake->queue[intake->n_queue++] = request;
	admit_next(intake);
}

void intake_received(struct intake *intake, struct request *request)
{
	request_on_cancel(request, NULL, NULL);
	guests_busy(intake->guests, request->peer, -1);
}

void intake_release(struct intake *intake)
{
	intake->n--;
	admit_next(intake);
}
