/*
 * generated: the view of what protobuf-c generates from proto/. The compiler includes this header
 * first (see proto/CMakeLists.txt): a field of type bytes is a list of slices, and protobuf-c's own
 * reader and writer, which know nothing of that, cannot be called.
 */
#ifndef FLWR_WIRE_GENERATED_H
#define FLWR_WIRE_GENERATED_H

#include "common/base/slice.h"

#include <protobuf-c/protobuf-c.h>

/* The initialiser of such a field is {0, NULL}: an empty list. */
_Static_assert(offsetof(struct slices, bytes) == offsetof(ProtobufCBinaryData, len) &&
		       offsetof(struct slices, v) == offsetof(ProtobufCBinaryData, data),
	"a list of slices begins as ProtobufCBinaryData does");

#define ProtobufCBinaryData struct slices

#pragma GCC poison protobuf_c_message_unpack protobuf_c_message_free_unpacked
#pragma GCC poison protobuf_c_message_pack protobuf_c_message_pack_to_buffer
#pragma GCC poison protobuf_c_message_get_packed_size protobuf_c_message_check

#endif
