/*
 * bidi_codec: kinds have the numbers of the messages' fields, reasons those of the enum.
 */
#include "common/message/bidi_codec.h"

#include "bidi.pb-c.h"
#include "common/base/cleanup.h"
#include "common/wire/message.h"

#include <errno.h>

_Static_assert(
	(int)BIDI_RECONNECT == (int)FLWR__SERVER_MESSAGE__MSG_RECONNECT_INS &&
		(int)BIDI_GET_PROPERTIES == (int)FLWR__SERVER_MESSAGE__MSG_GET_PROPERTIES_INS &&
		(int)BIDI_GET_PARAMETERS == (int)FLWR__SERVER_MESSAGE__MSG_GET_PARAMETERS_INS &&
		(int)BIDI_TRAIN == (int)FLWR__SERVER_MESSAGE__MSG_FIT_INS &&
		(int)BIDI_EVALUATE == (int)FLWR__SERVER_MESSAGE__MSG_EVALUATE_INS,
	"kinds are numbered as the fields");
_Static_assert((int)BIDI_REASON_ACK == (int)FLWR__REASON__ACK, "reasons are numbered as there");

const char *bidi_message_type(enum bidi_kind kind)
{
	static const char *const types[BIDI_N] = {
		[BIDI_NONE] = "",
		[BIDI_RECONNECT] = "reconnect",
		[BIDI_GET_PROPERTIES] = "get_properties",
		[BIDI_GET_PARAMETERS] = "get_parameters",
		[BIDI_TRAIN] = "train",
		[BIDI_EVALUATE] = "evaluate",
	};

	return types[kind];
}

int bidi_look(const struct slices *bytes, enum bidi_kind *kind_out, int64_t *seconds_out)
{
	auto_(wire_free) Flwr__ServerMessage *message = NULL;
	int r = wire_decode(&flwr__server_message__descriptor, bytes, BIDI_MEMORY_MAX, &message);

	if (r < 0)
		return r;
	if (message->msg_case == FLWR__SERVER_MESSAGE__MSG__NOT_SET)
		return -EBADMSG;
	*kind_out = (enum bidi_kind)message->msg_case;
	if (*kind_out == BIDI_RECONNECT)
		*seconds_out = message->reconnect_ins->seconds;
	return 0;
}

int bidi_encode_disconnect(enum bidi_reason reason, struct slices *out)
{
	Flwr__ClientMessage message = FLWR__CLIENT_MESSAGE__INIT;
	Flwr__ClientMessage__DisconnectRes res = FLWR__CLIENT_MESSAGE__DISCONNECT_RES__INIT;

	res.reason = (Flwr__Reason)reason;
	message.msg_case = FLWR__CLIENT_MESSAGE__MSG_DISCONNECT_RES;
	message.disconnect_res = &res;
	return wire_encode(&message, out);
}
