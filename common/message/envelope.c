/*
 * envelope: the life of envelopes' memory, and the metadata of replies.
 */
#include "common/message/envelope.h"

#include "common/base/cleanup.h"

#include <errno.h>
#include <math.h>
#include <string.h>

static int copy_text(const char *from, char **out)
{
	*out = strdup(from ? from : "");
	return *out ? 0 : -ENOMEM;
}

int metadata_copy(const struct metadata *from, struct metadata *out)
{
	auto_(metadata_done) struct metadata copy = {.run_id = from->run_id,
		.src_node_id = from->src_node_id,
		.dst_node_id = from->dst_node_id,
		.ttl = from->ttl,
		.created_at = from->created_at,
		.has_src_task = from->has_src_task,
		.has_dst_task = from->has_dst_task,
		.src_task_id = from->src_task_id,
		.dst_task_id = from->dst_task_id};

	if (copy_text(from->message_id, &copy.message_id) < 0 ||
		copy_text(from->reply_to_message_id, &copy.reply_to_message_id) < 0 ||
		copy_text(from->group_id, &copy.group_id) < 0 ||
		copy_text(from->message_type, &copy.message_type) < 0)
		return -ENOMEM;
	*out = copy;
	copy = (struct metadata){0};
	return 0;
}

void metadata_done(struct metadata *metadata)
{
	free(metadata->message_id);
	free(metadata->reply_to_message_id);
	free(metadata->group_id);
	free(metadata->message_type);
	*metadata = (struct metadata){0};
}

void envelope_done(struct envelope *envelope)
{
	metadata_done(&envelope->metadata);
	slices_done(&envelope->content);
	free(envelope->error_reason);
	*envelope = (struct envelope){0};
}

int envelope_error(const struct metadata *instruction, double now_s, int64_t code,
	const char *reason, struct envelope *out)
{
	auto_(envelope_done) struct envelope envelope = {.has_error = true, .error_code = code};

	if (copy_text(reason, &envelope.error_reason) < 0 ||
		envelope_reply_metadata(instruction, now_s, &envelope.metadata) < 0)
		return -ENOMEM;
	*out = envelope;
	envelope = (struct envelope){0};
	return 0;
}

/* now_s, or the next later number after what the instruction's clock said. */
static double reply_created_at(const struct metadata *instruction, double now_s)
{
	if (!isfinite(instruction->created_at) || now_s > instruction->created_at)
		return now_s;
	return nextafter(instruction->created_at, INFINITY);
}

/* The rest of the instruction's ttl: a SuperLink refuses a larger one. At or below 0 the reply
 * counts as expired. */
static double reply_ttl(const struct metadata *instruction, double created_at)
{
	double ttl = instruction->ttl - (created_at - instruction->created_at);

	return ttl > 0 ? ttl : 0; /* NaN too */
}

int envelope_reply_metadata(const struct metadata *instruction, double now_s, struct metadata *out)
{
	auto_(metadata_done) struct metadata reply = {.run_id = instruction->run_id,
		.src_node_id = instruction->dst_node_id,
		.dst_node_id = instruction->src_node_id,
		.created_at = reply_created_at(instruction, now_s),
		.has_src_task = instruction->has_dst_task,
		.has_dst_task = instruction->has_src_task,
		.src_task_id = instruction->dst_task_id,
		.dst_task_id = instruction->src_task_id};

	reply.ttl = reply_ttl(instruction, reply.created_at);
	if (copy_text("", &reply.message_id) < 0 ||
		copy_text(instruction->message_id, &reply.reply_to_message_id) < 0 ||
		copy_text(instruction->group_id, &reply.group_id) < 0 ||
		copy_text(instruction->message_type, &reply.message_type) < 0)
		return -ENOMEM;
	*out = reply;
	reply = (struct metadata){0};
	return 0;
}

void run_done(struct run *run)
{
	free(run->fab_id);
	free(run->fab_version);
	free(run->fab_hash);
	value_map_done(&run->override_config);
	*run = (struct run){0};
}

void context_done(struct context *context)
{
	value_map_done(&context->node_config);
	slices_done(&context->state);
	value_map_done(&context->run_config);
	*context = (struct context){0};
}

void context_outline_done(struct context_outline *outline)
{
	slices_done(&outline->state);
	*outline = (struct context_outline){0};
}

void given_context_done(struct given_context *context)
{
	slices_done(&context->bytes);
	context_outline_done(&context->outline);
	*context = (struct given_context){0};
}
