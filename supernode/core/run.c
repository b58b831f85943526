/*
 * run: what messages of one run share: its information, FAB and Context. Asked for once for all
 * that wait; a run without messages is asked for now and then, since nobody says that it is over.
 */
#include "supernode/core/node_internal.h"

#include "common/base/clock.h"
#include "common/base/sha256.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct node_run *run_find(const struct node *node, uint64_t run_id)
{
	for (struct node_run *run = node->runs; run; run = run->next) {
		if (run->run_id == run_id)
			return run;
	}
	return NULL;
}

const struct slices *node_run_bytes(const struct node *node, uint64_t run_id)
{
	const struct node_run *run = run_find(node, run_id);

	return run && run->state == RUN_READY ? &run->bytes : NULL;
}

int node_run_join(struct node *node, uint64_t run_id, struct node_run **out)
{
	struct node_run *run = run_find(node, run_id);

	if (!run) {
		run = calloc(1, sizeof *run);
		if (!run)
			return -ENOMEM;
		run->run_id = run_id;
		run->next = node->runs;
		node->runs = run;
		queue_join(node, run);
	}
	run->messages++;
	run->probe_gap_ms = NODE_RUN_PROBE_MS;
	*out = run;
	return 0;
}

void node_run_leave(struct node_run *run)
{
	run->messages--;
}

bool node_run_is_useless(const struct node_run *run)
{
	if (run->messages > 0)
		return false;
	return run->state == RUN_OVER || (run->state == RUN_UNKNOWN && !run->asking);
}

void node_run_free(struct node *node, struct node_run *run)
{
	for (struct node_run **at = &node->runs; *at; at = &(*at)->next) {
		if (*at == run) {
			*at = run->next;
			break;
		}
	}
	slices_done(&run->bytes);
	value_map_done(&run->config);
	context_leave(node, run);
	node_release(node, &run->reserved);
	held_fab_unref(node, run->fab);
	run_done(&run->info);
	if (!node->tells_ends || run->state != RUN_OVER) {
		free(run);
		return;
	}
	*run = (struct node_run){.run_id = run->run_id, .next = node->ended};
	node->ended = run;
}

/* ---- towards READY ---- */

/* Messages of the run that wait fail with this; when it is broken, those to come as well. */
static void run_fail(struct node_run *run, int64_t code, const char *why)
{
	run->fail_code = code;
	reason_set(&run->fail, "%s", why);
}

static void run_break(struct node_run *run, int64_t code, const char *why)
{
	run->state = RUN_BROKEN;
	run_fail(run, code, why);
}

void node_run_over(struct node_run *run, const char *why)
{
	run->state = RUN_OVER;
	reason_set(&run->fail, "%s", why);
}

/* The FAB, if one is needed, is here: fuse the configuration. Only what can never succeed is
 * remembered. */
static void run_prepare(struct node *node, struct node_run *run)
{
	struct reason why = {0};
	int r = context_prepare(node, run, &why);

	if (r == 0) {
		run->state = RUN_READY;
		return;
	}
	held_fab_unref(node, run->fab);
	run->fab = NULL;
	if (r == -EINVAL)
		run_break(run, ERROR_CODE_LOAD_CLIENT_APP, why.text);
	else
		run_fail(run, ERROR_CODE_CLIENT_APP_CRASHED, why.text);
}

static void run_ask(struct node_run *run)
{
	if (run->asking)
		return;
	run->asking = true;
	run->want_info = true;
}

static void run_ask_fab(struct node_run *run)
{
	if (run->fab_asking)
		return;
	run->fab_asking = true;
	run->want_fab = true;
}

void node_run_advance(struct node *node, struct node_run *run)
{
	if (run->state == RUN_UNKNOWN)
		run_ask(run);
	if (run->state != RUN_BARE)
		return;
	if (!run->fab && !node->without_fab)
		run->fab = held_fab_ref(node, run->info.fab_hash);
	if (run->fab || node->without_fab)
		run_prepare(node, run);
	else
		run_ask_fab(run);
}

/* ---- answers ---- */

static void take_info(const struct node *node, struct node_run *run, struct run *info)
{
	run->info = *info;
	*info = (struct run){0};
	run->state = RUN_BARE;
	if (node->without_fab)
		return;
	if (!run->info.fab_hash || !run->info.fab_hash[0])
		run_break(run, ERROR_CODE_INVALID_FAB, "the run names no FAB");
	else if (!sha256_is_hex(run->info.fab_hash))
		run_break(run, ERROR_CODE_INVALID_FAB, "the run's FAB hash is no SHA-256");
}

void node_run_fetched(struct node *node, struct node_now now, const struct node_fetched *fetched,
	struct run *info)
{
	struct node_run *run = run_find(node, fetched->run_id);

	if (run && run->asking) {
		run->asking = false;
		run->want_info = false;
		run->probe_ms = clock_after(now.ms, run->probe_gap_ms);
		if (fetched->fetch == NODE_RUN_OVER) {
			node_run_over(run, "its run is over");
		} else if (run->state != RUN_UNKNOWN) {
			/* A probe that failed says nothing: what is known stays known. */
		} else if (fetched->fetch == NODE_FETCH_REFUSED) {
			run_fail(run, ERROR_CODE_CLIENT_APP_CRASHED, fetched->reason);
		} else {
			take_info(node, run, info);
			context_join(node, run);
		}
	}
	if (fetched->fetch == NODE_FETCHED)
		run_done(info);
	node_reconcile(node, now);
}

/* Did the check begin for another run of this number, before its SuperLink had forgotten it? Then
 * this run's FAB is asked for again. */
static bool is_of_other_fab(const struct node_run *run, const struct checked_fab *fab)
{
	return fab && strcmp(fab->hash, run->info.fab_hash) != 0;
}

static void take_fab(struct node *node, struct node_run *run, struct checked_fab *fab)
{
	struct reason why = {0};

	if (is_of_other_fab(run, fab))
		return;
	/* Another run may have brought the same one meanwhile. */
	run->fab = held_fab_ref(node, fab->hash);
	if (!run->fab && held_fab_new(node, fab, &run->fab, &why) < 0)
		run_fail(run, ERROR_CODE_CLIENT_APP_CRASHED, why.text);
}

void node_fab_fetched(struct node *node, struct node_now now, const struct node_fetched *fetched,
	struct checked_fab *fab)
{
	struct node_run *run = run_find(node, fetched->run_id);

	if (run && run->fab_asking) {
		run->fab_asking = false;
		run->want_fab = false;
		if (fetched->fetch == NODE_RUN_OVER)
			node_run_over(run, "its run is over");
		else if (run->state == RUN_BARE && fetched->fetch == NODE_FETCHED)
			take_fab(node, run, fab);
		else if (run->state == RUN_BARE && !is_of_other_fab(run, fab))
			run_fail(run, ERROR_CODE_INVALID_FAB, fetched->reason);
	}
	if (fab)
		checked_fab_done(fab);
	node_reconcile(node, now);
}

/* ---- idle runs ---- */

void node_run_used(struct node_run *run, struct node_now now)
{
	run->probe_ms = clock_after(now.ms, run->probe_gap_ms);
}

int64_t node_run_next_ms(const struct node_run *run)
{
	return run->messages || run->asking ? CLOCK_NEVER : run->probe_ms;
}

void node_run_tick(struct node_run *run, struct node_now now)
{
	if (node_run_next_ms(run) > now.ms)
		return;
	run_ask(run);
	run->probe_gap_ms *= 2;
	if (run->probe_gap_ms > NODE_RUN_PROBE_MAX_MS)
		run->probe_gap_ms = NODE_RUN_PROBE_MAX_MS;
}
