/*
 * The life of a worker, with stand-ins for the SuperNode, the app process and the installation of
 * its FAB; the test is the agent. Time passes when a test says so.
 */
#include "clientapp/api/conversation.h"
#include "clientapp/run/app_host.h"
#include "clientapp/worker.h"
#include "common/fab/install.h"
#include "common/launch/agent_client.h"
#include "kit/clock.h"
#include "kit/log.h"
#include "kit/loop.h"

#include <fcntl.h>
#include <sys/socket.h>

/* The arguments that the stand-ins were called with, and the results that they give. */
static struct {
	conversation_pulled_fn *pulled;
	conversation_pushed_fn *pushed;
	void *conversation_arg;
	unsigned pushes;
	bool pushed_error;
	int64_t code;
	char reason[512];
	app_host_fn *said;
	void *app_arg;
	unsigned tasks;
	bool app_has_error;
	int install_result;
	unsigned installs;
	const char *component; /* of the app's manifest */
	bool refused;
	unsigned done;
} world;

/* ---- the stand-ins ---- */

int __wrap_conversation_new(struct loop *loop, struct rpc *rpc, struct log *log,
	const struct conversation_options *options, struct conversation **out);
int __wrap_conversation_new(struct loop *loop, struct rpc *rpc, struct log *log,
	const struct conversation_options *options, struct conversation **out)
{
	assert_int_equal(options->token, 41);
	assert_int_equal(options->content_max_bytes, 1000);
	*out = NULL;
	return 0;
}

int __wrap_conversation_pull(
	struct conversation *conversation, conversation_pulled_fn *done, void *arg);
int __wrap_conversation_pull(
	struct conversation *conversation, conversation_pulled_fn *done, void *arg)
{
	world.pulled = done;
	world.conversation_arg = arg;
	return 0;
}

int __wrap_conversation_push(struct conversation *conversation, struct conversation_reply *reply,
	conversation_pushed_fn *done, void *arg);
int __wrap_conversation_push(struct conversation *conversation, struct conversation_reply *reply,
	conversation_pushed_fn *done, void *arg)
{
	world.pushes++;
	world.pushed = done;
	world.pushed_error = reply->message.has_error;
	world.code = reply->message.error_code;
	snprintf(world.reason, sizeof world.reason, "%s",
		reply->message.error_reason ? reply->message.error_reason : "");
	assert_true(reply->has_context || reply->context_bytes.bytes == 7);
	conversation_reply_done(reply);
	return 0;
}

struct app_host *app_host_new(struct loop *loop, int fd, app_host_fn *fn, void *arg)
{
	close(fd);
	world.said = fn;
	world.app_arg = arg;
	return (void *)&world;
}

int app_host_run(struct app_host *host, const struct app_task *task)
{
	assert_string_equal(task->app_dir, "/home/apps/x");
	world.tasks++;
	return 0;
}

void app_host_take_reply(struct app_host *host, struct app_reply *out)
{
	*out = (struct app_reply){.has_context = true, .has_error = world.app_has_error};
	if (out->has_error) {
		out->error_code = 2;
		out->error_reason = strdup("division by zero");
	}
}

const char *app_host_reason(const struct app_host *host)
{
	return "the app said nonsense";
}

bool app_host_refused(const struct app_host *host)
{
	return world.refused;
}

const char *app_host_hello_text(const struct app_host *host)
{
	return "";
}

bool app_host_ended(struct app_host *host)
{
	return true;
}

void app_host_free(struct app_host *host)
{
}

int __wrap_fab_check_hash(const struct slices *content, const char *hash,
	const struct fab_limits *limits, struct reason *why);
int __wrap_fab_check_hash(const struct slices *content, const char *hash,
	const struct fab_limits *limits, struct reason *why)
{
	return 0;
}

int __wrap_fab_install(const struct slices *content, const struct fab_install_options *options,
	struct manifest *manifest_out, char **dir_out, struct reason *why);
int __wrap_fab_install(const struct slices *content, const struct fab_install_options *options,
	struct manifest *manifest_out, char **dir_out, struct reason *why)
{
	world.installs++;
	if (world.install_result)
		return reason_code(why, world.install_result, "the FAB is of no use");
	*dir_out = strdup("/home/apps/x");
	manifest_out->fab_id = strdup("lab/robot");
	manifest_out->clientapp = strdup(world.component);
	return 0;
}

/* ---- a worker ---- */

struct rig {
	struct loop *loop;
	struct kit_log log;
	int agent; /* the agent's end of the control socket */
	struct worker *worker;
};

static void on_done(void *arg)
{
	world.done++;
}

static int start_worker(void **state, bool names_apps)
{
	static struct rig rig;
	const struct control_start start = {.token = 41,
		.address = (char *)"127.0.0.1:9094",
		.flwr_home = (char *)"/home",
		.content_max_bytes = 1000,
		.names_apps = names_apps};
	int ends[2];

	memset(&world, 0, sizeof world);
	world.component = "robot.client_app:app";
	memset(&rig, 0, sizeof rig);
	kit_log_init(&rig.log, NULL, LOG_LEVEL_INFO);
	assert_int_equal(loop_new(&rig.loop), 0);
	kit_clock_start(rig.loop);
	assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), errno);
	rig.agent = ends[0];
	assert_int_equal(worker_new(rig.loop, NULL, rig.log.log,
				 &(struct worker_options){
					 .start = &start, .control = ends[1], .done = on_done},
				 &rig.worker),
		0);
	worker_start(rig.worker);
	*state = &rig;
	return 0;
}

static int setup(void **state)
{
	struct control_message message;
	int r = start_worker(state, false);

	assert_int_equal(control_receive(((struct rig *)*state)->agent, &message), 1);
	assert_int_equal(message.kind, CONTROL_APP_START);
	assert_null(message.app.fab_id);
	return r;
}

/* Its agent wants to know which app a process is for. */
static int setup_naming(void **state)
{
	struct control_message message;
	int r = start_worker(state, true);

	assert_int_equal(control_receive(((struct rig *)*state)->agent, &message), -EAGAIN);
	return r;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	worker_free(rig->worker);
	close_fd(&rig->agent);
	kit_clock_done();
	loop_free(rig->loop);
	kit_log_done(&rig->log);
	return 0;
}

static void text_slices(struct slices *out, const char *text)
{
	assert_int_equal(slices_append_copy(out, text, strlen(text)), 0);
}

/* The inputs of a message that can be run. */
static struct conversation_inputs good_inputs(void)
{
	struct conversation_inputs inputs = {.message = {.has_content = true}};

	inputs.message.metadata.message_id = strdup("m");
	inputs.message.metadata.message_type = strdup("train");
	inputs.message.metadata.reply_to_message_id = strdup("");
	inputs.message.metadata.group_id = strdup("");
	inputs.run.fab_hash = strdup("hash");
	text_slices(&inputs.fab, "fab");
	text_slices(&inputs.context_bytes, "context");
	return inputs;
}

static void give(struct conversation_inputs inputs)
{
	world.pulled(world.conversation_arg, OUTCOME_OK, &inputs, "");
	conversation_inputs_done(&inputs);
}

static void agent_says(struct rig *rig, const struct control_message *message)
{
	assert_int_equal(control_send(rig->agent, message), 0);
	loop_step(rig->loop, 1000);
}

static void app_of_kind_starts(struct rig *rig, bool native)
{
	auto_(close_at_exit) int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	const struct control_message message = {
		.kind = CONTROL_APP_STARTED, .fd = fd, .native = native};

	agent_says(rig, &message);
}

static void app_starts(struct rig *rig)
{
	app_of_kind_starts(rig, false);
}

/* A worker whose app has its task. */
static void run_app(struct rig *rig)
{
	give(good_inputs());
	app_starts(rig);
	kit_loop_until(rig->loop, world.tasks == 1);
}

static void outputs_are(enum outcome outcome, uint64_t bytes)
{
	world.pushed(world.conversation_arg, outcome, "", bytes);
}

static void agent_hears(struct rig *rig, enum control_kind kind)
{
	struct control_message message;

	assert_int_equal(control_receive(rig->agent, &message), 1);
	assert_int_equal(message.kind, kind);
}

/* ---- replies ---- */

static void the_reply_of_an_app_is_pushed(void **state)
{
	struct rig *rig = *state;

	run_app(rig);
	world.said(world.app_arg, APP_HOST_REPLY);
	assert_int_equal(world.pushes, 1);
	assert_false(world.pushed_error);
	assert_int_equal(world.done, 0);
	outputs_are(OUTCOME_OK, 100);
	assert_int_equal(world.done, 1);
	assert_true(worker_succeeded(rig->worker));
}

static void an_app_that_is_quicker_than_the_inputs_waits_for_them(void **state)
{
	struct rig *rig = *state;

	app_starts(rig);
	assert_int_equal(world.tasks, 0);
	give(good_inputs());
	kit_loop_until(rig->loop, world.tasks == 1);
}

static void the_error_of_an_app_is_an_answer(void **state)
{
	struct rig *rig = *state;

	world.app_has_error = true;
	run_app(rig);
	world.said(world.app_arg, APP_HOST_REPLY);
	assert_int_equal(world.code, 2);
	outputs_are(OUTCOME_OK, 100);
	assert_true(worker_succeeded(rig->worker));
}

static void a_reply_that_is_too_large_becomes_an_error_once(void **state)
{
	struct rig *rig = *state;

	run_app(rig);
	world.said(world.app_arg, APP_HOST_REPLY);
	outputs_are(OUTCOME_RESOURCE_EXHAUSTED, 1 << 30);
	assert_int_equal(world.pushes, 2);
	assert_int_equal(world.code, ERROR_CODE_CLIENT_APP_CRASHED);
	assert_non_null(strstr(world.reason, "1073741824 bytes are too large"));
	outputs_are(OUTCOME_RESOURCE_EXHAUSTED, 1 << 30);
	assert_int_equal(world.pushes, 2);
	assert_int_equal(world.done, 1);
	assert_false(worker_succeeded(rig->worker));
}

static void without_inputs_there_is_no_reply(void **state)
{
	struct rig *rig = *state;
	struct conversation_inputs none = {0};

	world.pulled(world.conversation_arg, OUTCOME_NOT_FOUND, &none, "who are you?");
	assert_int_equal(world.done, 1);
	assert_int_equal(world.pushes, 0);
	assert_false(worker_succeeded(rig->worker));
	assert_int_equal(kit_log_count(&rig->log, "gave no inputs: NOT_FOUND: who are you?"), 1);
}

static void inputs_that_cannot_be_run_are_answered(void **state)
{
	struct conversation_inputs inputs = good_inputs();

	slices_done(&inputs.fab);
	give(inputs);
	assert_int_equal(world.code, ERROR_CODE_INVALID_FAB);
	assert_string_equal(world.reason, "the run has no FAB");
}

static void records_over_the_budget_are_answered(void **state)
{
	struct conversation_inputs inputs = good_inputs();
	struct value value = {0};
	char bytes[1000] = "";

	assert_int_equal(value_set_bytes(&value, VALUE_BYTES, bytes, sizeof bytes), 0);
	assert_int_equal(
		value_map_set(&record_dict_add(&inputs.content, "r", RECORD_CONFIGS)->values, "b",
			&value),
		0);
	give(inputs);
	assert_int_equal(world.code, ERROR_CODE_CLIENT_APP_CRASHED);
	assert_string_equal(world.reason,
		"the message takes 1010 bytes when its arrays are written out for the app, and the memory budget is 1000 bytes");
	assert_int_equal(world.installs, 0);
}

/* What is over the budget was not built, so that nobody knows how large it is. */
static void a_message_that_was_not_read_to_its_end_is_answered(void **state)
{
	struct rig *rig = *state;
	struct conversation_inputs inputs = good_inputs();

	inputs.too_large = true;
	reason_set(&inputs.broken, "the records have more than 1000 bytes");
	give(inputs);
	assert_int_equal(world.code, ERROR_CODE_CLIENT_APP_CRASHED);
	assert_string_equal(world.reason,
		"the message takes more than 1000 bytes when its arrays are written out for the app, and the memory budget is 1000 bytes");
	assert_true(kit_log_count(&rig->log, "takes more than 1000 bytes") > 0);
	assert_int_equal(world.installs, 0);
}

static void a_fab_that_is_refused_is_answered(void **state)
{
	struct rig *rig = *state;

	world.install_result = -EBADMSG;
	give(good_inputs());
	kit_loop_until(rig->loop, world.pushes == 1);
	assert_int_equal(world.code, ERROR_CODE_INVALID_FAB);
	assert_string_equal(world.reason, "the FAB is of no use");
}

/* ---- native apps ---- */

static void run_named(struct rig *rig, bool native)
{
	struct control_message message;

	give(good_inputs());
	kit_loop_until(rig->loop, control_receive(rig->agent, &message) == 1);
	assert_int_equal(message.kind, CONTROL_APP_START);
	assert_string_equal(message.app.fab_id, "lab/robot");
	assert_string_equal(message.app.component, world.component);
	assert_string_equal(message.app.dir, "/home/apps/x");
	control_message_done(&message);
	app_of_kind_starts(rig, native);
	kit_loop_until(rig->loop, world.tasks == 1);
}

static void an_app_is_named_when_it_is_installed(void **state)
{
	struct rig *rig = *state;

	world.component = "native:robot.so";
	run_named(rig, true);
	world.said(world.app_arg, APP_HOST_REPLY);
	assert_int_equal(world.pushes, 1);
	assert_false(world.pushed_error);
}

static void what_a_native_app_cannot_do_is_no_matter_of_python(void **state)
{
	struct rig *rig = *state;

	world.refused = world.app_has_error = true;
	run_named(rig, true);
	world.said(world.app_arg, APP_HOST_REPLY);
	assert_int_equal(world.pushes, 1);
	assert_int_equal(kit_log_count(&rig->log, "install the flwr package"), 0);
}

static void a_python_without_flwr_is_told_of(void **state)
{
	struct rig *rig = *state;

	world.refused = world.app_has_error = true;
	run_named(rig, false);
	world.said(world.app_arg, APP_HOST_REPLY);
	assert_int_equal(kit_log_count(&rig->log, "install the flwr package"), 1);
}

static void a_native_app_that_does_not_load_in_time_is_answered_for(void **state)
{
	struct rig *rig = *state;

	run_named(rig, true);
	world.said(world.app_arg, APP_HOST_SILENT);
	assert_int_equal(world.code, ERROR_CODE_CLIENT_APP_CRASHED);
	assert_non_null(strstr(world.reason, "the native app was not loaded within 120 s"));
}

static void a_fab_with_native_code_is_refused_where_no_app_is_native(void **state)
{
	struct rig *rig = *state;

	world.component = "native:robot.so";
	give(good_inputs());
	kit_loop_until(rig->loop, world.pushes == 1);
	assert_int_equal(world.code, ERROR_CODE_LOAD_CLIENT_APP);
	assert_non_null(strstr(world.reason, "--allow-native lab/robot"));
	agent_hears(rig, CONTROL_APP_STOP);
}

/* The agent has told why: there is no process. */
static void an_app_that_the_agent_refuses_is_answered_for(void **state)
{
	struct rig *rig = *state;
	struct control_message message = {.kind = CONTROL_APP_ENDED,
		.fd = -1,
		.end = {.kind = PROCESS_NOT_STARTED,
			.value = EACCES,
			.why = {.text = "the app brings native code"}}};
	struct control_message asked;

	give(good_inputs());
	kit_loop_until(rig->loop, control_receive(rig->agent, &asked) == 1);
	control_message_done(&asked);
	agent_says(rig, &message);
	assert_int_equal(world.code, ERROR_CODE_LOAD_CLIENT_APP);
	assert_string_equal(world.reason,
		"An exception was raised when attempting to load `ClientApp`: the app brings "
		"native code");
}

/* ---- the end of the app ---- */

static void app_ends(struct rig *rig)
{
	const struct control_message message = {
		.kind = CONTROL_APP_ENDED, .fd = -1, .end = {.kind = PROCESS_KILLED, .value = 11}};

	agent_says(rig, &message);
}

static void an_app_that_crashes_is_answered_for(void **state)
{
	struct rig *rig = *state;

	run_app(rig);
	app_ends(rig);
	assert_int_equal(world.pushes, 1);
	assert_int_equal(world.code, ERROR_CODE_CLIENT_APP_CRASHED);
	assert_non_null(strstr(world.reason, "SIGSEGV"));
}

static void an_app_that_crashes_before_the_inputs_are_there_is_answered_with_them(void **state)
{
	struct rig *rig = *state;

	app_ends(rig);
	assert_int_equal(world.pushes, 0);
	give(good_inputs());
	assert_int_equal(world.pushes, 1);
	assert_non_null(strstr(world.reason, "SIGSEGV"));
	assert_int_equal(world.installs, 0);
}

static void an_app_that_hangs_up_and_lives_on_is_stopped(void **state)
{
	struct rig *rig = *state;

	run_app(rig);
	world.said(world.app_arg, APP_HOST_HUNG_UP);
	kit_clock_pass(WORKER_GRACE_MS - 1);
	assert_int_equal(world.pushes, 0);
	kit_clock_pass(1);
	assert_int_equal(world.pushes, 1);
	assert_non_null(strstr(world.reason, "closed its connection without a reply"));
	agent_hears(rig, CONTROL_APP_STOP);
}

/* ---- giving up ---- */

static const struct control_message give_up = {.kind = CONTROL_GIVE_UP, .fd = -1};

static void told_to_give_up_it_stops_the_app_and_answers(void **state)
{
	struct rig *rig = *state;

	run_app(rig);
	agent_says(rig, &give_up);
	agent_hears(rig, CONTROL_APP_STOP);
	assert_int_equal(world.code, ERROR_CODE_CLIENT_APP_CRASHED);
	assert_string_equal(world.reason, "the worker was stopped");
	outputs_are(OUTCOME_OK, 10);
	assert_true(worker_succeeded(rig->worker));
}

static void told_to_give_up_before_the_inputs_are_there_it_ends_without_a_reply(void **state)
{
	struct rig *rig = *state;

	agent_says(rig, &give_up);
	assert_int_equal(world.done, 1);
	assert_int_equal(world.pushes, 0);
	assert_false(worker_succeeded(rig->worker));
}

#define TEST(function)        cmocka_unit_test_setup_teardown(function, setup, teardown)
#define NAMING_TEST(function) cmocka_unit_test_setup_teardown(function, setup_naming, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_reply_of_an_app_is_pushed),
		TEST(an_app_that_is_quicker_than_the_inputs_waits_for_them),
		TEST(the_error_of_an_app_is_an_answer),
		TEST(a_reply_that_is_too_large_becomes_an_error_once),
		TEST(without_inputs_there_is_no_reply),
		TEST(inputs_that_cannot_be_run_are_answered),
		TEST(records_over_the_budget_are_answered),
		TEST(a_message_that_was_not_read_to_its_end_is_answered),
		TEST(a_fab_that_is_refused_is_answered),
		NAMING_TEST(an_app_is_named_when_it_is_installed),
		NAMING_TEST(what_a_native_app_cannot_do_is_no_matter_of_python),
		NAMING_TEST(a_python_without_flwr_is_told_of),
		NAMING_TEST(a_native_app_that_does_not_load_in_time_is_answered_for),
		NAMING_TEST(an_app_that_the_agent_refuses_is_answered_for),
		TEST(a_fab_with_native_code_is_refused_where_no_app_is_native),
		TEST(an_app_that_crashes_is_answered_for),
		TEST(an_app_that_crashes_before_the_inputs_are_there_is_answered_with_them),
		TEST(an_app_that_hangs_up_and_lives_on_is_stopped),
		TEST(told_to_give_up_it_stops_the_app_and_answers),
		TEST(told_to_give_up_before_the_inputs_are_there_it_ends_without_a_reply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
