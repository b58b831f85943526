#include "common/base/cleanup.h"
#include "common/records/maps_codec.h"
#include "supernode/fleet/fleet_internal.h"

#include <errno.h>
#include <string.h>

#define CONTROL_TYPE      "reconnect"
#define CONTROL_RECORD    "config"
#define CONTROL_MAX_BYTES 65536 /* of the content of such a message */

/* Flower's reasons of a disconnect. */
enum { REASON_RECONNECT = 1, REASON_ACK = 4 };

struct order {
	bool has_seconds;
	int64_t seconds; /* 0 without */
};

bool control_is(const struct envelope *message)
{
	return message->metadata.message_type &&
	       strcmp(message->metadata.message_type, CONTROL_TYPE) == 0;
}

static const struct record *find_config(const struct record_dict *dict)
{
	for (size_t i = 0; i < dict->n; i++)
		if (dict->v[i].kind == RECORD_CONFIGS &&
			strcmp(dict->v[i].name, CONTROL_RECORD) == 0)
			return &dict->v[i];
	return NULL;
}

static int read_seconds(const struct value *value, struct order *out, struct reason *why)
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

static int read_order(const struct envelope *message, struct order *out, struct reason *why)
{
	auto_(record_dict_done) struct record_dict dict = {0};
	const struct record *config;
	const struct value *value;
	int r;

	if (!message->has_content)
		return reason_code(why, -EBADMSG, "it has no content");
	if (message->content.bytes > CONTROL_MAX_BYTES)
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
	struct record *config = record_dict_add(&dict, CONTROL_RECORD, RECORD_CONFIGS);
	struct value value = {.kind = VALUE_SINT, .i = reason};
	int r;

	if (!config)
		return -ENOMEM;
	r = value_map_set(&config->values, "reason", &value);
	return r ? r : maps_encode(&dict, out);
}

static void acknowledged(void *arg, uint64_t number, enum outcome outcome, const char *details)
{
	struct fleet *fleet = arg;

	(void)number;
	(void)details;
	/* Also when the SuperLink did not take it: what it said counts. */
	if (outcome == OUTCOME_CANCELLED || fleet->state != FLEET_ONLINE)
		return;
	if (fleet->away_ms > 0)
		fleet_go_away(fleet, fleet->away_ms);
	else
		fleet_over(fleet, FLEET_OVER_TOLD, "SuperLink %s told this node to disconnect",
			fleet->superlink);
}

static void obey(struct fleet *fleet, const struct metadata *metadata, const struct order *order)
{
	auto_(held_message_done) struct held_message reply = {.envelope.has_content = true};
	int r = envelope_reply_metadata(metadata, fleet_wall_s(), &reply.envelope.metadata);

	fleet->disconnecting = true;
	fleet->away_ms = order->seconds * 1000;
	if (!r)
		r = encode_reason(order->has_seconds ? REASON_RECONNECT : REASON_ACK,
			&reply.envelope.content);
	if (!r)
		r = fleet_push(fleet, 0, &reply, 0, acknowledged, fleet);
	if (r) {
		log_warn(fleet->log, "SuperLink %s: disconnecting without an answer: %s",
			fleet->superlink, strerrordesc_np(-r));
		acknowledged(fleet, 0, OUTCOME_INTERNAL, "");
	}
}

static void error_pushed(void *arg, uint64_t number, enum outcome outcome, const char *details)
{
	(void)arg;
	(void)number;
	(void)outcome;
	(void)details;
}

static void refuse(struct fleet *fleet, const struct metadata *metadata, const struct reason *why)
{
	auto_(held_message_done) struct held_message reply = {0};
	struct reason sentence = {0};
	int r;

	log_warn(fleet->log, "SuperLink %s: a malformed reconnect message was refused: %s",
		fleet->superlink, why->text);
	reason_set(&sentence, "Malformed reconnect message: %s", why->text);
	r = envelope_error(
		metadata, fleet_wall_s(), ERROR_CODE_UNKNOWN, sentence.text, &reply.envelope);
	if (!r)
		r = fleet_push(fleet, 0, &reply, 0, error_pushed, NULL);
	if (r)
		log_warn(fleet->log, "SuperLink %s: the refusal could not be sent: %s",
			fleet->superlink, strerrordesc_np(-r));
}

void control_handle(struct fleet *fleet, struct envelope *message)
{
	struct order order = {0};
	struct reason why = {0};
	int r = 0;

	/* A node that is stopping disconnects anyway. */
	if (fleet->state == FLEET_ONLINE) {
		r = read_order(message, &order, &why);
		if (r == -ENOMEM)
			reason_set(&why, "no memory for it");
		if (r)
			refuse(fleet, &message->metadata, &why);
		else
			obey(fleet, &message->metadata, &order);
	}
	envelope_done(message);
}
