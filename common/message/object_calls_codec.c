/*
 * object_calls_codec: the three requests differ in which fields are there.
 */
#include "common/message/object_calls_codec.h"

#include "common/base/cleanup.h"
#include "common/message/parts.h"
#include "objects.pb-c.h"

#include <errno.h>
#include <string.h>

void object_request_done(struct object_request *request)
{
	slices_done(&request->content);
	free_at_exit(&request->session_id);
	*request = (struct object_request){0};
}

/* PushObjectRequest has the fields of the two others. */
int object_request_encode(const struct object_request *request, struct slices *out)
{
	char id[OBJECT_ID_TEXT_BYTES];
	Flwr__Node node = FLWR__NODE__INIT;
	Flwr__PushObjectRequest message = FLWR__PUSH_OBJECT_REQUEST__INIT;

	node.node_id = request->node_id;
	object_id_format(&request->id, id);
	message.node = request->node_id ? &node : NULL;
	message.run_id = request->run_id;
	message.object_id = id;
	message.object_content = request->content;
	message.session_id = request->session_id;
	return wire_encode(&message, out);
}

int object_request_decode(const struct slices *bytes, struct object_request *out)
{
	auto_(wire_free) Flwr__PushObjectRequest *message = NULL;
	struct object_request request = {0};
	int r = call_decode(push_object_request, bytes, &message);

	*out = (struct object_request){0};
	if (r < 0)
		return r;
	if (!object_id_parse(message->object_id, strlen(message->object_id), &request.id))
		return -EBADMSG;
	r = wire_take_string(&message->session_id, OBJECT_SESSION_ID_MAX, &request.session_id);
	if (r < 0)
		return r;
	request.node_id = message->node ? message->node->node_id : 0;
	request.run_id = message->run_id;
	request.content = slices_take(&message->object_content);
	*out = request;
	return 0;
}

void object_pulled_done(struct object_pulled *pulled)
{
	slices_done(&pulled->content);
	*pulled = (struct object_pulled){0};
}

int object_pulled_encode(const struct object_pulled *pulled, struct slices *out)
{
	Flwr__PullObjectResponse message = FLWR__PULL_OBJECT_RESPONSE__INIT;

	message.object_found = pulled->found;
	message.object_available = pulled->available;
	message.object_content = pulled->content;
	return wire_encode(&message, out);
}

int object_pulled_decode(const struct slices *bytes, struct object_pulled *out)
{
	auto_(wire_free) Flwr__PullObjectResponse *message = NULL;
	int r = call_decode(pull_object_response, bytes, &message);

	*out = (struct object_pulled){0};
	if (r < 0)
		return r;
	out->found = message->object_found;
	out->available = message->object_available;
	out->content = slices_take(&message->object_content);
	return 0;
}

int object_stored_encode(bool stored, struct slices *out)
{
	Flwr__PushObjectResponse message = FLWR__PUSH_OBJECT_RESPONSE__INIT;

	message.stored = stored;
	return wire_encode(&message, out);
}

int object_stored_decode(const struct slices *bytes, bool *stored_out)
{
	auto_(wire_free) Flwr__PushObjectResponse *message = NULL;
	int r = call_decode(push_object_response, bytes, &message);

	if (r == 0)
		*stored_out = message->stored;
	return r;
}
