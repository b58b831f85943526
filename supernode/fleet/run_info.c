/*
 * run_info: what the owner asks about a run: its information, its FAB.
 */
#include "common/base/cleanup.h"
#include "common/message/fleet_codec.h"
#include "supernode/fleet/fleet_internal.h"

#include <errno.h>

#define NO_FAB 2009 /* Flower's number for a run whose FAB cannot be given, from 1.33 on */

struct question {
	uint64_t run_id;
	union {
		fleet_run_fn *run;
		fleet_fab_fn *fab;
	} done;
	void *arg;
};

static void run_answered(void *arg, struct transport_result *result)
{
	auto_(free_at_exit) struct question *question = arg;
	struct run run = {0};
	int r;

	/* Flower answers with an empty message for a run that it does not know. */
	if (result->outcome == OUTCOME_OK && result->body.bytes == 0) {
		result->outcome = OUTCOME_NOT_FOUND;
		result->details = "the SuperLink knows no such run";
	} else if (result->outcome == OUTCOME_OK) {
		r = fleet_decode_get_run(&result->body, &run);
		if (r)
			errand_unreadable(result, r);
	}
	question->done.run(question->arg, question->run_id, result->outcome,
		result->outcome == OUTCOME_OK ? &run : NULL, result->details);
}

static void fab_answered(void *arg, struct transport_result *result)
{
	auto_(free_at_exit) struct question *question = arg;
	auto_(free_at_exit) char *hash = NULL;
	auto_(value_map_done) struct value_map verifications = {0};
	struct slices content = {0};
	int r;

	if (result->outcome == OUTCOME_OK) {
		r = fleet_decode_get_fab(&result->body, &hash, &content, &verifications);
		if (r)
			errand_unreadable(result, r);
	} else if (result->code == NO_FAB) {
		result->outcome = OUTCOME_NOT_FOUND; /* whatever its status says: the run goes on */
	}
	question->done.fab(question->arg, question->run_id, result->outcome,
		result->outcome == OUTCOME_OK ? &content : NULL, &verifications, result->details);
}

int fleet_get_run(struct fleet *fleet, uint64_t run_id, fleet_run_fn *done, void *arg)
{
	auto_(free_at_exit) struct question *question = calloc(1, sizeof *question);
	auto_(slices_done) struct slices request = {0};
	int r;

	if (!question)
		return -ENOMEM;
	*question = (struct question){.run_id = run_id, .done.run = done, .arg = arg};
	r = fleet_encode_get_run(fleet->node_id, run_id, &request);
	if (!r)
		r = errand_start(fleet, ERRAND_GET_RUN, &request, run_answered, question);
	if (!r)
		take_pointer(&question);
	return r;
}

int fleet_get_fab(
	struct fleet *fleet, uint64_t run_id, const char *hash, fleet_fab_fn *done, void *arg)
{
	auto_(free_at_exit) struct question *question = calloc(1, sizeof *question);
	auto_(slices_done) struct slices request = {0};
	int r;

	if (!question)
		return -ENOMEM;
	*question = (struct question){.run_id = run_id, .done.fab = done, .arg = arg};
	r = fleet_encode_get_fab(fleet->node_id, hash, run_id, &request);
	if (!r)
		r = errand_start(fleet, ERRAND_GET_FAB, &request, fab_answered, question);
	if (!r)
		take_pointer(&question);
	return r;
}

int fleet_push(struct fleet *fleet, uint64_t number, const struct held_message *reply,
	double runtime_s, fleet_push_fn *done, void *arg)
{
	/* Not a node at the moment: the push is cancelled, in any form. */
	const struct dialect *dialect = fleet->dialect ? fleet->dialect : &dialect_a;

	return dialect->push(fleet, number, reply, runtime_s, done, arg);
}
