/*
 * object_calls_codec: the three requests differ in which fields are there.
 */
#include "common/message/object_calls_codec.h"

#include "common/base/cleanup.h"
#include "common/wire/wire.h"

#include <errno.h>
#include <string.h>

enum { REQUEST_NODE = 1, REQUEST_RUN_ID, REQUEST_OBJECT_ID, REQUEST_CONTENT, REQUEST_SESSION_ID };
enum { PULLED_FOUND = 1, PULLED_AVAILABLE, PULLED_CONTENT };

void object_request_done(struct object_request *request)
{
	slices_done(&request->content);
	free_at_exit(&request->session_id);
	*request = (struct object_request){0};
}

int object_request_encode(const struct object_request *request, struct slices *out)
{
	auto_(wire_writer_done) struct wire_writer writer = {0}, node = {0};
	char id[OBJECT_ID_TEXT_BYTES];

	if (request->node_id) {
		wire_put_varint(&node, 1, request->node_id);
		wire_put_message(&writer, REQUEST_NODE, &node);
	}
	if (request->run_id)
		wire_put_varint(&writer, REQUEST_RUN_ID, request->run_id);
	object_id_format(&request->id, id);
	wire_put_string(&writer, REQUEST_OBJECT_ID, id);
	if (request->content.bytes)
		wire_put_refs(&writer, REQUEST_CONTENT, &request->content);
	if (request->session_id && *request->session_id)
		wire_put_string(&writer, REQUEST_SESSION_ID, request->session_id);
	return wire_writer_take(&writer, out);
}

static int node_read(
	const struct wire_reader *outer, const struct wire_field *node, uint64_t *node_id)
{
	struct wire_reader reader;
	struct wire_field field;
	int r;

	wire_reader_enter(&reader, outer, node);
	while ((r = wire_next(&reader, &field)) > 0)
		if (field.number == 1 && field.type == WIRE_VARINT)
			*node_id = field.number_value;
	return r;
}

static int id_read(
	const struct wire_reader *reader, const struct wire_field *field, struct object_id *id)
{
	auto_(free_at_exit) char *text = NULL;
	size_t len;
	int r = wire_bytes(reader, field, OBJECT_ID_TEXT_BYTES - 1, &text, &len);

	if (r < 0)
		return r == -EMSGSIZE ? -EBADMSG : r;
	return object_id_parse(text, len, id) ? 0 : -EBADMSG;
}

/* The last field of a number is the one that counts. */
static int content_read(
	const struct wire_reader *reader, const struct wire_field *field, struct slices *content)
{
	slices_done(content);
	return wire_refs(reader, field, content);
}

static int request_field(const struct wire_reader *reader, const struct wire_field *field,
	struct object_request *request, bool *has_id)
{
	if (field->number == REQUEST_RUN_ID && field->type == WIRE_VARINT)
		request->run_id = field->number_value;
	if (field->type != WIRE_BYTES)
		return 0;
	switch (field->number) {
	case REQUEST_NODE:
		return node_read(reader, field, &request->node_id);
	case REQUEST_OBJECT_ID:
		*has_id = true;
		return id_read(reader, field, &request->id);
	case REQUEST_CONTENT:
		return content_read(reader, field, &request->content);
	case REQUEST_SESSION_ID:
		free_at_exit(&request->session_id);
		return wire_string(reader, field, OBJECT_SESSION_ID_MAX, &request->session_id);
	default:
		return 0;
	}
}

int object_request_decode(const struct slices *bytes, struct object_request *out)
{
	auto_(object_request_done) struct object_request request = {0};
	struct wire_reader reader;
	struct wire_field field;
	bool has_id = false;
	int r;

	*out = (struct object_request){0};
	wire_reader_init(&reader, bytes);
	while ((r = wire_next(&reader, &field)) > 0) {
		r = request_field(&reader, &field, &request, &has_id);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	if (!has_id)
		return -EBADMSG;
	if (!request.session_id)
		request.session_id = strdup("");
	if (!request.session_id)
		return -ENOMEM;
	*out = request;
	request = (struct object_request){0};
	return 0;
}

void object_pulled_done(struct object_pulled *pulled)
{
	slices_done(&pulled->content);
	*pulled = (struct object_pulled){0};
}

int object_pulled_encode(const struct object_pulled *pulled, struct slices *out)
{
	auto_(wire_writer_done) struct wire_writer writer = {0};

	if (pulled->found)
		wire_put_varint(&writer, PULLED_FOUND, 1);
	if (pulled->available)
		wire_put_varint(&writer, PULLED_AVAILABLE, 1);
	if (pulled->content.bytes)
		wire_put_refs(&writer, PULLED_CONTENT, &pulled->content);
	return wire_writer_take(&writer, out);
}

int object_pulled_decode(const struct slices *bytes, struct object_pulled *out)
{
	auto_(object_pulled_done) struct object_pulled pulled = {0};
	struct wire_reader reader;
	struct wire_field field;
	int r;

	*out = (struct object_pulled){0};
	wire_reader_init(&reader, bytes);
	while ((r = wire_next(&reader, &field)) > 0) {
		if (field.number == PULLED_FOUND && field.type == WIRE_VARINT)
			pulled.found = field.number_value != 0;
		if (field.number == PULLED_AVAILABLE && field.type == WIRE_VARINT)
			pulled.available = field.number_value != 0;
		if (field.number != PULLED_CONTENT || field.type != WIRE_BYTES)
			continue;
		r = content_read(&reader, &field, &pulled.content);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	*out = pulled;
	pulled = (struct object_pulled){0};
	return 0;
}

int object_stored_encode(bool stored, struct slices *out)
{
	auto_(wire_writer_done) struct wire_writer writer = {0};

	if (stored)
		wire_put_varint(&writer, 1, 1);
	return wire_writer_take(&writer, out);
}

int object_stored_decode(const struct slices *bytes, bool *stored_out)
{
	uint64_t stored;
	int r = wire_find_varint(bytes, 1, &stored);

	if (r < 0)
		return r;
	*stored_out = stored != 0;
	return 0;
}
