#include "supernode/core/held_message.h"

void held_message_done(struct held_message *message)
{
	envelope_done(&message->envelope);
	object_set_unref(message->objects);
	message->objects = NULL;
}

void held_message_drop_content(struct held_message *message)
{
	slices_done(&message->envelope.content);
	object_set_unref(message->objects);
	message->objects = NULL;
}

struct held_message held_message_take(struct held_message *message)
{
	struct held_message taken = *message;

	*message = (struct held_message){0};
	return taken;
}

uint64_t held_message_bytes(const struct held_message *message)
{
	const struct object_tree *tree;

	if (!message->objects)
		return message->envelope.content.bytes;
	tree = object_set_tree(message->objects);
	return message->envelope.content.bytes + tree->bytes.bytes + tree->n * sizeof *tree->v;
}
