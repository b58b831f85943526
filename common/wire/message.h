/*
 * message: reads and writes the messages of proto/ over lists of slices, driven by the descriptors
 * that protobuf-c generates. Fields of type bytes stay references to what came. Unknown fields, and
 * known ones of another wire type, are skipped; sub-messages that come in pieces are merged; the
 * last of several other values counts. Any protobuf decoder does so. One thread each.
 */
#ifndef FLWR_WIRE_MESSAGE_H
#define FLWR_WIRE_MESSAGE_H

#include "common/wire/generated.h"
#include "common/wire/wire.h"

#define WIRE_DEPTH_MAX    24      /* of messages in messages */
#define WIRE_ELEMENTS_MAX 1000000 /* of all repeated fields of a message, packed numbers aside */

/*
 * Read a message of this type to a new struct: *out is a pointer to its type, freed by wire_free().
 * memory_max bounds the memory of structs, strings and lists that are made (not the bytes that
 * bytes fields refer to). 0; -EBADMSG (broken, or a string that is no UTF-8 or has a NUL);
 * -EMSGSIZE (one of the limits); -ENOMEM. *out is NULL then.
 */
int wire_decode(const ProtobufCMessageDescriptor *type, const struct slices *bytes,
	size_t memory_max, void *out);

/* Free a message of wire_decode(): message is the address of the pointer. For auto_(). */
void wire_free(void *message);

/* Append message's bytes to *out; bytes fields by reference. 0 or -ENOMEM. */
int wire_encode(const void *message, struct slices *out);

/* Take over a string of a message that was decoded; *out is "" when it was absent. 0; -EMSGSIZE
 * when it is longer than max; -ENOMEM. */
int wire_take_string(char **field, size_t max, char **out);

#endif
