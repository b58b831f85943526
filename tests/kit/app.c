#include "kit/app.h"

#include "kit/loop.h"

#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define APP_FD       9
#define APP_WAIT_MS  60000 /* a Python that imports a large package may take that long */
#define TASK_RUN_ID  UINT64_MAX
#define TASK_NODE_ID 2

extern char **environ;

static void on_event(void *arg, enum app_host_event event)
{
	struct kit_app *app = arg;

	app->events[event]++;
	if (event == APP_HOST_REPLY)
		app_host_take_reply(app->host, &app->reply);
}

void kit_app_open(struct kit_app *app)
{
	int fds[2];

	*app = (struct kit_app){.peer = -1, .output = -1};
	assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), errno);
	assert_int_equal(loop_new(&app->loop), 0);
	app->host = app_host_new(app->loop, fds[0], on_event, app);
	assert_non_null(app->host);
	app->peer = fds[1];
}

void kit_app_start(struct kit_app *app, const struct kit_app_command *command)
{
	const char *const *more = command->variables;
	posix_spawn_file_actions_t actions;
	char *env[512];
	size_t n = 0;

	kit_app_open(app);
	for (; environ[n]; n++) {
		assert_true(n < ARRAY_LEN(env) - 10);
		env[n] = environ[n];
	}
	env[n++] = (char *)"FLWR_APP_FD=9";
	while (more && *more)
		env[n++] = (char *)(uintptr_t)*more++;
	env[n] = NULL;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, app->peer, APP_FD);
	if (command->keep_output) {
		app->output = memfd_create("output", MFD_CLOEXEC);
		assert_return_code(app->output, errno);
		posix_spawn_file_actions_adddup2(&actions, app->output, STDOUT_FILENO);
		posix_spawn_file_actions_adddup2(&actions, app->output, STDERR_FILENO);
	}
	assert_int_equal(
		posix_spawn(&app->pid, command->argv[0], &actions, NULL, command->argv, env), 0);
	posix_spawn_file_actions_destroy(&actions);
	close_fd(&app->peer);
}

static void set_value(struct value_map *map, const char *key, struct value value)
{
	assert_int_equal(value_map_set(map, key, &value), 0);
}

void kit_app_give(struct kit_app *app, const struct kit_app_task *task)
{
	auto_(value_map_done) struct value_map node_config = {0}, run_config = {0};
	const struct metadata metadata = {.run_id = TASK_RUN_ID,
		.message_id = (char *)"message",
		.src_node_id = 1,
		.dst_node_id = TASK_NODE_ID,
		.reply_to_message_id = (char *)"",
		.group_id = (char *)"3",
		.ttl = task->ttl,
		.message_type = (char *)(uintptr_t)task->type,
		.created_at = task->created_at,
		.has_src_task = true,
		.src_task_id = 5};
	const struct record_dict nothing = {0};
	const struct app_task given = {.metadata = &metadata,
		.content = task->content ? task->content : &nothing,
		.run_id = TASK_RUN_ID,
		.node_id = TASK_NODE_ID,
		.series_id = TASK_RUN_ID - 1,
		.node_config = &node_config,
		.run_config = &run_config,
		.state = task->state ? task->state : &nothing,
		.app_dir = task->app_dir,
		.fab_id = "lab/app",
		.fab_version = "1.0.0",
		.fab_hash = "cafe"};
	struct value name = {0};

	set_value(&node_config, "partition-id", (struct value){.kind = VALUE_SINT, .i = 4});
	set_value(&node_config, "old", (struct value){.kind = VALUE_UINT, .u = 7});
	assert_int_equal(value_set_bytes(&name, VALUE_STRING, "n\u00fc", 3), 0);
	set_value(&run_config, "name", name);
	assert_int_equal(app_host_run(app->host, &given), 0);
}

bool kit_app_is_over(const struct kit_app *app)
{
	return app->events[APP_HOST_REPLY] || app->events[APP_HOST_BROKEN] ||
	       app->events[APP_HOST_SILENT] || app->events[APP_HOST_HUNG_UP];
}

static void wait_process(struct kit_app *app)
{
	assert_int_equal(waitpid(app->pid, &app->status, 0), app->pid);
	app->pid = 0;
}

void kit_app_wait(struct kit_app *app)
{
	int64_t end_ms = kit_now_ms() + APP_WAIT_MS;

	while (!kit_app_is_over(app))
		kit_loop_step(app->loop, end_ms, "the app is over", __FILE__, __LINE__);
	if (app->pid)
		wait_process(app);
}

void kit_app_leave(struct kit_app *app, int status)
{
	app_host_free(take_pointer(&app->host));
	wait_process(app);
	assert_true(WIFEXITED(app->status));
	assert_int_equal(WEXITSTATUS(app->status), status);
}

void kit_app_assert_replied(const struct kit_app *app)
{
	if (app->events[APP_HOST_BROKEN])
		fail_msg("%s", app_host_reason(app->host));
	if (app->reply.has_error)
		fail_msg("error %d: %s", (int)app->reply.error_code, app->reply.error_reason);
	if (app->events[APP_HOST_REPLY] != 1)
		fail_msg("no reply, status %x", (unsigned)app->status);
	assert_int_equal(app->events[APP_HOST_HELLO], 1);
	assert_true(app->reply.has_content && app->reply.has_context);
	assert_true(WIFEXITED(app->status) && WEXITSTATUS(app->status) == 0);
}

const char *kit_app_printed(struct kit_app *app)
{
	struct stat st;
	ssize_t n;

	free(app->printed);
	assert_return_code(fstat(app->output, &st), errno);
	app->printed = malloc((size_t)st.st_size + 1);
	assert_non_null(app->printed);
	n = pread(app->output, app->printed, (size_t)st.st_size, 0);
	assert_int_equal(n, st.st_size);
	app->printed[n] = '\0';
	return app->printed;
}

void kit_app_close(struct kit_app *app)
{
	app_host_free(app->host);
	loop_free(app->loop);
	app_reply_done(&app->reply);
	close_fd(&app->peer);
	close_fd(&app->output);
	free(app->printed);
}
