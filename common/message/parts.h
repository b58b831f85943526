/*
 * parts: messages that are handed on unread ("repeated bytes" in proto/: a message may come in
 * several pieces, which belong together), and lists of objects' ids. One thread each.
 */
#ifndef FLWR_MESSAGE_PARTS_H
#define FLWR_MESSAGE_PARTS_H

#include "common/base/slice.h"
#include "common/objects/object.h"
#include "common/wire/message.h"

/* Bytes of structs and texts that a call may need beside its parts. */
#define CALL_MEMORY_MAX (1 << 20)

/* Read a call's message by its name in the generated code: call_decode(ping_response, bytes, &r).
 */
#define call_decode(name, bytes, out)                                                              \
	wire_decode(&flwr__##name##__descriptor, bytes, CALL_MEMORY_MAX, out)

/* Make this list the one piece of a generated message's field; it stays the caller's. */
#define part_set(message, field, list)                                                             \
	((message)->n_##field = 1, (message)->field = (struct slices *)(list))

/* Move the pieces of a part to the end of *out, small ones put together. 0 or -ENOMEM. */
int part_take(struct slices *pieces, size_t n, struct slices *out);

/* Bytes of structs and texts of a list of objects' ids: as many as a tree may have, of 65 bytes. */
#define WANTED_MEMORY_MAX (32 << 20)

/*
 * The objects that a peer wants to have, by their ids' texts. 0; -EBADMSG for one that is none;
 * -EMSGSIZE for more than a tree may have; -ENOMEM. *out is the caller's, NULL for none.
 */
int wanted_take(char *const *texts, size_t n, struct object_id **out, size_t *n_out);

#endif
