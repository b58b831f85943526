#include "rig.h"

#include "common/base/clock.h"

void open_app(struct kit_app *app, const char *file, const char *symbol)
{
	char path[512];
	char *const argv[] = {(char *)(uintptr_t)HOST, (char *)"-l", (char *)"info", path,
		(char *)(uintptr_t)symbol, NULL};

	snprintf(path, sizeof path, "%s%s", file[0] == '/' ? "" : APPS "/", file);
	kit_app_start(app, &(struct kit_app_command){.argv = argv, .keep_output = true});
}

void give_task(struct kit_app *app, const char *type, const struct record_dict *content,
	const struct record_dict *state)
{
	kit_app_give(app, &(struct kit_app_task){.type = type,
				  .app_dir = "/apps/x",
				  .ttl = 3600,
				  .created_at = clock_wall_s(),
				  .content = content,
				  .state = state});
}

void run_app(struct kit_app *app, const char *type, const struct record_dict *content,
	const struct record_dict *state)
{
	open_app(app, "sample.so", NULL);
	give_task(app, type, content, state);
	kit_app_wait(app);
}

void assert_error(const struct kit_app *app, int code, const char *words)
{
	assert_int_equal(app->events[APP_HOST_REPLY], 1);
	assert_true(app->reply.has_error);
	if (!strstr(app->reply.error_reason, words))
		fail_msg("%s", app->reply.error_reason);
	assert_int_equal(app->reply.error_code, code);
	assert_false(app->reply.has_context);
}
