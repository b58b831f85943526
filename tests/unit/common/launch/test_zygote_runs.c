#include "zygote_rig.h"

#include "common/base/cleanup.h"
#include "common/launch/agent_internal.h"

#include <fcntl.h>
#include <signal.h>

#define RUN   100 /* a message's behaviour: of this run, */
#define OTHER 101 /* of another run, */
#define MOVED 200 /* of the first run, whose app lies elsewhere now */

/* An app whose flwr_preload() does that. */
#define PRELOADS(does)                                                                             \
	"def load(): import fractions\n"                                                           \
	"def load_app(*names):\n"                                                                  \
	"    import types\n"                                                                       \
	"    made = types.ModuleType('the_app')\n"                                                 \
	"    made.app, made.flwr_preload = object(), preload\n"                                    \
	"    sys.modules['the_app'] = made\n"                                                      \
	"    return made.app\n"                                                                    \
	"def preload(): " does "\n"

static const char tells[] = PRELOADS("return os.getpid()");
static const char hangs[] = PRELOADS("os.read(os.pipe()[0], 1)");
static const char no_word[] = PRELOADS("sock.send(b'Zx')");
static const char two_words[] = PRELOADS("sock.send(b'R')");
static const char cannot_fork[] =
	PRELOADS("zygote.libc.syscall = lambda *_: [zygote.ctypes.set_errno(11), -1][1]");

/* Packages have changed when there is a file beside the script; the zygote of the run, which cannot
 * say so, says that they have. */
static const char installs[] = PRELOADS(
	"return os.getpid()") "def ready(self, learned):\n"
			      "    file = 'RF 1 /' if self.preloaded else f'RF 0 {sys.argv[0]}.new'\n"
			      "    self.control.send(file.encode())\n"
			      "def load():\n"
			      "    import fractions\n"
			      "    zygote.Zygote.ready = ready\n";

/* ---- control groups ---- */

static char members[64];     /* the file of each group's members; "": apps have no group */
static unsigned made, freed; /* groups */
static pid_t added[16];
static size_t n_added;

int __real_app_limits_init(
	struct limits *limits, uid_t uid, struct app_limits *out, struct reason *why);
int __wrap_app_limits_init(
	struct limits *limits, uid_t uid, struct app_limits *out, struct reason *why);
const char *__wrap_limits_groups_dir(const struct limits *limits);
const char *__wrap_group_procs(const struct group *group);
int __wrap_group_add(const struct group *group, pid_t pid);
enum group_shortage __wrap_group_shortage(const struct group *group);
uint64_t __wrap_group_pid_refusals(const struct group *group);
void __wrap_group_free(struct group *group);

int __wrap_app_limits_init(
	struct limits *limits, uid_t uid, struct app_limits *out, struct reason *why)
{
	int r = __real_app_limits_init(members[0] ? NULL : limits, uid, out, why);

	if (members[0]) {
		made++;
		out->group = (struct group *)members;
	}
	return r;
}

/* There are no limits here, as there are no groups. */
const char *__wrap_limits_groups_dir(const struct limits *limits)
{
	assert_ptr_equal(limits, members);
	return "/delegated";
}

const char *__wrap_group_procs(const struct group *group)
{
	assert_ptr_equal(group, members);
	return members;
}

int __wrap_group_add(const struct group *group, pid_t pid)
{
	assert_ptr_equal(group, members);
	assert_true(n_added < ARRAY_LEN(added));
	added[n_added++] = pid;
	return 0;
}

enum group_shortage __wrap_group_shortage(const struct group *group)
{
	assert_ptr_equal(group, members);
	return GROUP_NO_SHORTAGE;
}

uint64_t __wrap_group_pid_refusals(const struct group *group)
{
	assert_ptr_equal(group, members);
	return 0;
}

void __wrap_group_free(struct group *group)
{
	if (group)
		freed++;
}

/* ---- messages ---- */

/* Messages of the run until one has told of flwr_preload(): without a cage its worker says which
 * app it is for only when another one has told before. */
static void tell_on(struct rig *rig, struct keeper *keeper)
{
	message_of(rig, keeper, "1", RUN);
	until_forks(rig, 1);
	message_of(rig, keeper, "2", RUN);
	assert_int_equal(rig_log_count(rig, "apps have names"), 0);
	assert_int_equal(rig_log_count(rig, "zygote of run"), 0);
	message_of(rig, keeper, "3", RUN);
	assert_int_equal(rig_log_count(rig, "apps have names"), 1);
	rig_until_log(rig, "zygote of run 100: started");
}

static void tell(struct rig *rig, struct keeper *keeper, const char *load)
{
	keeper_init(keeper, rig, load);
	tell_on(rig, keeper);
}

static void until_ahead(struct rig *rig, const char *run)
{
	char started[64], ready[64];
	int pid;

	snprintf(started, sizeof started, "zygote of run %s: started pid=", run);
	pid = last_of(rig, started);
	snprintf(ready, sizeof ready, "zygote of run %s pid=%d: ready", run, pid);
	rig_until_log(rig, ready);
	kit_loop_until(
		rig->loop, strstr(strstr(rig_log(rig), ready), "fork of the zygote: forked"));
}

static int run_zygote(struct rig *rig)
{
	return last_of(rig, "zygote of run 100: started pid=");
}

/* Run a message that tells of flwr_preload(), and wait until the zygote of its run has forked
 * ahead. Returns its pid. */
static int warm_run(struct rig *rig, struct keeper *keeper)
{
	tell(rig, keeper, tells);
	until_ahead(rig, "100");
	return run_zygote(rig);
}

/* Wait until the run has its second zygote, which has forked ahead. */
static void until_started_again(struct rig *rig)
{
	kit_loop_until(rig->loop, rig_log_count(rig, "zygote of run 100: started") == 2);
	until_ahead(rig, "100");
}

static bool from_run(struct rig *rig, const char *name, int zygote)
{
	char ahead[32];

	snprintf(ahead, sizeof ahead, "ahead=%d.", zygote);
	return said(rig, name, ahead);
}

static void the_messages_of_a_run_share_it(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;
	int zygote;

	zygote = warm_run(rig, &keeper);
	message_of(rig, &keeper, "4", RUN);
	message_of(rig, &keeper, "5", RUN);
	assert_true(from_run(rig, "4", zygote) && from_run(rig, "5", zygote));
	assert_int_equal(rig_held_within(IDLE_MS - 10000, IDLE_MS), 3);
	assert_true(was_forked(rig, "5"));
	message_of(rig, &keeper, "6", OTHER);
	assert_true(was_forked(rig, "6"));
	assert_true(said(rig, "6", "ahead=None."));
	assert_int_equal(rig_log_count(rig, "run 100: flwr_preload() of lab/robot is in use"), 1);
	assert_int_equal(rig_log_count(rig, "WARN"), 0);
	/* What waits for messages is not counted. */
	assert_int_equal(agent_count(keeper.agent), 0);
	keeper_free(&keeper);
	assert_false(pid_exists(zygote));
}

/* It may take long, and messages do not wait for it. */
static void one_that_hangs_is_given_up(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;

	tell(rig, &keeper, hangs);
	message_of(rig, &keeper, "4", RUN);
	assert_true(was_forked(rig, "4"));
	assert_int_equal(rig_log_count(rig, "4 app: not from the zygote of its run: "), 1);
	/* Those of the spare worker and of the zygote of all apps; its own begins when it is ready.
	 */
	assert_int_equal(rig_held_within(IDLE_MS - 10000, IDLE_MS), 2);
	rig_wait_over_within(ZYGOTE_PRELOAD_MS - 30000, ZYGOTE_PRELOAD_MS);
	rig_until_log(rig, "cannot be used ahead: \"it does not come to an end\"");
	kit_loop_until(rig->loop, !pid_exists(run_zygote(rig)));
	keeper_free(&keeper);
}

/* It is an app's process, and may say anything. */
static void says_wrong(struct rig *rig, const char *load)
{
	struct keeper keeper;

	tell(rig, &keeper, load);
	rig_until_log(rig,
		"WARN  test: run 100: flwr_preload() of lab/robot cannot be used ahead: \"it says what it may not say\"");
	message_of(rig, &keeper, "4", RUN);
	message_of(rig, &keeper, "5", RUN);
	assert_true(was_forked(rig, "5"));
	assert_int_equal(rig_log_count(rig, "zygote of run 100: started"), 1);
	assert_int_equal(rig_log_count(rig, "WARN"), 1);
	keeper_free(&keeper);
}

static void one_that_says_what_it_may_not_say_is_given_up(void **state)
{
	says_wrong(*state, no_word);
}

static void one_that_answers_twice_is_given_up(void **state)
{
	says_wrong(*state, two_words);
}

/* Once may be chance: an app may tell of flwr_preload() again. */
static void one_that_does_not_fork_in_time_is_replaced(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;
	struct seen seen;
	unsigned taken;
	int zygote;

	zygote = warm_run(rig, &keeper);
	kit_loop_until(rig->loop, pid_sleeps(zygote));
	assert_int_equal(kill(zygote, SIGSTOP), 0);
	message_of(rig, &keeper, "4", RUN);
	assert_true(from_run(rig, "4", zygote));
	rig_ahead_ms = 1000;
	taken = n_taken;
	begin(&keeper, "5", RUN, &seen);
	kit_loop_until(rig->loop, n_taken == taken + 1);
	rig_wait_over_within(ZYGOTE_ANSWER_MS - 1000, ZYGOTE_ANSWER_MS);
	rig_until(rig, &seen.gone);
	assert_true(said(rig, "5", "fork=False"));
	assert_int_equal(
		rig_log_count(rig,
			"WARN  test: zygote of run 100: it does not fork: it does not answer; "),
		1);
	kit_loop_until(rig->loop, !pid_exists(zygote));
	message_of(rig, &keeper, "6", RUN);
	until_started_again(rig);
	message_of(rig, &keeper, "7", RUN);
	assert_true(from_run(rig, "7", run_zygote(rig)));
	assert_int_equal(rig_log_count(rig, "WARN"), 1);
	keeper_free(&keeper);
}

static void one_that_never_forks_is_given_up(void **state)
{
	static const char no_fork[] =
		"run 100: it does not fork: Resource temporarily unavailable; the app of";
	struct rig *rig = *state;
	struct keeper keeper;

	tell(rig, &keeper, cannot_fork);
	for (unsigned i = 1; i < ZYGOTE_FAILURES; i++) {
		kit_loop_until(rig->loop, rig_log_count(rig, no_fork) == i);
		kit_loop_until(rig->loop, !pid_exists(run_zygote(rig)));
		message_of(rig, &keeper, i == 1 ? "4" : "5", RUN);
		kit_loop_until(
			rig->loop, rig_log_count(rig, "zygote of run 100: started") == i + 1);
	}
	rig_until_log(rig,
		"cannot be used ahead: \"it does not fork: Resource temporarily unavailable\"");
	kit_loop_until(rig->loop, !pid_exists(run_zygote(rig)));
	message_of(rig, &keeper, "6", RUN);
	assert_true(was_forked(rig, "6"));
	assert_int_equal(rig_log_count(rig, "zygote of run 100: started"), ZYGOTE_FAILURES);
	assert_int_equal(rig_log_count(rig, "WARN"), ZYGOTE_FAILURES);
	keeper_free(&keeper);
}

static void one_is_given_back_when_memory_is_short(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;
	int zygote;

	zygote = warm_run(rig, &keeper);
	assert_int_equal(watched, 2);
	short_fn(short_arg);
	assert_int_equal(watched, 1);
	assert_int_equal(rig_log_count(rig, "zygote of run 100: memory is short, not kept"), 1);
	kit_loop_until(rig->loop, !pid_exists(zygote));
	/* It comes back with the next message that tells of it. */
	message_of(rig, &keeper, "4", RUN);
	assert_true(said(rig, "4", "ahead=None."));
	until_started_again(rig);
	message_of(rig, &keeper, "5", RUN);
	assert_true(from_run(rig, "5", run_zygote(rig)));
	assert_int_equal(rig_log_count(rig, "WARN"), 0);
	keeper_free(&keeper);
}

/* With one message at work at a time one is enough. */
static void another_run_takes_its_place(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;
	int zygote;

	tell(rig, &keeper, tells);
	rig->launch.max_workers = 1;
	until_ahead(rig, "100");
	zygote = run_zygote(rig);
	message_of(rig, &keeper, "4", OTHER);
	rig_until_log(rig, "zygote of run 100: another run needs its place, not kept");
	kit_loop_until(rig->loop, !pid_exists(zygote));
	until_ahead(rig, "101");
	message_of(rig, &keeper, "5", OTHER);
	assert_true(from_run(rig, "5", last_of(rig, "zygote of run 101: started pid=")));
	keeper_free(&keeper);
}

static void two_have_room_for_two(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;
	int zygote;

	tell(rig, &keeper, tells);
	rig->launch.max_workers = 2;
	until_ahead(rig, "100");
	zygote = run_zygote(rig);
	message_of(rig, &keeper, "4", OTHER);
	until_ahead(rig, "101");
	message_of(rig, &keeper, "5", RUN);
	assert_true(from_run(rig, "5", zygote));
	keeper_free(&keeper);
}

/* Not for a message that has another bundle. */
static void another_app_gets_nothing_of_it(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;
	int zygote;

	zygote = warm_run(rig, &keeper);
	message_of(rig, &keeper, "4", MOVED);
	assert_true(said(rig, "4", "ahead=None."));
	assert_int_equal(
		rig_log_count(rig, "zygote of run 100: its app, cage or interpreter is another"),
		1);
	kit_loop_until(rig->loop, !pid_exists(zygote));
	until_started_again(rig);
	message_of(rig, &keeper, "5", MOVED);
	assert_true(from_run(rig, "5", run_zygote(rig)));
	keeper_free(&keeper);
}

/* Its agent looks at no path that an app has chosen. */
static void it_goes_when_packages_have_changed(void **state)
{
	static const char told[] =
		"5 app: not from the zygote of its run: packages have changed since";
	auto_(free_at_exit) char *file = NULL;
	struct rig *rig = *state;
	struct keeper keeper;
	int zygote, fd;

	tell(rig, &keeper, installs);
	until_ahead(rig, "100");
	zygote = run_zygote(rig);
	message_of(rig, &keeper, "4", RUN);
	assert_true(from_run(rig, "4", zygote));
	assert_true(asprintf(&file, "%s.new", keeper.script) > 0);
	fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	message_of(rig, &keeper, "5", RUN);
	assert_int_equal(rig_log_count(rig, told), 1);
	kit_loop_until(rig->loop, !pid_exists(zygote));
	unlink(file);
	keeper_free(&keeper);
}

/* What was a process of the app until it executed flwr-app-start has the limits of the message,
 * too; what the zygote of all apps forks was none. */
static void its_forks_go_into_the_group_of_their_message(void **state)
{
	const struct app_bounds bounds = {.mask = 022, .limits = (struct limits *)members};
	struct rig *rig = *state;
	struct keeper keeper;
	int child;

	script_new(members, "");
	made = freed = 0;
	n_added = 0;
	keeper_init(&keeper, rig, tells);
	keeper.agent->bounds = &bounds;
	tell_on(rig, &keeper);
	assert_int_equal(made, 4); /* of three messages, and of the zygote of the run */
	assert_int_equal(n_added, 2);
	until_ahead(rig, "100");
	child = last_of(rig, "fork of the zygote: forked pid=");
	message_of(rig, &keeper, "4", RUN);
	assert_true(from_run(rig, "4", run_zygote(rig)));
	assert_int_equal(n_added, 4);
	assert_int_equal(added[2], child);
	assert_int_not_equal(added[3], child);
	/* Both zygotes go when memory is short for apps, whose groups are beside this process's. */
	assert_int_equal(watched, 2);
	assert_string_equal(short_group, "/delegated");
	keeper_free(&keeper);
	assert_int_equal(freed, made);
	unlink(members);
	members[0] = '\0';
}

static void the_end_of_the_run_is_its_end(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;
	int zygote, ahead;

	zygote = warm_run(rig, &keeper);
	ahead = last_of(rig, "fork of the zygote: forked pid=");
	agent_run_ended(keeper.agent, 101);
	message_of(rig, &keeper, "4", RUN);
	assert_true(from_run(rig, "4", zygote));
	agent_run_ended(keeper.agent, 100);
	kit_loop_until(rig->loop, !pid_exists(zygote) && !pid_exists(ahead));
	/* Nothing is known of the run any more, should it come back. */
	message_of(rig, &keeper, "5", RUN);
	assert_true(said(rig, "5", "ahead=None."));
	until_started_again(rig);
	message_of(rig, &keeper, "6", RUN);
	assert_true(from_run(rig, "6", run_zygote(rig)));
	assert_int_equal(rig_log_count(rig, "run 100: flwr_preload() of lab/robot is in use"), 2);
	keeper_free(&keeper);
}

static void a_program_that_stops_has_none(void **state)
{
	struct rig *rig = *state;
	struct keeper keeper;
	int zygote;

	zygote = warm_run(rig, &keeper);
	agent_stop_spare(keeper.agent);
	kit_loop_until(rig->loop, !pid_exists(zygote));
	message_of(rig, &keeper, "4", RUN);
	assert_int_equal(rig_log_count(rig, "zygote of run 100: started"), 1);
	keeper_free(&keeper);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_messages_of_a_run_share_it),
		TEST(one_that_hangs_is_given_up),
		TEST(one_that_says_what_it_may_not_say_is_given_up),
		TEST(one_that_answers_twice_is_given_up),
		TEST(one_that_does_not_fork_in_time_is_replaced),
		TEST(one_that_never_forks_is_given_up),
		TEST(one_is_given_back_when_memory_is_short),
		TEST(another_run_takes_its_place),
		TEST(two_have_room_for_two),
		TEST(another_app_gets_nothing_of_it),
		TEST(it_goes_when_packages_have_changed),
		TEST(its_forks_go_into_the_group_of_their_message),
		TEST(the_end_of_the_run_is_its_end),
		TEST(a_program_that_stops_has_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
