#include "common/message/adapter_codec.h"

#include "adapter.pb-c.h"
#include "common/base/cleanup.h"
#include "common/wire/message.h"
#include "common/wire/wire.h"
#include "fleet.pb-c.h"
#include "numbers.h"

#include <errno.h>
#include <string.h>

#define END_KEY "should-exit"
#define END_YES "true"

/* Structs and strings of a container: an entry of its map takes more than its bytes. */
#define MEMORY_MAX_BYTES (64 * ADAPTER_HEAD_MAX_BYTES)

static const ProtobufCMethodDescriptor *method_of(const char *name)
{
	const ProtobufCServiceDescriptor *fleet = &flwr__fleet__descriptor;

	for (unsigned i = 0; i < fleet->n_methods; i++) {
		if (strcmp(fleet->methods[i].name, name) == 0)
			return &fleet->methods[i];
	}
	return NULL;
}

int adapter_encode(const char *method, const struct slices *body, struct slices *out)
{
	const ProtobufCMethodDescriptor *found = method_of(method);
	Flwr__MessageContainer container = FLWR__MESSAGE_CONTAINER__INIT;

	if (!found)
		return -EINVAL;
	/* Releases are left out, as elsewhere; no peer looks at the other metadata. */
	container.grpc_message_name = (char *)found->input->short_name;
	container.grpc_message_content = *body;
	return wire_encode(&container, out);
}

static bool says(const Flwr__TextEntry *entry, const char *key, const char *value)
{
	return entry->has_key_case && entry->has_value_case && strcmp(entry->key, key) == 0 &&
	       strcmp(entry->value, value) == 0;
}

int adapter_decode(const char *method, const struct slices *bytes, struct adapter_answer *out)
{
	const ProtobufCMethodDescriptor *asked = method_of(method);
	auto_(wire_free) Flwr__MessageContainer *container = NULL;
	int r = asked ? wire_decode(&flwr__message_container__descriptor, bytes, MEMORY_MAX_BYTES,
				&container)
		      : -EINVAL;

	*out = (struct adapter_answer){0};
	if (r)
		return r;
	if (bytes->bytes - container->grpc_message_content.bytes > ADAPTER_HEAD_MAX_BYTES)
		return -EMSGSIZE;
	for (size_t i = 0; i < container->n_metadata; i++)
		out->told_to_end =
			out->told_to_end || says(container->metadata[i], END_KEY, END_YES);
	out->named = strcmp(container->grpc_message_name, asked->output->short_name) == 0;
	if (!out->named)
		text_printf(&out->name, "%s", container->grpc_message_name);
	out->content = slices_take(&container->grpc_message_content);
	return 0;
}

int adapter_decode_cut(const struct slices *bytes, struct slices *out)
{
	return wire_first_bytes_cut(bytes, NUMBER_MESSAGE_CONTAINER_GRPC_MESSAGE_CONTENT, out);
}

void adapter_answer_done(struct adapter_answer *answer)
{
	text_done(&answer->name);
	slices_done(&answer->content);
}
