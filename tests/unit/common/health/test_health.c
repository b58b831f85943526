/*
 * The health service as its users see it: grpcio's health stubs run a scenario, and say when the
 * state is to change.
 */
#include "common/health/health.h"
#include "common/health/healthcheck.h"

#include "common/listen/address.h"
#include "kit/child.h"
#include "kit/log.h"
#include "kit/loop.h"

#include <netinet/in.h>
#include <sys/socket.h>

#define GRACE_MS 200

struct rig {
	struct loop *loop;
	struct rpc *rpc;
	struct kit_log log;
	struct health *health;
	bool down;
	struct kit_child judge;
	char line[64]; /* of it, so far */
	bool answer_owed;
	bool ended;
};

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof *rig);
	struct reason why = {0};

	assert_non_null(rig);
	kit_log_init(&rig->log, "test", LOG_LEVEL_DEBUG);
	assert_int_equal(loop_new(&rig->loop), 0);
	assert_int_equal(rpc_new(rig->loop, &rig->rpc), 0);
	assert_int_equal(health_new(&(struct health_options){rig->loop, rig->rpc, rig->log.log,
					    "127.0.0.1:0"},
				 &rig->health, &why),
		0);
	*state = rig;
	return 0;
}

static void judge_answer(struct rig *rig)
{
	assert_int_equal(write(fileno(rig->judge.from), "ok\n", 3), 3);
}

static void down(void *arg)
{
	struct rig *rig = arg;

	rig->down = true;
	if (rig->answer_owed)
		judge_answer(rig);
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	if (rig->health && !rig->down)
		health_stop(rig->health, 0, down, rig);
	if (rig->health)
		kit_loop_until(rig->loop, rig->down);
	health_free(rig->health);
	rpc_free(rig->rpc);
	kit_log_done(&rig->log);
	loop_free(rig->loop);
	free(rig);
	return 0;
}

/* The commands of the judge, one a line. */
static void judge_asks(struct rig *rig, const char *line)
{
	if (strncmp(line, "serve", 5) == 0)
		health_set(rig->health, true);
	else if (strncmp(line, "fail", 4) == 0)
		health_set(rig->health, false);
	rig->answer_owed = strstr(line, "stop") != NULL;
	if (rig->answer_owed)
		health_stop(rig->health, GRACE_MS, down, rig);
	else
		judge_answer(rig);
}

static void judge_says(void *arg, int ready)
{
	struct rig *rig = arg;
	size_t len = strlen(rig->line);
	ssize_t n = read(fileno(rig->judge.from), rig->line + len, sizeof rig->line - 1 - len);

	rig->ended = n <= 0;
	if (rig->ended || rig->line[len + (size_t)n - 1] != '\n')
		return;
	judge_asks(rig, rig->line);
	memset(rig->line, 0, sizeof rig->line);
}

static void run(struct rig *rig, const char *scenario)
{
	struct watch *watch;

	kit_child_start(&rig->judge, KIT_NEWEST, FLWR_TEST_DIR "/watch_health.py", scenario,
		health_address(rig->health));
	watch = watch_new(rig->loop, fileno(rig->judge.from), WATCH_READ, judge_says, rig);
	assert_non_null(watch);
	kit_loop_until(rig->loop, rig->ended);
	watch_free(watch);
	kit_child_end(&rig->judge);
	rig->answer_owed = false;
}

/* Count how often the log has text. */
static unsigned logged(struct rig *rig, const char *text)
{
	return kit_log_count(&rig->log, text);
}

/* Lines that ask somebody to act. */
static unsigned warned(struct rig *rig)
{
	return logged(rig, "WARN") + logged(rig, "ERROR");
}

static void check_says_how_it_is(void **state)
{
	run(*state, "checks");
	assert_int_equal(logged(*state, "health: serving"), 1);
	assert_int_equal(logged(*state, "health: not serving"), 1);
	assert_int_equal(warned(*state), 0);
}

static void watch_says_each_change(void **state)
{
	run(*state, "watches");
	assert_int_equal(warned(*state), 0);
}

static void one_more_watch_ends_the_oldest(void **state)
{
	run(*state, "many");
	assert_int_equal(logged(*state, "too many Watch calls at once"), warned(*state));
	assert_true(warned(*state) >= 1);
}

static void one_machine_does_not_keep_others_out(void **state)
{
	run(*state, "machines");
	assert_int_equal(logged(*state, "too many Watch calls at once"), warned(*state));
	assert_true(warned(*state) >= 1);
}

static void watchers_may_go_at_any_time(void **state)
{
	run(*state, "goers");
}

static void deaf_watchers_harm_nobody(void **state)
{
	run(*state, "deaf");
	assert_int_equal(warned(*state), 0);
}

static void a_crowd_of_silent_connections_harms_nobody(void **state)
{
	run(*state, "crowd");
	/* One line for all of them: they come within ten seconds. */
	assert_true(warned(*state) >= 1 && warned(*state) <= 3);
	assert_true(logged(*state, "says nothing that is gRPC") >= 3);
}

static void watchers_are_told_of_the_end(void **state)
{
	run(*state, "stop");
	assert_int_equal(warned(*state), 0);
}

static void the_last_change_is_said_before_the_end(void **state)
{
	run(*state, "change_and_stop");
}

static void an_address_in_use_is_named(void **state)
{
	struct rig *rig = *state;
	struct health *second = NULL;
	struct reason why = {0};

	assert_int_equal(health_new(&(struct health_options){rig->loop, rig->rpc, rig->log.log,
					    health_address(rig->health)},
				 &second, &why),
		-EADDRINUSE);
	assert_null(second);
	assert_non_null(strstr(why.text, health_address(rig->health)));
}

/* Nobody has come at all. */
static void it_ends_when_nobody_has_come(void **state)
{
	struct rig *rig = *state;

	health_set(rig->health, true);
	assert_int_equal(logged(rig, "health: listening at 127.0.0.1:"), 1);
}

/* ---- a container's health check ---- */

static void a_healthcheck_says_how_it_is(void **state)
{
	struct rig *rig = *state;
	const char *address = health_address(rig->health);
	struct reason said = {0};

	assert_int_equal(healthcheck(rig->loop, rig->rpc, address, KIT_WAIT_MS, &said),
		HEALTHCHECK_NOT_SERVING);
	assert_non_null(strstr(said.text, ": not serving"));
	health_set(rig->health, true);
	assert_int_equal(
		healthcheck(rig->loop, rig->rpc, address, KIT_WAIT_MS, &said), HEALTHCHECK_SERVING);
	assert_non_null(strstr(said.text, ": serving"));
	assert_non_null(strstr(said.text, address));
}

static void a_healthcheck_needs_no_proxy(void **state)
{
	struct rig *rig = *state;
	struct reason said = {0};

	setenv("http_proxy", "http://127.0.0.1:1", 1);
	health_set(rig->health, true);
	assert_int_equal(
		healthcheck(rig->loop, rig->rpc, health_address(rig->health), KIT_WAIT_MS, &said),
		HEALTHCHECK_SERVING);
	unsetenv("http_proxy");
}

/* A socket that is bound and does not listen: nobody else takes the port. */
static void a_healthcheck_of_nobody_says_so(void **state)
{
	struct rig *rig = *state;
	auto_(close_at_exit) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof at;
	char address[32];
	struct reason said = {0};

	assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(at.sin_port));
	assert_int_equal(healthcheck(rig->loop, rig->rpc, address, KIT_WAIT_MS, &said),
		HEALTHCHECK_NO_ANSWER);
	assert_non_null(strstr(said.text, "no health service answers at 127.0.0.1:"));
}

/* The kernel accepts; nobody reads. */
static void a_healthcheck_of_a_silent_peer_ends(void **state)
{
	struct rig *rig = *state;
	auto_(address_sockets_done) struct address_sockets silent = {0};
	struct reason said = {0};

	assert_int_equal(address_listen("127.0.0.1:0", &silent, &said), 0);
	assert_int_equal(
		healthcheck(rig->loop, rig->rpc, silent.dial, 100, &said), HEALTHCHECK_NO_ANSWER);
	assert_non_null(strstr(said.text, "DEADLINE_EXCEEDED"));
}

#define RIG_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(check_says_how_it_is),
		RIG_TEST(watch_says_each_change),
		RIG_TEST(one_machine_does_not_keep_others_out),
		RIG_TEST(one_more_watch_ends_the_oldest),
		RIG_TEST(watchers_may_go_at_any_time),
		RIG_TEST(deaf_watchers_harm_nobody),
		RIG_TEST(a_crowd_of_silent_connections_harms_nobody),
		RIG_TEST(watchers_are_told_of_the_end),
		RIG_TEST(the_last_change_is_said_before_the_end),
		RIG_TEST(an_address_in_use_is_named),
		RIG_TEST(it_ends_when_nobody_has_come),
		RIG_TEST(a_healthcheck_says_how_it_is),
		RIG_TEST(a_healthcheck_needs_no_proxy),
		RIG_TEST(a_healthcheck_of_nobody_says_so),
		RIG_TEST(a_healthcheck_of_a_silent_peer_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
