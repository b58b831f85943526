#include "expect.h"
#include "libflwr/app/call_internal.h"

static int handle(struct flwr_call *call)
{
	return 0;
}

static int around(struct flwr_call *call, struct flwr_next *next)
{
	return flwr_call_next(next);
}

static const struct flwr_handler good[] = {{"train", handle, NULL}, {"train.a", handle, NULL},
	{"evaluate", handle, NULL}, {"query.b", handle, NULL}, {0}};

static void good_tables_pass(void **state)
{
	static const struct flwr_handler none[] = {{0}};
	static const struct flwr_mod mods[] = {{NULL, around, NULL}, {"train", around, NULL}, {0}};
	struct flwr_clientapp app = {sizeof app, FLWR_VERSION, good, mods};

	assert_succeeds(app_check(&app, "x.so"));
	app.mods = NULL;
	assert_succeeds(app_check(&app, "x.so"));
	app.handlers = none;
	assert_succeeds(app_check(&app, "x.so"));
}

static void tables_of_other_headers(void **state)
{
	struct {
		struct flwr_clientapp app;
		void *more;
	} newer = {.app = {sizeof newer, FLWR_VERSION + 300, good, NULL}};

	assert_succeeds(app_check(&newer.app, "x.so"));
	newer.more = &newer;
	assert_fails(app_check(&newer.app, "x.so"), FLWR_E_VERSION,
		"x.so wants something of flwr/clientapp.h 0.4 that this 0.1 has not");
	newer.app.version = 20100;
	assert_fails(app_check(&newer.app, "x.so"), FLWR_E_VERSION,
		"x.so was built against flwr/clientapp.h 2.1, this is 0.1");
	newer.app.version = FLWR_VERSION;
	newer.app.size = 8;
	assert_fails(app_check(&newer.app, "x.so"), FLWR_E_VERSION,
		"x.so: the size in its table is 8, not sizeof(struct flwr_clientapp)");
	newer.app.size = 0;
	assert_fails(app_check(&newer.app, "x.so"), FLWR_E_VERSION, "the size in its table is 0");
	assert_fails(app_check(NULL, "x.so"), FLWR_E_ARGUMENT, "x.so: the ClientApp is NULL");
}

static void wrong_rows_are_named(void **state)
{
	static const struct flwr_handler no_type[] = {{"trian", handle, NULL}, {0}};
	static const struct flwr_handler no_function[] = {{"train", NULL, NULL}, {0}};
	static const struct flwr_handler twice[] = {{"train.default", handle, NULL},
		{"query", handle, NULL}, {"train", handle, NULL}, {0}};
	static const struct flwr_mod wrong_mod[] = {{"train.1", around, NULL}, {0}};
	struct flwr_clientapp app = {sizeof app, FLWR_VERSION, no_type, NULL};

	assert_fails(
		app_check(&app, "x.so"), FLWR_E_ARGUMENT, "x.so: \"trian\" is no type of messages");
	app.handlers = no_function;
	assert_fails(
		app_check(&app, "x.so"), FLWR_E_ARGUMENT, "x.so: the handler of \"train\" is NULL");
	app.handlers = twice;
	assert_fails(app_check(&app, "x.so"), FLWR_E_ARGUMENT, "x.so: \"train\" has two handlers");
	app.handlers = NULL;
	assert_fails(app_check(&app, "x.so"), FLWR_E_ARGUMENT, "x.so has no handlers");
	app.handlers = good;
	app.mods = wrong_mod;
	assert_fails(
		app_check(&app, "x.so"), FLWR_E_ARGUMENT, "\"train.1\" is no type of messages");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_tables_pass),
		cmocka_unit_test(tables_of_other_headers),
		cmocka_unit_test(wrong_rows_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
