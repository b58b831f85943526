/*
 * wire_types: every message of proto/.
 */
#ifndef FLWR_KIT_WIRE_TYPES_H
#define FLWR_KIT_WIRE_TYPES_H

#include "common/wire/message.h"

/* Ends in NULL. */
extern const ProtobufCMessageDescriptor *const wire_types[];

/* Find a type by its full name ("flwr.Metadata"); NULL: there is none. */
const ProtobufCMessageDescriptor *wire_type_find(const char *name);

#endif
