#include "worker_rig.h"

#include "common/fab/install.h"
#include "common/launch/agent_client.h"

#include <fcntl.h>
#include <sys/socket.h>

struct world world;

/* ---- the stand-ins ---- */

int __wrap_conversation_new(struct loop *loop, struct rpc *rpc, struct log *log,
	const struct conversation_options *options, struct conversation **out);
int __wrap_conversation_new(struct loop *loop, struct rpc *rpc, struct log *log,
	const struct conversation_options *options, struct conversation **out)
{
	assert_int_equal(options->token, 41);
	assert_int_equal(options->content_max_bytes, 1000);
	world.gone = options->gone;
	world.gone_arg = options->arg;
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

int setup(void **state)
{
	struct control_message message;
	int r = start_worker(state, false);

	assert_int_equal(control_receive(((struct rig *)*state)->agent, &message), 1);
	assert_int_equal(message.kind, CONTROL_APP_START);
	assert_null(message.app.fab_id);
	return r;
}

int setup_naming(void **state)
{
	struct control_message message;
	int r = start_worker(state, true);

	assert_int_equal(control_receive(((struct rig *)*state)->agent, &message), -EAGAIN);
	return r;
}

int teardown(void **state)
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

struct conversation_inputs good_inputs(void)
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

void give(struct conversation_inputs inputs)
{
	world.pulled(world.conversation_arg, OUTCOME_OK, &inputs, "");
	conversation_inputs_done(&inputs);
}

void agent_says(struct rig *rig, const struct control_message *message)
{
	assert_int_equal(control_send(rig->agent, message), 0);
	loop_step(rig->loop, 1000);
}

void app_of_kind_starts(struct rig *rig, bool native)
{
	auto_(close_at_exit) int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	const struct control_message message = {
		.kind = CONTROL_APP_STARTED, .fd = fd, .native = native};

	agent_says(rig, &message);
}

void agent_hears(struct rig *rig, enum control_kind kind)
{
	struct control_message message;

	assert_int_equal(control_receive(rig->agent, &message), 1);
	assert_int_equal(message.kind, kind);
}
