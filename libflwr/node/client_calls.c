#include "libflwr/node/client_calls.h"

#include "common/base/cleanup.h"
#include "libflwr/app/call_internal.h"
#include "libflwr/app/dict_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EMPTY_KEY  "_empty" /* of the array that stands for none */
#define NUMPY      "numpy.ndarray"
#define NAME_BYTES 48

/* A method's records have these beside the status. */
enum { HAS_PARAMETERS = 1, HAS_EXAMPLES = 2, HAS_LOSS = 4, HAS_METRICS = 8, HAS_PROPERTIES = 16 };

struct method {
	const char *type; /* of the message; of a client's functions, but for train, the name */
	const char *name;
	const char *ins, *res; /* what names of records begin with */
	bool takes_parameters;
	unsigned gives;
	int64_t not_implemented; /* Flower's code */
	size_t function;         /* its place in struct flwr_client */
};

static const struct method methods[] = {
	{"get_properties", "get_properties", "getpropertiesins", "getpropertiesres", false,
		HAS_PROPERTIES, 1, offsetof(struct flwr_client, get_properties)},
	{"get_parameters", "get_parameters", "getparametersins", "getparametersres", false,
		HAS_PARAMETERS, 2, offsetof(struct flwr_client, get_parameters)},
	{"train", "fit", "fitins", "fitres", true, HAS_PARAMETERS | HAS_EXAMPLES | HAS_METRICS, 3,
		offsetof(struct flwr_client, fit)},
	{"evaluate", "evaluate", "evaluateins", "evaluateres", true,
		HAS_LOSS | HAS_EXAMPLES | HAS_METRICS, 4, offsetof(struct flwr_client, evaluate)},
};

static const struct method *method_of(const char *type)
{
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		if (strcmp(methods[i].type, type) == 0)
			return &methods[i];
	}
	return NULL;
}

static flwr_method_fn *function_of(const struct flwr_client *client, const struct method *method)
{
	flwr_method_fn *function;

	memcpy(&function, (const char *)client + method->function, sizeof function);
	return function;
}

static void dict_free_at_exit(struct flwr_dict **dict)
{
	flwr_dict_free(*dict);
}

/* ---- what is asked ---- */

static struct flwr_record *take_record(struct flwr_dict *content, const struct method *method,
	const char *what, enum flwr_kind kind)
{
	char name[NAME_BYTES];
	const struct flwr_record *record;

	snprintf(name, sizeof name, "%s.%s", method->ins, what);
	record = flwr_dict_get(content, name);
	if (record && flwr_record_kind(record) == kind)
		return flwr_dict_add(content, name, kind); /* the same, to be written to */
	error_set(FLWR_E_APP,
		"the message has no record \"%s\" as legacy messages have: it is not for a Client, but for an app",
		name);
	return NULL;
}

/* scratch has the empty record for who takes no parameters. */
static int take_ins(const struct settings *settings, const struct method *method,
	struct flwr_call *call, struct flwr_dict *scratch, struct flwr_ins *ins)
{
	struct flwr_record *parameters =
		method->takes_parameters
			? take_record(call->content, method, "parameters", FLWR_ARRAYS)
			: flwr_dict_add(scratch, "parameters", FLWR_ARRAYS);

	if (!parameters)
		return FLWR_E_APP;
	ins->config = take_record(call->content, method, "config", FLWR_CONFIGS);
	if (!ins->config)
		return FLWR_E_APP;
	flwr_record_remove(parameters, EMPTY_KEY);
	ins->parameters = parameters;
	ins->context = call->context;
	return settings->numpy ? record_check_numbers(parameters) : 0;
}

/* ---- what is answered ---- */

/* A record of the reply; one that the method does not have is made in scratch, where it is
 * forgotten. */
static struct flwr_record *res_record(
	const struct method *method, struct flwr_dict *dict, const char *what, enum flwr_kind kind)
{
	char name[NAME_BYTES];

	snprintf(name, sizeof name, "%s.%s", method->res, what);
	return flwr_dict_add(dict, name, kind);
}

/* In the order in which Flower has them. */
static int make_res(const struct method *method, struct flwr_dict *reply, struct flwr_dict *scratch,
	struct flwr_res *res)
{
	bool gives = method->gives & HAS_PROPERTIES, made = true;

	res->properties = res_record(method, gives ? reply : scratch, "properties", FLWR_CONFIGS);
	if (method->gives & HAS_LOSS)
		made = res_record(method, reply, "loss", FLWR_METRICS);
	if (method->gives & HAS_EXAMPLES)
		made = res_record(method, reply, "num_examples", FLWR_METRICS) && made;
	gives = method->gives & HAS_METRICS;
	res->metrics = res_record(method, gives ? reply : scratch, "metrics", FLWR_CONFIGS);
	gives = method->gives & HAS_PARAMETERS;
	res->parameters = res_record(method, gives ? reply : scratch, "parameters", FLWR_ARRAYS);
	/* The program is not called with records that are not there: it would have to say why. */
	return made && res->properties && res->metrics && res->parameters
		       ? 0
		       : error_set(FLWR_E_MEMORY, "no memory for a reply");
}

static int put_status(
	const struct method *method, struct flwr_dict *reply, int64_t code, const char *message)
{
	struct flwr_record *status = res_record(method, reply, "status", FLWR_CONFIGS);
	int r = flwr_set_int(status, "code", code);

	return r ? r : flwr_set_string(status, "message", message);
}

/* Flower's Scalar: none of Python's lists. */
static int check_scalars(const struct flwr_record *record, const char *what)
{
	for (size_t i = 0; i < flwr_record_count(record); i++) {
		const char *key = flwr_record_key(record, i);
		struct flwr_value value;

		if (flwr_get_value(record, key, &value) == 0 &&
			value.type >= FLWR_VALUE_DOUBLE_LIST)
			return error_set(FLWR_E_APP,
				"%s \"%.100s\" is a list, which a legacy message cannot carry",
				what, key);
	}
	return 0;
}

static int put_res(const struct method *method, struct flwr_dict *reply, const struct flwr_res *res)
{
	int r = 0;

	if (method->gives & HAS_LOSS)
		r = flwr_set_double(
			res_record(method, reply, "loss", FLWR_METRICS), "loss", res->loss);
	if (r == 0 && method->gives & HAS_EXAMPLES)
		r = flwr_set_int(res_record(method, reply, "num_examples", FLWR_METRICS),
			"num_examples", res->num_examples);
	if (r == 0 && method->gives & HAS_METRICS)
		r = check_scalars(res->metrics, "metric");
	if (r == 0 && method->gives & HAS_PROPERTIES)
		r = check_scalars(res->properties, "property");
	return r ? r
		 : put_status(method, reply, res->status_code,
			   res->status_message ? res->status_message : "Success");
}

static int put_not_implemented(const struct method *method, struct flwr_dict *reply)
{
	const struct flwr_res nothing = {.status_code = (int32_t)method->not_implemented};
	struct flwr_res res = nothing;
	char message[64];

	snprintf(message, sizeof message, "Client does not implement `%s`", method->name);
	res.status_message = message;
	return put_res(method, reply, &res);
}

static int call_method(const struct settings *settings, const struct method *method,
	const struct flwr_client *client, struct flwr_call *call)
{
	auto_(dict_free_at_exit) struct flwr_dict *scratch = flwr_dict_new();
	flwr_method_fn *function = function_of(client, method);
	struct flwr_ins ins = {.user = client->user};
	struct flwr_res res = {0};
	int r = scratch ? 0 : error_set(FLWR_E_MEMORY, "no memory for a reply");

	if (r == 0)
		r = take_ins(settings, method, call, scratch, &ins);
	if (r == 0)
		r = make_res(method, call->reply, scratch, &res);
	if (r)
		return r;
	if (!function)
		return put_not_implemented(method, call->reply);
	call_begin(method->name);
	r = call_result(function(&ins, &res), method->name);
	return r ? r : put_res(method, call->reply, &res);
}

/* ---- the client ---- */

static int call_made(const struct settings *settings, const struct method *method,
	struct flwr_client *made, struct flwr_call *call)
{
	struct flwr_client client = {0};
	int r = settings_client(made, &client);

	if (r == 0)
		r = call_method(settings, method, &client, call);
	if (client.release)
		client.release(made);
	return r;
}

int client_call(const struct settings *settings, struct flwr_call *call)
{
	const struct method *method = method_of(call->message->type);
	struct flwr_client *made;

	if (!method)
		return error_set(FLWR_E_APP, "Invalid message type: %.100s", call->message->type);
	if (settings->has_client)
		return call_method(settings, method, &settings->client, call);
	call_begin("client_fn");
	made = settings->client_fn(call->context, settings->client_user);
	return made ? call_made(settings, method, made, call)
		    : call_result(FLWR_FAILED, "client_fn");
}

/* ---- the form of the reply ---- */

static int set_text(char **text, const char *value)
{
	char *copy = strdup(value);

	if (!copy)
		return -ENOMEM;
	free(*text);
	*text = copy;
	return 0;
}

static int shape_array(struct array *array, size_t index)
{
	char key[24];
	int r;

	snprintf(key, sizeof key, "%zu", index);
	free(array->shape);
	array->shape = NULL;
	array->n_shape = 0;
	r = set_text(&array->key, key);
	return r ? r : set_text(&array->dtype, "");
}

static int add_empty(struct record *record)
{
	struct array *array = record_add_array(record, EMPTY_KEY);

	return array ? set_text(&array->stype, NUMPY) : -ENOMEM;
}

int client_shape_reply(struct record_dict *reply)
{
	int r = 0;

	for (size_t i = 0; i < reply->n && r == 0; i++) {
		struct record *record = &reply->v[i];

		if (record->kind == RECORD_ARRAYS && record->n_arrays == 0)
			r = add_empty(record);
		else
			for (size_t k = 0; k < record->n_arrays && r == 0; k++)
				r = shape_array(&record->arrays[k], k);
	}
	return r;
}
