/*
 * context: what a run's messages leave for each other. Made once, with the run's fused
 * configuration; from then on it is the bytes that the last worker handed back.
 */
#include "supernode/core/node_internal.h"

#include "common/base/cleanup.h"
#include "common/config/config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define COMPACT_MAX_BYTES 65536

#define NO_MEMORY "the SuperNode has no memory for the run's Context"

/* The run as workers get it: what it is called is the FAB's word, not the SuperLink's. */
static int encode_run(struct node_run *run, struct slices *out)
{
	auto_(free_at_exit) char *fab_id = NULL;
	auto_(free_at_exit) char *fab_version = NULL;

	if (!run->fab)
		return run_encode(&run->info, out);
	fab_id = strdup(run->fab->manifest.fab_id);
	fab_version = strdup(run->fab->manifest.version);
	if (!fab_id || !fab_version)
		return -ENOMEM;
	free(run->info.fab_id);
	free(run->info.fab_version);
	run->info.fab_id = take_pointer(&fab_id);
	run->info.fab_version = take_pointer(&fab_version);
	return run_encode(&run->info, out);
}

/* ---- contexts at hand ---- */

static struct held_context *held_find(const struct node *node, bool of_series, uint64_t id)
{
	struct held_context *held = node->contexts;

	while (held && (held->of_series != of_series || held->id != id))
		held = held->next;
	return held;
}

static void held_remove(struct node *node, const struct held_context *held)
{
	struct held_context **at = &node->contexts;

	while (*at != held)
		at = &(*at)->next;
	*at = held->next;
}

static void held_insert(struct node *node, struct held_context *held)
{
	held->next = node->contexts;
	node->contexts = held;
}

static void held_free(struct node *node, struct held_context *held)
{
	held_remove(node, held);
	slices_done(&held->bytes);
	node_release(node, &held->reserved);
	free(held);
}

/* Keep at most max Contexts that no run points to: the list has those first that were left last. */
static void held_limit(struct node *node, unsigned max)
{
	struct held_context *next;
	unsigned unused = 0;

	for (struct held_context *held = node->contexts; held; held = next) {
		next = held->next;
		if (held->runs == 0 && ++unused > max)
			held_free(node, held);
	}
}

void contexts_drop_unused(struct node *node)
{
	held_limit(node, 0);
}

static bool contexts_give_way(struct node *node, uint64_t bytes)
{
	const struct budget *budget = node->budget;
	uint64_t unused_bytes = 0;
	unsigned unused = 0;

	for (const struct held_context *held = node->contexts; held; held = held->next) {
		unused_bytes += held->runs ? 0 : held->reserved;
		unused += held->runs == 0;
	}
	if (bytes > budget->limit_bytes ||
		budget->used_bytes - unused_bytes > budget->limit_bytes - bytes)
		return false;
	while (unused > 0 && budget->used_bytes > budget->limit_bytes - bytes)
		held_limit(node, --unused);
	return true;
}

int node_reserve(struct node *node, uint64_t bytes, const char *what, struct reason *why)
{
	const struct budget *budget = node->budget;
	int r = budget_reserve(node->budget, bytes);

	if (r < 0 && contexts_give_way(node, bytes))
		r = budget_reserve(node->budget, bytes);
	if (r == 0)
		return 0;
	return reason_code(why, r,
		"%s of %" PRIu64 " bytes do not fit into the SuperNode's memory budget of %" PRIu64
		" bytes (%" PRIu64 " in use)",
		what, bytes, budget->limit_bytes, budget->used_bytes);
}

void node_release(struct node *node, uint64_t *reserved)
{
	budget_release(node->budget, *reserved);
	*reserved = 0;
}

void context_leave(struct node *node, struct node_run *run)
{
	struct held_context *held = run->context;

	run->context = NULL;
	if (!held || --held->runs > 0)
		return;
	if (!held->of_series) {
		held_free(node, held);
		return;
	}
	held_remove(node, held);
	held_insert(node, held);
	held_limit(node, NODE_SERIES_MAX);
}

/* ---- what a worker is given ---- */

/* A Context of this run with this state; borrows all it has. */
static int encode_context(const struct node *node, const struct node_run *run,
	const struct value_map *config, const struct slices *state, struct slices *out)
{
	struct context context = {.run_id = run->run_id,
		.node_id = node->node_id,
		.series_id = run->info.series_id,
		.node_config = node->node_config,
		.run_config = *config,
		.state = *state};

	return context_encode(&context, out);
}

int context_get(const struct node *node, const struct node_run *run, struct slices *out)
{
	auto_(context_outline_done) struct context_outline outline = {0};
	const struct held_context *held = run->context;
	int r;

	if (held->run_id == run->run_id)
		return slices_append_refs(out, &held->bytes);
	r = context_outline(&held->bytes, &outline);
	return r ? r : encode_context(node, run, &run->config, &outline.state, out);
}

static bool is_of_series(const struct node_run *run)
{
	return run->info.series_id != 0;
}

static uint64_t held_id(const struct node_run *run)
{
	return is_of_series(run) ? run->info.series_id : run->run_id;
}

void context_join(const struct node *node, struct node_run *run)
{
	if (run->context)
		return;
	run->context = held_find(node, is_of_series(run), held_id(run));
	if (run->context)
		run->context->runs++;
}

/* Have it point to a new one; bytes are taken over with 0, and were reserved. Or -ENOMEM. */
static int held_new(struct node *node, struct node_run *run, struct slices *bytes)
{
	struct held_context *held = calloc(1, sizeof *held);

	if (!held)
		return -ENOMEM;
	*held = (struct held_context){.of_series = is_of_series(run),
		.id = held_id(run),
		.run_id = run->run_id,
		.runs = 1,
		.bytes = *bytes,
		.reserved = bytes->bytes};
	*bytes = (struct slices){0};
	held_insert(node, held);
	run->context = held;
	return 0;
}

/* The run's information into *bytes, and a first Context if it has none; both are reserved with 0.
 */
static int prepare(struct node *node, struct node_run *run, const struct value_map *config,
	struct slices *bytes, struct reason *why)
{
	auto_(slices_done) struct slices first = {0};
	uint64_t reserved;
	int r = encode_run(run, bytes);

	if (r == 0 && !run->context)
		r = encode_context(node, run, config, &(struct slices){0}, &first);
	if (r < 0)
		return reason_code(why, r, NO_MEMORY);
	reserved = bytes->bytes + first.bytes;
	r = node_reserve(node, reserved, "the run's configuration", why);
	if (r < 0 || run->context)
		return r;
	r = held_new(node, run, &first);
	if (r < 0) {
		node_release(node, &reserved);
		return reason_code(why, r, NO_MEMORY);
	}
	return 0;
}

int context_prepare(struct node *node, struct node_run *run, struct reason *why)
{
	auto_(value_map_done) struct value_map config = {0};
	auto_(slices_done) struct slices bytes = {0};
	const struct value_map *overrides = &run->info.override_config;
	struct reason cause = {0};
	int r = config_fuse(
		run->fab ? &run->fab->manifest.config : overrides, overrides, &config, &cause);

	if (r == -EINVAL)
		return reason_code(
			why, r, "the run configuration cannot be fused: %.400s", cause.text);
	if (r < 0)
		return reason_code(why, r, NO_MEMORY);
	/* Another run of the series may have been faster. */
	context_join(node, run);
	r = prepare(node, run, &config, &bytes, why);
	if (r < 0)
		return r;
	run->reserved = bytes.bytes;
	run->bytes = bytes;
	run->config = config;
	bytes = (struct slices){0};
	config = (struct value_map){0};
	return 0;
}

/* ---- what a worker gives back ---- */

int context_check(
	const struct node *node, const struct message *message, struct given_context *context)
{
	const struct context_outline *outline = &context->outline;
	int r = given_context_look(context);

	if (r < 0)
		return r;
	return outline->run_id == message->instruction.envelope.metadata.run_id &&
			       outline->node_id == node->node_id
		       ? 0
		       : -EBADMSG;
}

/*
 * A small Context is copied: as a reference it would keep the whole piece of the network's buffer,
 * with the reply in it, long after that was sent. Without memory for it the reference is good
 * enough.
 */
static void context_compact(struct slices *context)
{
	auto_(slices_done) struct slices copy = {0};

	if (context->bytes > COMPACT_MAX_BYTES)
		return;
	for (size_t i = 0; i < context->n; i++) {
		if (slices_append_copy(&copy, context->v[i].data, context->v[i].len) < 0)
			return;
	}
	slices_done(context);
	*context = copy;
	copy = (struct slices){0};
}

void context_replace(
	struct node *node, struct node_run *run, struct slices *context, uint64_t reserved)
{
	struct held_context *held = run->context;

	slices_done(&held->bytes);
	node_release(node, &held->reserved);
	held->run_id = run->run_id;
	held->bytes = *context;
	held->reserved = reserved;
	*context = (struct slices){0};
	context_compact(&held->bytes);
}
