/*
 * bidi_records: the names of the records are those of the kind, then what is in them.
 */
#include "common/records/bidi_records.h"

#include "bidi.pb-c.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/message/scalar_map.h"
#include "common/wire/message.h"

#include <errno.h>
#include <stdio.h>

#define EMPTY_KEY  "_empty" /* of the array that stands for none */
#define NAME_BYTES 48

static const struct {
	const char *ins, *res;
} names[BIDI_N] = {
	[BIDI_GET_PROPERTIES] = {"getpropertiesins", "getpropertiesres"},
	[BIDI_GET_PARAMETERS] = {"getparametersins", "getparametersres"},
	[BIDI_TRAIN] = {"fitins", "fitres"},
	[BIDI_EVALUATE] = {"evaluateins", "evaluateres"},
};

/* ---- instructions ---- */

static struct record *add_record(
	struct record_dict *dict, const char *ins, const char *what, enum record_kind kind)
{
	char name[NAME_BYTES];

	snprintf(name, sizeof name, "%s.%s", ins, what);
	return record_dict_add(dict, name, kind);
}

static int add_array(struct record *record, const char *key, const char *stype, struct slices *data)
{
	struct array *array = record_add_array(record, key);
	char *text = array ? text_dup(stype, strlen(stype)) : NULL;

	if (!text)
		return -ENOMEM;
	free(array->stype);
	array->stype = text;
	array->data = slices_take(data);
	return 0;
}

static int take_parameters(Flwr__Parameters *parameters, const char *ins, struct record_dict *dict)
{
	struct record *record = add_record(dict, ins, "parameters", RECORD_ARRAYS);
	const char *stype = parameters ? parameters->tensor_type : "";
	size_t n = parameters ? parameters->n_tensors : 0;
	struct slices none = {0};
	int r = record ? 0 : -ENOMEM;

	if (r == 0 && n == 0)
		r = add_array(record, EMPTY_KEY, stype, &none);
	for (size_t i = 0; i < n && r == 0; i++) {
		char key[24];

		snprintf(key, sizeof key, "%zu", i);
		r = add_array(record, key, stype, &parameters->tensors[i]);
	}
	return r;
}

static int take_config(
	Flwr__ScalarEntry **entries, size_t n, const char *ins, struct record_dict *dict)
{
	struct record *record = add_record(dict, ins, "config", RECORD_CONFIGS);

	return record ? scalar_map_take(entries, n, &record->values) : -ENOMEM;
}

static int take_reconnect(const Flwr__ServerMessage__ReconnectIns *ins, struct record_dict *dict)
{
	struct record *record = record_dict_add(dict, "config", RECORD_CONFIGS);
	struct value seconds = {.kind = VALUE_SINT, .i = ins->seconds};

	return record ? value_map_set(&record->values, "seconds", &seconds) : -ENOMEM;
}

static int take_message(Flwr__ServerMessage *message, struct record_dict *dict)
{
	const char *ins = names[message->msg_case].ins;
	int r;

	switch ((enum bidi_kind)message->msg_case) {
	case BIDI_RECONNECT:
		return take_reconnect(message->reconnect_ins, dict);
	case BIDI_GET_PROPERTIES:
		return take_config(message->get_properties_ins->config,
			message->get_properties_ins->n_config, ins, dict);
	case BIDI_GET_PARAMETERS:
		return take_config(message->get_parameters_ins->config,
			message->get_parameters_ins->n_config, ins, dict);
	case BIDI_TRAIN:
		r = take_parameters(message->fit_ins->parameters, ins, dict);
		return r ? r
			 : take_config(
				   message->fit_ins->config, message->fit_ins->n_config, ins, dict);
	case BIDI_EVALUATE:
		r = take_parameters(message->evaluate_ins->parameters, ins, dict);
		return r ? r
			 : take_config(message->evaluate_ins->config,
				   message->evaluate_ins->n_config, ins, dict);
	case BIDI_NONE:
	case BIDI_N:
	default:
		return -ENOMSG;
	}
}

static int refused(struct reason *why, int r)
{
	if (r == -ENOMSG)
		return reason_code(why, -EBADMSG, "the message has no instruction that is known");
	if (r == -EMSGSIZE)
		return reason_code(why, r, "the instruction has too many or too long values");
	if (r == -EBADMSG)
		return reason_code(why, r, "the instruction cannot be read");
	return r;
}

int bidi_records_decode(const struct slices *bytes, enum bidi_kind *kind_out,
	struct record_dict *out, struct reason *why)
{
	auto_(wire_free) Flwr__ServerMessage *message = NULL;
	auto_(record_dict_done) struct record_dict dict = {0};
	int r = wire_decode(&flwr__server_message__descriptor, bytes, BIDI_MEMORY_MAX, &message);

	if (r == 0)
		r = take_message(message, &dict);
	if (r < 0)
		return refused(why, r);
	*kind_out = (enum bidi_kind)message->msg_case;
	*out = dict;
	dict = (struct record_dict){0};
	return 0;
}

/* ---- replies ---- */

/* A reply while it is encoded; what the generated structs point to. */
struct reply {
	const struct record_dict *dict;
	const char *res; /* "fitres" */
	struct reason *why;
	Flwr__Status status;
	Flwr__Parameters parameters;
	struct scalar_entries values;
};

static void reply_done(struct reply *reply)
{
	free(reply->parameters.tensors);
	scalar_entries_done(&reply->values);
}

static const struct record *find_record(
	struct reply *reply, const char *what, enum record_kind kind)
{
	char name[NAME_BYTES];

	snprintf(name, sizeof name, "%s%s%s", reply->res, reply->res[0] ? "." : "", what);
	for (size_t i = 0; i < reply->dict->n; i++) {
		const struct record *record = &reply->dict->v[i];

		if (record->kind == kind && strcmp(record->name, name) == 0)
			return record;
	}
	reason_set(reply->why, "the reply has no record %s of that kind", name);
	return NULL;
}

static const struct value *find_value(
	struct reply *reply, const struct record *record, const char *key)
{
	const struct value *value = record ? value_map_get(&record->values, key) : NULL;

	if (record && !value)
		reason_set(reply->why, "the reply's record %s has no %s", record->name, key);
	return value;
}

static int find_integer(
	struct reply *reply, const struct record *record, const char *key, int64_t *out)
{
	const struct value *value = find_value(reply, record, key);

	if (!value)
		return -EINVAL;
	if (value->kind != VALUE_SINT && (value->kind != VALUE_UINT || value->u > INT64_MAX))
		return reason_code(reply->why, -EINVAL, "%s of the reply's record %s is no integer",
			key, record->name);
	*out = value->kind == VALUE_SINT ? value->i : (int64_t)value->u;
	return 0;
}

static int put_status(struct reply *reply, Flwr__Status **field)
{
	const struct record *record = find_record(reply, "status", RECORD_CONFIGS);
	const struct value *message = find_value(reply, record, "message");
	int64_t code = 0;
	int r = message ? find_integer(reply, record, "code", &code) : -EINVAL;

	if (r < 0)
		return r;
	if (message->kind != VALUE_STRING || strlen(message->s.data) != message->s.len)
		return reason_code(reply->why, -EINVAL, "the reply's status message is no text");
	if (code < FLWR__CODE__OK || code > FLWR__CODE__EVALUATE_NOT_IMPLEMENTED)
		return reason_code(reply->why, -EINVAL, "the reply's status code is not known");
	flwr__status__init(&reply->status);
	reply->status.code = (Flwr__Code)code;
	reply->status.message = message->s.data;
	*field = &reply->status;
	return 0;
}

static int put_parameters(struct reply *reply, Flwr__Parameters **field)
{
	const struct record *record = find_record(reply, "parameters", RECORD_ARRAYS);
	Flwr__Parameters *parameters = &reply->parameters;

	if (!record)
		return -EINVAL;
	flwr__parameters__init(parameters);
	parameters->tensors = calloc(record->n_arrays + 1, sizeof *parameters->tensors);
	if (!parameters->tensors)
		return -ENOMEM;
	for (size_t i = 0; i < record->n_arrays; i++) {
		const struct array *array = &record->arrays[i];

		if (!parameters->tensor_type[0])
			parameters->tensor_type = array->stype;
		if (strcmp(array->key, EMPTY_KEY) != 0)
			parameters->tensors[parameters->n_tensors++] = array->data;
	}
	*field = parameters;
	return 0;
}

static int put_values(struct reply *reply, const char *what, Flwr__ScalarEntry ***field, size_t *n)
{
	const struct record *record = find_record(reply, what, RECORD_CONFIGS);
	int r;

	if (!record)
		return -EINVAL;
	for (size_t i = 0; i < record->values.n; i++) {
		enum value_kind kind = record->values.v[i].value.kind;

		if (kind == VALUE_NONE || kind >= VALUE_DOUBLE_LIST)
			return reason_code(reply->why, -EINVAL,
				"a value of the reply's record %s is a list", record->name);
	}
	r = scalar_entries_make(&record->values, &reply->values);
	*field = reply->values.v;
	*n = reply->values.n;
	return r;
}

static int put_number(struct reply *reply, int64_t *field)
{
	const struct record *record = find_record(reply, "num_examples", RECORD_METRICS);

	return find_integer(reply, record, "num_examples", field);
}

static int put_loss(struct reply *reply, float *field)
{
	const struct record *record = find_record(reply, "loss", RECORD_METRICS);
	const struct value *loss = find_value(reply, record, "loss");
	int64_t number = 0;

	if (loss && loss->kind == VALUE_DOUBLE) {
		*field = (float)loss->d;
		return 0;
	}
	if (find_integer(reply, record, "loss", &number) < 0)
		return -EINVAL;
	*field = (float)number;
	return 0;
}

/* The reply of a client that does not implement the method has a status only, whatever else its
 * records say. */
static int encode_properties(struct reply *reply, struct slices *out)
{
	Flwr__ClientMessage__GetPropertiesRes res = FLWR__CLIENT_MESSAGE__GET_PROPERTIES_RES__INIT;
	Flwr__ClientMessage message = FLWR__CLIENT_MESSAGE__INIT;
	int r = put_values(reply, "properties", &res.properties, &res.n_properties);

	message.msg_case = FLWR__CLIENT_MESSAGE__MSG_GET_PROPERTIES_RES;
	message.get_properties_res = &res;
	if (r == 0)
		r = put_status(reply, &res.status);
	if (r == 0 && reply->status.code == FLWR__CODE__GET_PROPERTIES_NOT_IMPLEMENTED) {
		flwr__client_message__get_properties_res__init(&res);
		res.status = &reply->status;
	}
	return r ? r : wire_encode(&message, out);
}

static int encode_parameters(struct reply *reply, struct slices *out)
{
	Flwr__ClientMessage__GetParametersRes res = FLWR__CLIENT_MESSAGE__GET_PARAMETERS_RES__INIT;
	Flwr__ClientMessage message = FLWR__CLIENT_MESSAGE__INIT;
	int r = put_parameters(reply, &res.parameters);

	message.msg_case = FLWR__CLIENT_MESSAGE__MSG_GET_PARAMETERS_RES;
	message.get_parameters_res = &res;
	if (r == 0)
		r = put_status(reply, &res.status);
	if (r == 0 && reply->status.code == FLWR__CODE__GET_PARAMETERS_NOT_IMPLEMENTED) {
		flwr__client_message__get_parameters_res__init(&res);
		res.status = &reply->status;
	}
	return r ? r : wire_encode(&message, out);
}

static int encode_fit(struct reply *reply, struct slices *out)
{
	Flwr__ClientMessage__FitRes res = FLWR__CLIENT_MESSAGE__FIT_RES__INIT;
	Flwr__ClientMessage message = FLWR__CLIENT_MESSAGE__INIT;
	int r = put_parameters(reply, &res.parameters);

	message.msg_case = FLWR__CLIENT_MESSAGE__MSG_FIT_RES;
	message.fit_res = &res;
	if (r == 0)
		r = put_number(reply, &res.num_examples);
	if (r == 0)
		r = put_values(reply, "metrics", &res.metrics, &res.n_metrics);
	if (r == 0)
		r = put_status(reply, &res.status);
	if (r == 0 && reply->status.code == FLWR__CODE__FIT_NOT_IMPLEMENTED) {
		flwr__client_message__fit_res__init(&res);
		res.status = &reply->status;
	}
	return r ? r : wire_encode(&message, out);
}

static int encode_evaluate(struct reply *reply, struct slices *out)
{
	Flwr__ClientMessage__EvaluateRes res = FLWR__CLIENT_MESSAGE__EVALUATE_RES__INIT;
	Flwr__ClientMessage message = FLWR__CLIENT_MESSAGE__INIT;
	int r = put_loss(reply, &res.loss);

	message.msg_case = FLWR__CLIENT_MESSAGE__MSG_EVALUATE_RES;
	message.evaluate_res = &res;
	if (r == 0)
		r = put_number(reply, &res.num_examples);
	if (r == 0)
		r = put_values(reply, "metrics", &res.metrics, &res.n_metrics);
	if (r == 0)
		r = put_status(reply, &res.status);
	if (r == 0 && reply->status.code == FLWR__CODE__EVALUATE_NOT_IMPLEMENTED) {
		flwr__client_message__evaluate_res__init(&res);
		res.status = &reply->status;
	}
	return r ? r : wire_encode(&message, out);
}

static int encode_reconnect(struct reply *reply, struct slices *out)
{
	int64_t reason = 0;
	int r = find_integer(
		reply, find_record(reply, "config", RECORD_CONFIGS), "reason", &reason);

	if (r == 0 && (reason < 0 || reason >= BIDI_REASON_N))
		r = reason_code(reply->why, -EINVAL, "the reply's reason is not known");
	return r ? r : bidi_encode_disconnect((enum bidi_reason)reason, out);
}

static int encode_none(struct reply *reply, struct slices *out)
{
	(void)out;
	return reason_code(reply->why, -EINVAL, "there is no such instruction");
}

int bidi_records_encode(enum bidi_kind kind, const struct record_dict *reply, struct slices *out,
	struct reason *why)
{
	static int (*const encoders[BIDI_N])(struct reply * reply, struct slices * out) = {
		[BIDI_NONE] = encode_none,
		[BIDI_RECONNECT] = encode_reconnect,
		[BIDI_GET_PROPERTIES] = encode_properties,
		[BIDI_GET_PARAMETERS] = encode_parameters,
		[BIDI_TRAIN] = encode_fit,
		[BIDI_EVALUATE] = encode_evaluate,
	};
	auto_(reply_done) struct reply state = {
		.dict = reply, .res = names[kind].res ? names[kind].res : "", .why = why};

	return encoders[kind](&state, out);
}
