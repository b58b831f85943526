/*
 * A Client's four methods: what is asked of them comes out of legacy records, what they answer goes
 * into some; what is left out, wrong or missing has Flower's words or a sentence.
 */
#include "common/base/cleanup.h"
#include "common/records/records.h"
#include "kit/test.h"
#include "libflwr/app/call_internal.h"
#include "libflwr/app/dict_internal.h"
#include "libflwr/node/client_calls.h"

struct rig {
	struct call_context context;
	struct flwr_dict *content, *reply, *state;
	struct flwr_message message;
	struct settings settings;
	int calls, releases;
	const char *answers; /* the method's result */
};

static struct rig rig;

/* ---- the client ---- */

static int method(const struct flwr_ins *ins, struct flwr_res *res)
{
	struct rig *own = ins->user;
	const int64_t two = 2;
	const float numbers[] = {1, 2};

	own->calls++;
	assert_ptr_equal(ins->context, &rig.context.pub);
	flwr_set_array(res->parameters, "any", FLWR_FLOAT32, 1, &two, numbers);
	flwr_set_int(res->metrics, "m", 5);
	flwr_set_string(res->properties, "p", "text");
	res->num_examples = 7;
	res->loss = 0.5;
	return own->answers ? flwr_fail(own->answers) : 0;
}

static int lists(const struct flwr_ins *ins, struct flwr_res *res)
{
	const int64_t values[] = {1, 2};

	return flwr_set_ints(res->metrics, "m", values, 2);
}

static int same(const struct flwr_ins *ins, struct flwr_res *res)
{
	res->status_code = 9;
	res->status_message = "tired";
	return flwr_record_copy(res->parameters, ins->parameters);
}

static int minus_one(const struct flwr_ins *ins, struct flwr_res *res)
{
	return -1;
}

static int setup(void **state)
{
	memset(&rig, 0, sizeof rig);
	context_init(&rig.context, NULL, NULL, 0);
	rig.content = flwr_dict_new();
	rig.reply = flwr_dict_new();
	rig.state = flwr_dict_new();
	rig.context.pub.state = rig.state;
	rig.settings.has_client = true;
	rig.settings.client = (struct flwr_client){.size = sizeof(struct flwr_client),
		.user = &rig,
		.get_properties = method,
		.get_parameters = method,
		.fit = method,
		.evaluate = method};
	return 0;
}

static int teardown(void **state)
{
	flwr_dict_free(rig.content);
	flwr_dict_free(rig.reply);
	flwr_dict_free(rig.state);
	return 0;
}

static int call(const char *type)
{
	struct flwr_call all = {.content = rig.content,
		.reply = rig.reply,
		.context = &rig.context.pub,
		.message = &rig.message};

	rig.message.type = type;
	return client_call(&rig.settings, &all);
}

static struct flwr_record *give(const char *name, enum flwr_kind kind)
{
	struct flwr_record *record = flwr_dict_add(rig.content, name, kind);

	assert_non_null(record);
	return record;
}

static void expect_error(const char *type, const char *sentence)
{
	assert_true(call(type) < 0);
	if (!strstr(flwr_error(), sentence))
		fail_msg("'%s' is not in: %s", sentence, flwr_error());
}

/* The reply has exactly these records, in this order. */
static void expect_records(const char *const *names, size_t n)
{
	assert_int_equal(flwr_dict_count(rig.reply), n);
	for (size_t i = 0; i < n; i++)
		assert_string_equal(flwr_record_name(flwr_dict_at(rig.reply, i)), names[i]);
}

static void expect_status(const char *name, int64_t code, const char *message)
{
	const struct flwr_record *status = flwr_dict_get(rig.reply, name);
	const char *text = NULL;
	int64_t number = -1;

	assert_int_equal(flwr_get_int(status, "code", &number), 0);
	assert_int_equal(number, code);
	assert_int_equal(flwr_get_string(status, "message", &text), 0);
	assert_string_equal(text, message);
}

/* ---- tests ---- */

static void each_method_has_its_records(void **state)
{
	static const char *const fit[] = {
		"fitres.num_examples", "fitres.metrics", "fitres.parameters", "fitres.status"};
	static const char *const evaluate[] = {"evaluateres.loss", "evaluateres.num_examples",
		"evaluateres.metrics", "evaluateres.status"};
	static const char *const parameters[] = {
		"getparametersres.parameters", "getparametersres.status"};
	static const char *const properties[] = {
		"getpropertiesres.properties", "getpropertiesres.status"};
	int64_t number = 0;
	double loss = 0;

	give("fitins.parameters", FLWR_ARRAYS);
	give("fitins.config", FLWR_CONFIGS);
	give("evaluateins.parameters", FLWR_ARRAYS);
	give("evaluateins.config", FLWR_CONFIGS);
	give("getparametersins.config", FLWR_CONFIGS);
	give("getpropertiesins.config", FLWR_CONFIGS);
	assert_int_equal(call("train"), 0);
	expect_records(fit, ARRAY_LEN(fit));
	expect_status("fitres.status", 0, "Success");
	assert_int_equal(flwr_get_int(flwr_dict_get(rig.reply, "fitres.num_examples"),
				 "num_examples", &number),
		0);
	assert_int_equal(number, 7);
	flwr_dict_clear(rig.reply);
	assert_int_equal(call("evaluate"), 0);
	expect_records(evaluate, ARRAY_LEN(evaluate));
	assert_int_equal(
		flwr_get_double(flwr_dict_get(rig.reply, "evaluateres.loss"), "loss", &loss), 0);
	assert_true(loss == 0.5);
	flwr_dict_clear(rig.reply);
	assert_int_equal(call("get_parameters"), 0);
	expect_records(parameters, ARRAY_LEN(parameters));
	flwr_dict_clear(rig.reply);
	assert_int_equal(call("get_properties"), 0);
	expect_records(properties, ARRAY_LEN(properties));
	assert_int_equal(rig.calls, 4);
}

static void methods_that_are_left_out(void **state)
{
	static const struct {
		const char *type, *status, *message;
	} rows[] = {
		{"get_properties", "getpropertiesres.status",
			"Client does not implement `get_properties`"},
		{"get_parameters", "getparametersres.status",
			"Client does not implement `get_parameters`"},
		{"train", "fitres.status", "Client does not implement `fit`"},
		{"evaluate", "evaluateres.status", "Client does not implement `evaluate`"},
	};

	each_method_has_its_records(state);
	rig.settings.client = (struct flwr_client){.size = sizeof(struct flwr_client)};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		flwr_dict_clear(rig.reply);
		assert_int_equal(call(rows[i].type), 0);
		expect_status(rows[i].status, (int64_t)i + 1, rows[i].message);
	}
	assert_int_equal(rig.calls, 4);
}

static void failures(void **state)
{
	expect_error("query", "Invalid message type: query");
	expect_error("train.custom", "Invalid message type: train.custom");
	expect_error("train", "no record \"fitins.parameters\"");
	give("fitins.parameters", FLWR_CONFIGS);
	expect_error("train", "no record \"fitins.parameters\"");
	flwr_dict_clear(rig.content);
	give("fitins.parameters", FLWR_ARRAYS);
	expect_error("train", "no record \"fitins.config\"");
	give("fitins.config", FLWR_CONFIGS);
	assert_int_equal(rig.calls, 0);
	rig.answers = "no data";
	expect_error("train", "no data");
	rig.settings.client.fit = minus_one;
	expect_error("train", "fit returned -1");
	rig.settings.client.fit = lists;
	expect_error("train", "metric \"m\" is a list");
}

static void the_empty_array_is_none(void **state)
{
	struct flwr_record *parameters = give("fitins.parameters", FLWR_ARRAYS);

	give("fitins.config", FLWR_CONFIGS);
	flwr_set_tensor(parameters, "_empty", "numpy.ndarray", "", 0);
	rig.settings.client.fit = same;
	assert_int_equal(call("train"), 0);
	assert_int_equal(flwr_record_count(flwr_dict_get(rig.reply, "fitres.parameters")), 0);
	expect_status("fitres.status", 9, "tired");
}

static void a_numpy_client_takes_numbers_only(void **state)
{
	struct flwr_record *parameters = give("fitins.parameters", FLWR_ARRAYS);

	give("fitins.config", FLWR_CONFIGS);
	flwr_set_tensor(parameters, "0", "own.form", "abc", 3);
	rig.settings.client.fit = same;
	assert_int_equal(call("train"), 0);
	flwr_dict_clear(rig.reply);
	rig.settings.numpy = true;
	assert_int_equal(call("train"), FLWR_E_DATA);
	assert_non_null(strstr(flwr_error(), "0"));
}

static void on_release(struct flwr_client *client)
{
	rig.releases++;
	free(client);
}

static struct flwr_client *make(struct flwr_context *context, void *user)
{
	struct flwr_client *client;

	assert_ptr_equal(context, &rig.context.pub);
	assert_ptr_equal(user, &rig);
	if (rig.answers) {
		flwr_fail(rig.answers);
		return NULL;
	}
	client = malloc(sizeof *client);
	*client = rig.settings.client;
	client->release = on_release;
	return client;
}

static void a_client_for_each_message(void **state)
{
	give("getpropertiesins.config", FLWR_CONFIGS);
	rig.settings.has_client = false;
	rig.settings.client_fn = make;
	rig.settings.client_user = &rig;
	for (int i = 1; i <= 2; i++) {
		flwr_dict_clear(rig.reply);
		assert_int_equal(call("get_properties"), 0);
		assert_int_equal(rig.releases, i);
	}
	rig.answers = "no client today";
	expect_error("get_properties", "no client today");
	rig.answers = NULL;
	flwr_dict_clear(rig.reply);
	rig.settings.client.get_properties = minus_one;
	expect_error("get_properties", "get_properties returned -1");
	assert_int_equal(rig.releases, 3);
}

static void the_form_of_parameters(void **state)
{
	auto_(record_dict_done) struct record_dict reply = {0};
	struct record *record;
	struct array *array;

	record_dict_add(&reply, "none", RECORD_ARRAYS);
	record_dict_add(&reply, "values", RECORD_CONFIGS);
	record = record_dict_add(&reply, "two", RECORD_ARRAYS);
	array = record_add_array(record, "weights");
	free(array->dtype);
	array->dtype = strdup("float32");
	array->shape = calloc(2, sizeof *array->shape);
	array->n_shape = 2;
	record_add_array(record, "bias");
	assert_int_equal(client_shape_reply(&reply), 0);
	assert_int_equal(reply.v[0].n_arrays, 1);
	assert_string_equal(reply.v[0].arrays[0].key, "_empty");
	assert_string_equal(reply.v[0].arrays[0].stype, "numpy.ndarray");
	assert_int_equal(reply.v[1].n_arrays, 0);
	assert_string_equal(reply.v[2].arrays[0].key, "0");
	assert_string_equal(reply.v[2].arrays[0].dtype, "");
	assert_int_equal(reply.v[2].arrays[0].n_shape, 0);
	assert_string_equal(reply.v[2].arrays[1].key, "1");
}

#define RIG_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(each_method_has_its_records),
		RIG_TEST(methods_that_are_left_out),
		RIG_TEST(failures),
		RIG_TEST(the_empty_array_is_none),
		RIG_TEST(a_numpy_client_takes_numbers_only),
		RIG_TEST(a_client_for_each_message),
		RIG_TEST(the_form_of_parameters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
