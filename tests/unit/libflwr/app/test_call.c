#include "expect.h"
#include "libflwr/app/call_internal.h"
#include "libflwr/app/dict.h"

/* A text for a table's user pointer, which is not const. */
#define TEXT(text) ((char[]){text})

struct rig {
	struct flwr_dict *content, *reply, *state;
	struct call_context context;
	struct flwr_message message;
	struct flwr_call call;
};

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof *rig);

	assert_non_null(rig);
	rig->content = flwr_dict_new();
	rig->reply = flwr_dict_new();
	rig->state = flwr_dict_new();
	context_init(&rig->context, NULL, NULL, 0);
	rig->context.pub.state = rig->state;
	rig->message.id = rig->message.group_id = "";
	rig->call = (struct flwr_call){.content = rig->content,
		.reply = rig->reply,
		.context = &rig->context.pub,
		.message = &rig->message};
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	flwr_dict_free(rig->content);
	flwr_dict_free(rig->reply);
	flwr_dict_free(rig->state);
	free(rig);
	return 0;
}

static int gives(struct flwr_call *call)
{
	return *(const int *)call->user;
}

static int has_a_reason(struct flwr_call *call)
{
	return flwr_failf("no data in %s", (const char *)call->user);
}

static int passes_on(struct flwr_call *call)
{
	double lr;

	return flwr_get_double(flwr_dict_get(call->content, "config"), "lr", &lr);
}

static int spoils_reply(struct flwr_call *call)
{
	flwr_set_string(flwr_dict_add(call->reply, "m", FLWR_METRICS), "s", "x");
	return 0;
}

static int spoils_state(struct flwr_call *call)
{
	flwr_set_string(flwr_dict_add(call->context->state, "m", FLWR_METRICS), "s", "x");
	return 0;
}

static int run(struct rig *rig, const char *type, const struct flwr_clientapp *app)
{
	rig->message.type = type;
	flwr_dict_clear(rig->reply);
	flwr_dict_clear(rig->state);
	flwr_fail("of an earlier call");
	return call_run(app, &rig->call);
}

static int run_one(struct rig *rig, flwr_handler_fn *handle, void *user)
{
	const struct flwr_handler handlers[] = {{"train", handle, user}, {0}};
	const struct flwr_clientapp app = {sizeof app, FLWR_VERSION, handlers, NULL};

	return run(rig, "train", &app);
}

static void results_become_sentences(void **state)
{
	struct rig *rig = *state;
	int result;

	for (result = FLWR_E_SYSTEM; result <= FLWR_FAILED; result++) {
		assert_int_equal(run_one(rig, gives, &result), FLWR_E_APP);
		assert_string_equal(flwr_error(), "train failed without a reason");
	}
	for (result = FLWR_ABSENT; result <= FLWR_ENDED; result++) {
		assert_int_equal(run_one(rig, gives, &result), FLWR_E_APP);
		assert_string_equal(flwr_error(), "train failed without a reason");
	}
	result = -1;
	assert_int_equal(run_one(rig, gives, &result), FLWR_E_APP);
	assert_string_equal(flwr_error(), "train returned -1");
	result = 3;
	assert_int_equal(run_one(rig, gives, &result), FLWR_E_APP);
	assert_string_equal(flwr_error(), "train returned 3");
	result = 0;
	assert_int_equal(run_one(rig, gives, &result), 0);
	assert_int_equal(run_one(rig, has_a_reason, TEXT("here")), FLWR_E_APP);
	assert_string_equal(flwr_error(), "no data in here");
	assert_int_equal(run_one(rig, passes_on, NULL), FLWR_E_APP);
	assert_string_equal(flwr_error(), "there is no record \"config\"; there is none");
}

static void spoilt_replies_are_not_sent(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(run_one(rig, spoils_reply, NULL), FLWR_E_APP);
	expect_sentence("the reply of train cannot be sent: m holds metrics", __LINE__);
	assert_int_equal(run_one(rig, spoils_state, NULL), FLWR_E_APP);
	expect_sentence("the state that train left cannot be kept: m holds metrics", __LINE__);
}

static void a_call_may_have_no_state(void **state)
{
	struct rig *rig = *state;
	int result = 0;

	rig->context.pub.state = NULL;
	assert_int_equal(run_one(rig, gives, &result), 0);
}

static void handlers_are_found_by_type(void **state)
{
	struct rig *rig = *state;
	int one = FLWR_E_DATA, two = 7;
	const struct flwr_handler handlers[] = {{"train.default", gives, &two},
		{"train.own", gives, &one}, {"evaluate", has_a_reason, TEXT("e")}, {0}};
	const struct flwr_clientapp app = {sizeof app, FLWR_VERSION, handlers, NULL};
	static const struct {
		const char *type, *sentence;
	} rows[] = {
		{"train", "train returned 7"},
		{"train.default", "train.default returned 7"},
		{"train.own", "train.own failed without a reason"},
		{"evaluate", "no data in e"},
		{"evaluate.default", "no data in e"},
		{"train.other", "No train function registered with name 'other'"},
		{"evaluate.x", "No evaluate function registered with name 'x'"},
		{"query", "No query function registered with name 'default'"},
		{"system", "Invalid message type: system"},
		{"train.a.b", "Invalid message type: train.a.b"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(run(rig, rows[i].type, &app), FLWR_E_APP);
		assert_string_equal(flwr_error(), rows[i].sentence);
	}
	assert_null(rig->call.user);
}

/* The calls in order: each mod and handler adds its letter; mods a capital one afterwards.
 */
static char trace[64];

static void add_letter(char letter)
{
	const size_t len = strlen(trace);

	trace[len] = letter;
	trace[len + 1] = '\0';
}

static int traced(struct flwr_call *call)
{
	add_letter(*(const char *)call->user);
	return flwr_set_int(flwr_dict_add(call->reply, "m", FLWR_METRICS), "n", 1);
}

static int traced_mod(struct flwr_call *call, struct flwr_next *next)
{
	const char *letter = call->user;
	int r;

	add_letter(*letter);
	r = flwr_call_next(next);
	assert_ptr_equal(call->user, letter);
	add_letter((char)(*letter - 'a' + 'A'));
	return r;
}

static void mods_are_called_from_the_outermost(void **state)
{
	struct rig *rig = *state;
	const struct flwr_handler handlers[] = {
		{"train", traced, TEXT("h")}, {"query.x", traced, TEXT("q")}, {0}};
	const struct flwr_mod mods[] = {{NULL, traced_mod, TEXT("a")},
		{"train", traced_mod, TEXT("b")}, {"query.x", traced_mod, TEXT("c")},
		{"train.default", traced_mod, TEXT("d")}, {0}};
	const struct flwr_clientapp app = {sizeof app, FLWR_VERSION, handlers, mods};

	trace[0] = '\0';
	assert_int_equal(run(rig, "train", &app), 0);
	assert_string_equal(trace, "abdhDBA");
	trace[0] = '\0';
	assert_int_equal(run(rig, "query.x", &app), 0);
	assert_string_equal(trace, "acqCA");
	trace[0] = '\0';
	assert_int_equal(run(rig, "evaluate", &app), FLWR_E_APP);
	assert_string_equal(trace, "aA");
	assert_string_equal(flwr_error(), "No evaluate function registered with name 'default'");
}

static int answers_itself(struct flwr_call *call, struct flwr_next *next)
{
	return flwr_set_int(flwr_dict_add(call->reply, "mine", FLWR_METRICS), "n", 2);
}

static int forgives(struct flwr_call *call, struct flwr_next *next)
{
	int r = flwr_call_next(next);

	assert_int_equal(r, FLWR_E_APP); /* whatever it was that the handler returned */
	assert_string_equal(flwr_error(), call->user);
	flwr_dict_clear(call->reply);
	return 0;
}

static int returns_minus_two(struct flwr_call *call, struct flwr_next *next)
{
	return -2;
}

static int spoils_content(struct flwr_call *call, struct flwr_next *next)
{
	flwr_set_string(flwr_dict_add(call->content, "m", FLWR_METRICS), "s", "x");
	return flwr_call_next(next);
}

static int calls_twice(struct flwr_call *call, struct flwr_next *next)
{
	int r = flwr_call_next(next);

	return r == 0 ? flwr_call_next(next) : r;
}

static int run_mod(
	struct rig *rig, flwr_mod_fn *mod, const char *user, const struct flwr_handler *handler)
{
	const struct flwr_handler handlers[] = {*handler, {0}};
	const struct flwr_mod mods[] = {{NULL, mod, (void *)(uintptr_t)user}, {0}};
	const struct flwr_clientapp app = {sizeof app, FLWR_VERSION, handlers, mods};

	return run(rig, "train", &app);
}

static void mods_decide_what_becomes_of_a_call(void **state)
{
	struct rig *rig = *state;
	int minus_one = -1;

	trace[0] = '\0';
	assert_int_equal(run_mod(rig, answers_itself, NULL,
				 &(struct flwr_handler){"train", traced, TEXT("h")}),
		0);
	assert_string_equal(trace, "");
	assert_non_null(flwr_dict_get(rig->reply, "mine"));
	assert_int_equal(
		run_mod(rig, calls_twice, NULL, &(struct flwr_handler){"train", traced, TEXT("h")}),
		0);
	assert_string_equal(trace, "hh");
	assert_int_equal(run_mod(rig, forgives, "train returned -1",
				 &(struct flwr_handler){"train", gives, &minus_one}),
		0);
	assert_int_equal(flwr_dict_count(rig->reply), 0);
	assert_int_equal(run_mod(rig, forgives, "no data in x",
				 &(struct flwr_handler){"train", has_a_reason, TEXT("x")}),
		0);
	assert_int_equal(run_mod(rig, returns_minus_two, NULL,
				 &(struct flwr_handler){"train", traced, TEXT("h")}),
		FLWR_E_APP);
	assert_string_equal(flwr_error(), "a mod of train returned -2");
	trace[0] = '\0';
	assert_int_equal(run_mod(rig, spoils_content, NULL,
				 &(struct flwr_handler){"train", traced, TEXT("h")}),
		FLWR_E_APP);
	expect_sentence("the content cannot be handed on: m holds metrics", __LINE__);
	assert_string_equal(trace, "");
}

static void next_is_of_this_call(void **state)
{
	const void *foreign = NULL;

	assert_fails(flwr_call_next(NULL), FLWR_E_ARGUMENT, "the flwr_next is none of this call's");
	assert_fails(flwr_call_next((struct flwr_next *)&foreign), FLWR_E_ARGUMENT,
		"none of this call's");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(results_become_sentences, setup, teardown),
		cmocka_unit_test_setup_teardown(spoilt_replies_are_not_sent, setup, teardown),
		cmocka_unit_test_setup_teardown(a_call_may_have_no_state, setup, teardown),
		cmocka_unit_test_setup_teardown(handlers_are_found_by_type, setup, teardown),
		cmocka_unit_test_setup_teardown(
			mods_are_called_from_the_outermost, setup, teardown),
		cmocka_unit_test_setup_teardown(
			mods_decide_what_becomes_of_a_call, setup, teardown),
		cmocka_unit_test(next_is_of_this_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
