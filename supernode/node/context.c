/*
 * context: what a run's messages leave for each other. Made once, with the run's fused
 * configuration; from then on it is the bytes that the last worker handed back.
 */
#include "supernode/node/node_internal.h"

#include "common/base/cleanup.h"
#include "common/base/config.h"
#include "common/records/maps_codec.h"

#include <errno.h>
#include <string.h>

#define COMPACT_MAX_BYTES 65536

/* The run as workers get it: what it is called is the FAB's word, not the SuperLink's. */
static int encode_run(struct node_run *run, struct slices *out)
{
	auto_(free_at_exit) char *fab_id = strdup(run->fab->manifest.fab_id);
	auto_(free_at_exit) char *fab_version = strdup(run->fab->manifest.version);

	if (!fab_id || !fab_version)
		return -ENOMEM;
	free(run->info.fab_id);
	free(run->info.fab_version);
	run->info.fab_id = take_pointer(&fab_id);
	run->info.fab_version = take_pointer(&fab_version);
	return run_encode(&run->info, out);
}

static int encode_context(
	struct node *node, const struct node_run *run, struct value_map *config, struct slices *out)
{
	/* Borrows all it has. */
	struct context context = {.run_id = run->run_id,
		.node_id = node->node_id,
		.node_config = node->node_config,
		.run_config = *config};

	return context_encode(&context, out);
}

int context_prepare(struct node *node, struct node_run *run, struct reason *why)
{
	auto_(value_map_done) struct value_map config = {0};
	auto_(slices_done) struct slices bytes = {0};
	auto_(slices_done) struct slices context = {0};
	struct reason cause = {0};
	int r = config_fuse(
		&run->fab->manifest.config, &run->info.override_config, &config, &cause);

	if (r == -EINVAL)
		return reason_code(
			why, r, "the run configuration cannot be fused: %.400s", cause.text);
	if (r == 0)
		r = encode_run(run, &bytes);
	if (r == 0)
		r = encode_context(node, run, &config, &context);
	if (r < 0)
		return reason_code(why, r, "the SuperNode has no memory for the run's Context");
	r = node_reserve(node, bytes.bytes + context.bytes, "the run's configuration", why);
	if (r < 0)
		return r;
	run->reserved = bytes.bytes + context.bytes;
	run->bytes = bytes;
	run->context = context;
	bytes = (struct slices){0};
	context = (struct slices){0};
	return 0;
}

int context_check(
	const struct node *node, const struct message *message, const struct slices *context)
{
	auto_(record_dict_done) struct record_dict state = {0};
	auto_(context_done) struct context decoded = {0};
	uint64_t run_id, node_id;
	int r = context_decode_ids(context, &run_id, &node_id);

	if (r == 0 && (run_id != message->instruction.metadata.run_id || node_id != node->node_id))
		r = -EBADMSG;
	/* It is kept, and given to all later messages of the run: one that cannot be read would
	 * spoil them all. Array bytes are not looked at. */
	if (r == 0)
		r = context_decode(context, &decoded);
	if (r == 0)
		r = maps_decode(&decoded.state, &state, NULL);
	return r == 0 || r == -ENOMEM ? r : -EBADMSG;
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
	context_drop(node, run);
	run->context = *context;
	run->reserved += reserved;
	*context = (struct slices){0};
	context_compact(&run->context);
}

void context_drop(struct node *node, struct node_run *run)
{
	uint64_t bytes = run->context.bytes;

	slices_done(&run->context);
	run->reserved -= bytes;
	node_release(node, &bytes);
}
