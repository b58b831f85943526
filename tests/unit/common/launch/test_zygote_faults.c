#include "zygote_rig.h"

#include <signal.h>
#include <sys/wait.h>

/* Before load(): what happens at the import of NAME is what is defined as at_import(). */
#define AT_IMPORT(name)                                                                            \
	"import importlib, sys\n"                                                                  \
	"real, found = importlib.import_module, []\n"                                              \
	"def changed(name):\n"                                                                     \
	"    if name == '" name "':\n"                                                             \
	"        at_import()\n"                                                                    \
	"    return real(name)\n"                                                                  \
	"def load(): importlib.import_module = changed\n"

static const char preload_misfit[] = AT_IMPORT("wave") "def at_import(): found.append(os.pipe())\n";
static const char learnt_misfit[] = AT_IMPORT(
	"fractions") "def at_import(): found.append(os.pipe()); os.kill(os.getpid(), 19)\n";
static const char learnt_hangs[] =
	AT_IMPORT("fractions") "def at_import(): os.read(os.pipe()[0], 1)\n";
static const char always_misfit[] = "def answer(self, data): raise zygote.Misfit('wave.x', 'so')\n"
				    "def load(): zygote.Zygote.answer = answer\n";

/* Names of --preload, too, are left out by the one that follows. */
static void a_preloaded_misfit_is_left_out(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;

	keeper_init(&keeper, rig, preload_misfit);
	rig->launch.preload.v[0] = "wave,colorsys";
	message(rig, &keeper, "1");
	until_ready(rig, 1);
	assert_int_equal(rig_log_count(rig, "the module wave is not imported ahead"), 1);
	assert_int_equal(rig_log_count(rig, "zygote: started"), 2);
	message(rig, &keeper, "2");
	assert_true(was_forked(rig, "2"));
	assert_int_equal(rig_log_count(rig, "WARN"), 0);
	keeper_free(&keeper);
}

/* It is not started again and again when it does not leave out what it is to leave out. */
static void one_that_leaves_nothing_out_is_given_up(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;

	keeper_init(&keeper, rig, always_misfit);
	message(rig, &keeper, "1");
	rig_until_log(rig, "WARN  test: zygote: it imports a module that it was to leave out");
	kit_loop_until(rig->loop, !pid_exists(zygote_of(rig)));
	assert_int_equal(rig_log_count(rig, "zygote: started"), 2);
	for (unsigned i = 2; i <= 3; i++) {
		message(rig, &keeper, i == 2 ? "2" : "3");
		kit_loop_until(rig->loop, rig_log_count(rig, "WARN  test: zygote: ") == i);
	}
	assert_int_equal(rig_log_count(rig, "from now on"), 1);
	message(rig, &keeper, "4");
	assert_int_equal(rig_log_count(rig, "zygote: started"), 4);
	keeper_free(&keeper);
}

/* The one that follows goes as any other when no message comes. */
static void after_a_misfit_one_is_given_back_too(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;
	siginfo_t info;
	int zygote;

	warm_up(rig, &keeper, learnt_misfit);
	message(rig, &keeper, "2");
	/* It says so when the message is over. */
	assert_int_equal(waitid(P_PID, (id_t)zygote_of(rig), &info, WSTOPPED | WNOWAIT), 0);
	assert_int_equal(kill(zygote_of(rig), SIGCONT), 0);
	until_ready(rig, 2);
	assert_int_equal(rig_log_count(rig, "the module fractions is not imported ahead"), 1);
	zygote = zygote_of(rig);
	/* The spare worker's is the same time. */
	rig_wait_over_within(IDLE_MS - 10000, IDLE_MS);
	rig_wait_over_within(IDLE_MS - 10000, IDLE_MS);
	rig_until_log(rig, "zygote: no message for a while, not kept");
	kit_loop_until(rig->loop, !pid_exists(zygote));
	assert_int_equal(rig_log_count(rig, "WARN"), 0);
	keeper_free(&keeper);
}

/* The one that follows imports nothing that apps have imported. */
static void a_learnt_import_that_hangs_is_not_tried_again(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;

	warm_up(rig, &keeper, learnt_hangs);
	message(rig, &keeper, "2");
	kit_loop_until(rig->loop, rig_log_count(rig, ": imports") == 2);
	rig_wait_over_within(ZYGOTE_IMPORT_MS - 10000, ZYGOTE_IMPORT_MS);
	rig_until_log(rig, "WARN  test: zygote: it does not come to an end with its imports");
	message(rig, &keeper, "3");
	until_ready(rig, 2);
	for (unsigned i = 4; i <= 5; i++) {
		const char *name = i == 4 ? "4" : "5";

		message(rig, &keeper, name);
		assert_true(was_forked(rig, name));
		assert_true(said(rig, name, "fractions=False"));
	}
	assert_int_equal(rig_log_count(rig, ": imports"), 3);
	assert_int_equal(rig_log_count(rig, "WARN"), 1);
	keeper_free(&keeper);
}

/* An app may bring another version of whatever was imported ahead. */
static void with_dependencies_that_apps_install_there_is_none(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;

	keeper_init_with(&keeper, rig, "def load(): pass\n", true);
	message(rig, &keeper, "1");
	message(rig, &keeper, "2");
	assert_false(was_forked(rig, "2"));
	assert_int_equal(rig_log_count(rig, "zygote: started"), 0);
	assert_int_equal(rig_log_count(rig, "no zygote: apps may install"), 1);
	keeper_free(&keeper);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_preloaded_misfit_is_left_out),
		TEST(one_that_leaves_nothing_out_is_given_up),
		TEST(after_a_misfit_one_is_given_back_too),
		TEST(a_learnt_import_that_hangs_is_not_tried_again),
		TEST(with_dependencies_that_apps_install_there_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
