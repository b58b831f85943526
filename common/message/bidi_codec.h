/*
 * bidi_codec: the messages of the legacy stream (grpc-bidi, proto/bidi.proto), as far as they are
 * about the stream itself. What is in the others: records/bidi_records.h. One thread each.
 */
#ifndef FLWR_MESSAGE_BIDI_CODEC_H
#define FLWR_MESSAGE_BIDI_CODEC_H

#include "common/base/slice.h"

#include <stdint.h>

/* The kind of a ServerMessage, and of the ClientMessage that answers it. */
enum bidi_kind {
	BIDI_NONE,
	BIDI_RECONNECT,
	BIDI_GET_PROPERTIES,
	BIDI_GET_PARAMETERS,
	BIDI_TRAIN,
	BIDI_EVALUATE,
	BIDI_N
};

/* Why a client leaves. */
enum bidi_reason {
	BIDI_REASON_UNKNOWN,
	BIDI_REASON_RECONNECT, /* it comes back after the seconds that it was told */
	BIDI_REASON_POWER_DISCONNECTED,
	BIDI_REASON_WIFI_UNAVAILABLE,
	BIDI_REASON_ACK, /* it was told no seconds */
	BIDI_REASON_N
};

/* Bytes of structs and strings that one message may need beside its tensors. */
#define BIDI_MEMORY_MAX (64 << 20)

/* The type of a kind as messages have it: "train"; "" of BIDI_NONE. */
const char *bidi_message_type(enum bidi_kind kind);

/* Tell the kind of this ServerMessage; seconds_out is set for BIDI_RECONNECT. 0; -EBADMSG
 * (broken, or nothing that is known); -EMSGSIZE (too many values); -ENOMEM. */
int bidi_look(const struct slices *bytes, enum bidi_kind *kind_out, int64_t *seconds_out);

/* Append the ClientMessage that says why this client leaves. 0 or -ENOMEM. */
int bidi_encode_disconnect(enum bidi_reason reason, struct slices *out);

#endif
