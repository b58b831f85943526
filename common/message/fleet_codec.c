#include "common/message/fleet_codec.h"

#include "common/base/cleanup.h"
#include "common/message/parts.h"
#include "fleet.pb-c.h"
#include "numbers.h"

#include <errno.h>
#include <string.h>

static Flwr__Node node_of(uint64_t node_id)
{
	Flwr__Node node = FLWR__NODE__INIT;

	node.node_id = node_id;
	return node;
}

int fleet_encode_create_node(double ping_interval_s, struct slices *out)
{
	Flwr__CreateNodeRequest request = FLWR__CREATE_NODE_REQUEST__INIT;

	request.heartbeat_interval = ping_interval_s;
	return wire_encode(&request, out);
}

int fleet_decode_create_node(const struct slices *bytes, uint64_t *node_id_out)
{
	auto_(wire_free) Flwr__CreateNodeResponse *response = NULL;
	int r = call_decode(create_node_response, bytes, &response);

	if (r < 0)
		return r;
	if (!response->node)
		return -EBADMSG;
	*node_id_out = response->node->node_id;
	return 0;
}

int fleet_encode_delete_node(uint64_t node_id, struct slices *out)
{
	Flwr__DeleteNodeRequest request = FLWR__DELETE_NODE_REQUEST__INIT;
	Flwr__Node node = node_of(node_id);

	request.node = &node;
	return wire_encode(&request, out);
}

int fleet_encode_ping(uint64_t node_id, double ping_interval_s, struct slices *out)
{
	Flwr__PingRequest request = FLWR__PING_REQUEST__INIT;
	Flwr__Node node = node_of(node_id);

	request.node = &node;
	request.ping_interval = ping_interval_s;
	return wire_encode(&request, out);
}

int fleet_decode_ping(const struct slices *bytes, bool *success_out)
{
	auto_(wire_free) Flwr__PingResponse *response = NULL;
	int r = call_decode(ping_response, bytes, &response);

	if (r == 0)
		*success_out = response->success;
	return r;
}

int fleet_encode_key(const char *public_key, size_t len, double interval_s, struct slices *out)
{
	auto_(slices_done) struct slices key = {0};
	Flwr__ActivateNodeRequest request = FLWR__ACTIVATE_NODE_REQUEST__INIT;
	int r = slices_append_copy(&key, public_key, len);

	if (r < 0)
		return r;
	request.public_key = key;
	request.heartbeat_interval = interval_s;
	return wire_encode(&request, out);
}

int fleet_encode_node_id(uint64_t node_id, struct slices *out)
{
	Flwr__DeactivateNodeRequest request = FLWR__DEACTIVATE_NODE_REQUEST__INIT;

	request.node_id = node_id;
	return wire_encode(&request, out);
}

int fleet_decode_node_id(const struct slices *bytes, uint64_t *node_id_out)
{
	auto_(wire_free) Flwr__ActivateNodeResponse *response = NULL;
	int r = call_decode(activate_node_response, bytes, &response);

	if (r == 0)
		*node_id_out = response->node_id;
	return r;
}

int fleet_encode_pull_messages(uint64_t node_id, struct slices *out)
{
	Flwr__PullMessagesRequest request = FLWR__PULL_MESSAGES_REQUEST__INIT;
	Flwr__Node node = node_of(node_id);

	request.node = &node;
	return wire_encode(&request, out);
}

/* Takes the first of each list, by reference; a SuperLink may send as many as it likes. */
int fleet_decode_pull_messages(const struct slices *bytes, struct envelope *out,
	struct slices *tree_out, unsigned *more_out)
{
	auto_(slices_done) struct slices first = {0};
	auto_(slices_done) struct slices tree = {0};
	struct wire_reader reader;
	struct wire_field field;
	unsigned n = 0, n_trees = 0;
	int r;

	*out = (struct envelope){0};
	*tree_out = (struct slices){0};
	*more_out = 0;
	wire_reader_init(&reader, bytes);
	while ((r = wire_next(&reader, &field)) > 0) {
		if (field.type != WIRE_BYTES)
			continue;
		if (field.number == NUMBER_PULL_MESSAGES_RESPONSE_MESSAGES_LIST && n++ == 0)
			r = wire_refs(&reader, &field, &first);
		if (field.number == NUMBER_PULL_MESSAGES_RESPONSE_MESSAGE_OBJECT_TREES &&
			n_trees++ == 0)
			r = wire_refs(&reader, &field, &tree);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	if (n == 0)
		return 1;
	*more_out = n - 1;
	r = envelope_decode(&first, out);
	if (r == 0)
		*tree_out = slices_take(&tree);
	return r;
}

int fleet_decode_pulled_metadata(const struct slices *bytes, struct envelope *out)
{
	auto_(slices_done) struct slices first = {0};
	int r = wire_first_bytes_cut(bytes, NUMBER_PULL_MESSAGES_RESPONSE_MESSAGES_LIST, &first);

	*out = (struct envelope){0};
	return r < 0 ? r : envelope_decode_metadata(&first, out);
}

int fleet_encode_push_messages(uint64_t node_id, const struct envelope *reply,
	const struct slices *tree, double runtime_s, struct slices *out)
{
	auto_(slices_done) struct slices message = {0};
	Flwr__PushMessagesRequest request = FLWR__PUSH_MESSAGES_REQUEST__INIT;
	Flwr__Node node = node_of(node_id);
	int r = envelope_encode(reply, &message);

	if (r < 0)
		return r;
	request.node = &node;
	part_set(&request, messages_list, &message);
	if (tree) {
		part_set(&request, message_object_trees, tree);
		request.n_clientapp_runtime_list = 1;
		request.clientapp_runtime_list = &runtime_s;
	}
	return wire_encode(&request, out);
}

void fleet_pushed_done(struct fleet_pushed *pushed)
{
	free(pushed->wanted);
	free(pushed->session_id);
	*pushed = (struct fleet_pushed){0};
}

int fleet_decode_push_messages(const struct slices *bytes, struct fleet_pushed *out)
{
	auto_(wire_free) Flwr__PushMessagesResponse *response = NULL;
	auto_(fleet_pushed_done) struct fleet_pushed pushed = {0};
	int r = wire_decode(
		&flwr__push_messages_response__descriptor, bytes, WANTED_MEMORY_MAX, &response);

	*out = (struct fleet_pushed){0};
	if (r == 0)
		r = wanted_take(response->objects_to_push, response->n_objects_to_push,
			&pushed.wanted, &pushed.n_wanted);
	if (r < 0)
		return r;
	for (size_t i = 0; i < response->n_results; i++) {
		const Flwr__NumberEntry *entry = response->results[i];

		if (entry->has_key_case == FLWR__NUMBER_ENTRY__HAS_KEY_KEY &&
			strcmp(entry->key, "None") == 0)
			pushed.dropped = true;
	}
	r = wire_take_string(&response->session_id, FLEET_SESSION_MAX, &pushed.session_id);
	if (r < 0)
		return r;
	*out = pushed;
	pushed = (struct fleet_pushed){0};
	return 0;
}

int fleet_encode_get_run(uint64_t node_id, uint64_t run_id, struct slices *out)
{
	Flwr__GetRunRequest request = FLWR__GET_RUN_REQUEST__INIT;
	Flwr__Node node = node_of(node_id);

	request.node = &node;
	request.run_id = run_id;
	return wire_encode(&request, out);
}

int fleet_decode_get_run(const struct slices *bytes, struct run *out)
{
	auto_(wire_free) Flwr__GetRunResponse *response = NULL;
	auto_(slices_done) struct slices run = {0};
	int r = bytes->bytes > FLEET_RUN_MAX_BYTES
			? -EMSGSIZE
			: call_decode(get_run_response, bytes, &response);

	*out = (struct run){0};
	if (r == 0)
		r = part_take(response->run, response->n_run, &run);
	if (r < 0)
		return r;
	return response->n_run ? run_decode(&run, out) : -EBADMSG;
}

int fleet_encode_get_fab(uint64_t node_id, const char *hash, uint64_t run_id, struct slices *out)
{
	Flwr__GetFabRequest request = FLWR__GET_FAB_REQUEST__INIT;
	Flwr__Node node = node_of(node_id);

	request.node = &node;
	request.hash_str = (char *)hash;
	request.run_id = run_id;
	return wire_encode(&request, out);
}

int fleet_decode_get_fab(const struct slices *bytes, char **hash_out, struct slices *content_out,
	struct value_map *verifications_out)
{
	auto_(wire_free) Flwr__GetFabResponse *response = NULL;
	auto_(slices_done) struct slices fab = {0};
	int r = call_decode(get_fab_response, bytes, &response);

	*hash_out = NULL;
	*content_out = (struct slices){0};
	if (verifications_out)
		*verifications_out = (struct value_map){0};
	if (r == 0)
		r = part_take(response->fab, response->n_fab, &fab);
	if (r < 0)
		return r;
	return response->n_fab ? fab_decode(&fab, hash_out, content_out, verifications_out)
			       : -EBADMSG;
}
