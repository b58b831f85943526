/*
 * contents_objects: contents of Flower 1.20 and later: a message is pulled without its content,
 * whose objects follow (objects_in.c); a reply goes out the same way (objects_out.c).
 */
#include "supernode/fleet/contents_objects.h"

#include "common/base/cleanup.h"

#include <errno.h>

/* A set for the objects of a message, none of which is here. Negative: the message is of no use,
 * with a sentence for its sender. */
static int make_set(struct fleet *fleet, struct pulled_tree *tree, struct object_set **out)
{
	int r = tree->result;

	if (r == 0)
		r = object_set_new(fleet->options.spool, &tree->tree, out);
	if (r == 0 && fleet->options.own_workers)
		object_set_skip_large_hashes(*out);
	return r;
}

static void objects_take(
	struct fleet *fleet, struct held_message *message, struct pulled_tree *tree)
{
	struct object_set *set = NULL;
	uint64_t run_id = message->envelope.metadata.run_id;
	uint64_t number;
	int r = make_set(fleet, tree, &set);

	if (r && !tree->why.text[0])
		reason_set(&tree->why, "the SuperNode has no memory for the message's objects");
	message->objects = set ? object_set_ref(set) : NULL;
	number = fleet_hand_over(fleet, message, r ? tree->why.text : NULL);
	if (!r && number && download_start(fleet, number, run_id, set))
		fleet_content(fleet, number, OUTCOME_RESOURCE_EXHAUSTED,
			"the SuperNode has no memory to ask for the message's objects");
	object_set_unref(set);
}

const struct dialect dialect_b = {
	.releases = "Flower-1.20-to-1.22",
	.heartbeat = &heartbeat_send,
	.poll = &poll_objects,
	.proof_ms = AUTH_REUSE_MS,
	.object_bytes = 20 << 20,
	.take = objects_take,
	.push = objects_push,
};

const struct dialect dialect_c = {
	.releases = "Flower-1.23-to-1.39",
	.heartbeat = &heartbeat_send,
	.poll = &poll_objects,
	.activates = true,
	.proof_ms = AUTH_REUSE_MS,
	.object_bytes = 5 << 20,
	.take = objects_take,
	.push = objects_push,
};
