/*
 * held_message: a message, or a reply, as the node holds it: its envelope, and where the objects of
 * its content are. Main thread.
 */
#ifndef FLWR_CORE_HELD_MESSAGE_H
#define FLWR_CORE_HELD_MESSAGE_H

#include "common/message/envelope.h"
#include "supernode/core/object_set.h"

/* Zero-initialised is empty. */
struct held_message {
	struct envelope envelope;
	struct object_set *objects; /* 1.20 and later: the content's objects, the Message object
				       among them; a reference; NULL: the content is inline, or
				       there is none */
	bool over_budget;           /* its content was not taken, for there is no room for it */
};

void held_message_done(struct held_message *message);

/* Drop the content, inline or objects; what is around it stays. */
void held_message_drop_content(struct held_message *message);

/* The message itself; *message is empty afterwards. */
struct held_message held_message_take(struct held_message *message);

/* The memory that its content takes. Objects are the spool's: of them the tree is counted. */
uint64_t held_message_bytes(const struct held_message *message);

#endif
