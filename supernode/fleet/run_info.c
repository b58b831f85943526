/*
 * run_info: what the owner asks about a run: its information, its FAB.
 */
#include "common/app/checked_fab.h"
#include "common/base/cleanup.h"
#include "common/message/fleet_codec.h"
#include "supernode/fleet/fleet_internal.h"

#include <errno.h>

#define NO_FAB 2009 /* Flower's number for a run whose FAB cannot be given, from 1.33 on */

struct question {
	struct call call;
	uint64_t run_id;
	union {
		fleet_run_fn *run;
		fleet_fab_fn *fab;
	} done;
	void *arg;
};

static void question_free(struct question **question)
{
	if (!*question)
		return;
	call_done(&(*question)->call);
	free(*question);
}

static void run_answered(struct call *call, struct transport_result *result)
{
	auto_(question_free) struct question *question = container_of(call, struct question, call);
	struct run run = {0};
	int r;

	/* Flower answers with an empty message for a run that it does not know. */
	if (result->outcome == OUTCOME_OK && result->body.bytes == 0) {
		result->outcome = OUTCOME_NOT_FOUND;
		result->details = "the SuperLink knows no such run";
	} else if (result->outcome == OUTCOME_OK) {
		r = fleet_decode_get_run(&result->body, &run);
		if (r)
			call_unreadable(result, r);
	}
	question->done.run(question->arg, question->run_id, result->outcome,
		result->outcome == OUTCOME_OK ? &run : NULL, result->details);
}

static void fab_answered(struct call *call, struct transport_result *result)
{
	auto_(question_free) struct question *question = container_of(call, struct question, call);
	auto_(free_at_exit) char *hash = NULL;
	struct fleet_fab fab = {0};
	int r;

	if (result->outcome == OUTCOME_OK) {
		r = fleet_decode_get_fab(&result->body, &hash, &fab.content, &fab.verifications);
		if (r)
			call_unreadable(result, r);
	} else if (result->code == NO_FAB) {
		result->outcome = OUTCOME_NOT_FOUND; /* whatever its status says: the run goes on */
	}
	fab.outcome = result->outcome;
	fab.details = result->details;
	question->done.fab(question->arg, question->run_id, &fab);
	slices_done(&fab.content);
	value_map_done(&fab.verifications);
}

static const struct call_kind get_run = {
	.method = "GetRun",
	.timeout_ms = CALL_TIMEOUT_MS,
	.answer_max_bytes = 4 << 20, /* a run, with its configuration */
	.odd_tries = CALL_ODD_TRIES,
	.done = run_answered,
};

static const struct call_kind get_fab = {
	.method = "GetFab",
	.what = "a FAB",
	.answer_max_bytes = (uint64_t)FAB_RECEIVED_MAX_BYTES + (1 << 20),
	.odd_tries = CALL_ODD_TRIES,
	.done = fab_answered,
};

/* NULL: no memory. */
static struct question *question_new(struct fleet *fleet, uint64_t run_id, void *arg)
{
	auto_(question_free) struct question *question = calloc(1, sizeof *question);

	if (!question || call_init(&question->call, fleet->link))
		return NULL;
	question->run_id = run_id;
	question->arg = arg;
	return take_pointer(&question);
}

int fleet_get_run(struct fleet *fleet, uint64_t run_id, fleet_run_fn *done, void *arg)
{
	auto_(question_free) struct question *question = question_new(fleet, run_id, arg);
	auto_(slices_done) struct slices request = {0};
	int r = question ? fleet_encode_get_run(fleet->node.node_id, run_id, &request) : -ENOMEM;

	if (r)
		return r;
	question->done.run = done;
	call_start(&question->call, &get_run, &request);
	take_pointer(&question);
	return 0;
}

int fleet_get_fab(
	struct fleet *fleet, uint64_t run_id, const char *hash, fleet_fab_fn *done, void *arg)
{
	auto_(question_free) struct question *question = question_new(fleet, run_id, arg);
	auto_(slices_done) struct slices request = {0};
	int r = question ? fleet_encode_get_fab(fleet->node.node_id, hash, run_id, &request)
			 : -ENOMEM;

	if (r)
		return r;
	question->done.fab = done;
	call_start(&question->call, &get_fab, &request);
	take_pointer(&question);
	return 0;
}
