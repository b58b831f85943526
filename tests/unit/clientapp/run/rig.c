#include "rig.h"

#include "kit/dir.h"

#define BRIDGE FLWR_TEST_DIR "/../../../../clientapp/run/bridge/main.py"

char *app_python(void)
{
	char *python = getenv("FLWR_TEST_APP_PYTHON");

	return python ? python : getenv("FLWR_TEST_PYTHON");
}

bool app_python_installed(void)
{
	if (!app_python() || access(app_python(), X_OK) == 0)
		return true;
	printf("%s is not installed (scripts/setup --all-releases)\n", app_python());
	return false;
}

void open_python(struct kit_app *app, const char *extra, bool keep_output)
{
	char *const argv[] = {app_python(), (char *)"-u", (char *)BRIDGE, NULL};
	bool has_path = extra && strncmp(extra, "PYTHONPATH", 10) == 0;
	const char *const variables[] = {"PYTHONDONTWRITEBYTECODE=1",
		has_path ? extra : "PYTHONPATH=" FLWR_TEST_DIR "/apps", has_path ? NULL : extra,
		NULL};

	if (!argv[0])
		fail_msg("FLWR_TEST_PYTHON is not set: configure with FLWR_PYTHON_ENV");
	kit_app_start(
		app, &(struct kit_app_command){
			     .argv = argv, .variables = variables, .keep_output = keep_output});
}

/* The project file names the app, whose modules lie on PYTHONPATH. */
static void write_project(const char *clientapp)
{
	auto_(free_at_exit) char *text = NULL;

	assert_true(asprintf(&text,
			    "[project]\nname = \"app\"\nversion = \"1.0.0\"\ndescription = \"\"\n"
			    "license = \"Apache-2.0\"\n[tool.flwr.app]\npublisher = \"lab\"\n"
			    "[tool.flwr.app.components]\nserverapp = \"s:app\"\nclientapp = "
			    "\"%s\"\n",
			    clientapp) > 0);
	free(kit_dir_write_text("pyproject.toml", text));
}

void give_task(struct kit_app *app, const char *clientapp, const char *type,
	const struct record_dict *content, const struct record_dict *state)
{
	write_project(clientapp);
	kit_app_give(app, &(struct kit_app_task){.type = type,
				  .app_dir = kit_dir,
				  .ttl = 3600,
				  .created_at = 1732000000.25,
				  .content = content,
				  .state = state});
}

void run_task(struct kit_app *app, const char *clientapp, const char *type,
	const struct record_dict *content, const struct record_dict *state)
{
	give_task(app, clientapp, type, content, state);
	kit_app_wait(app);
}

void run_app(struct kit_app *app, const char *clientapp, const char *type,
	const struct record_dict *content, const struct record_dict *state)
{
	open_python(app, NULL, false);
	run_task(app, clientapp, type, content, state);
}
