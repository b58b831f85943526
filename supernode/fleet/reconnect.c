#include "supernode/fleet/reconnect.h"

#include "common/base/cleanup.h"
#include "common/records/maps_codec.h"

#include <errno.h>
#include <string.h>

#define RECONNECT_TYPE      "reconnect"
#define RECONNECT_RECORD    "config"
#define RECONNECT_MAX_BYTES 65536 /* of the content of such a message */

/* Flower's reasons of a disconnect. */
enum { REASON_RECONNECT = 1, REASON_ACK = 4 };

bool reconnect_is(const struct envelope *message)
{
	return message->metadata.message_type &&
	       strcmp(message->metadata.message_type, RECONNECT_TYPE) == 0;
}

static const struct record *find_config(const struct record_dict *dict)
{
	for (size_t i = 0; i < dict->n; i++)
		if (dict->v[i].kind == RECORD_CONFIGS &&
			strcmp(dict->v[i].name, RECONNECT_RECORD) == 0)
			return &dict->v[i];
	return NULL;
}

static int read_seconds(const struct value *value, struct reconnect_order *out, struct reason *why)
{
	int64_t seconds = -1;

	if (value->kind == VALUE_SINT)
		seconds = value->i;
	else if (value->kind == VALUE_UINT && value->u <= INT64_MAX)
		seconds = (int64_t)value->u;
	else
		return reason_code(why, -EBADMSG, "\"seconds\" is no whole number");
	if (seconds < 0 || seconds > INT64_MAX / 1000)
		return reason_code(why, -EBADMSG, "\"seconds\" is out of range");
	out->has_seconds = true;
	out->seconds = seconds;
	return 0;
}

int reconnect_read(const struct envelope *message, struct reconnect_order *out, struct reason *why)
{
	auto_(record_dict_done) struct record_dict dict = {0};
	const struct record *config;
	const struct value *value;
	int r;

	*out = (struct reconnect_order){0};
	if (!message->has_content)
		return reason_code(why, -EBADMSG, "it has no content");
	if (message->content.bytes > RECONNECT_MAX_BYTES)
		return reason_code(why, -EBADMSG, "it is too large");
	r = maps_decode(&message->content, &dict, why);
	if (r)
		return r;
	config = find_config(&dict);
	if (!config)
		return reason_code(why, -EBADMSG, "it has no config record \"config\"");
	value = value_map_get(&config->values, "seconds");
	return value ? read_seconds(value, out, why) : 0;
}

static int encode_reason(int64_t reason, struct slices *out)
{
	auto_(record_dict_done) struct record_dict dict = {0};
	struct record *config = record_dict_add(&dict, RECONNECT_RECORD, RECORD_CONFIGS);
	struct value value = {.kind = VALUE_SINT, .i = reason};
	int r;

	if (!config)
		return -ENOMEM;
	r = value_map_set(&config->values, "reason", &value);
	return r ? r : maps_encode(&dict, out);
}

int reconnect_reply(const struct metadata *metadata, double now_s,
	const struct reconnect_order *order, struct envelope *out)
{
	int r = envelope_reply_metadata(metadata, now_s, &out->metadata);

	out->has_content = true;
	return r ? r
		 : encode_reason(order->has_seconds ? REASON_RECONNECT : REASON_ACK, &out->content);
}

int reconnect_refusal(const struct metadata *metadata, double now_s, const struct reason *why,
	struct envelope *out)
{
	struct reason sentence = {0};

	reason_set(&sentence, "Malformed reconnect message: %s", why->text);
	return envelope_error(metadata, now_s, ERROR_CODE_UNKNOWN, sentence.text, out);
}
