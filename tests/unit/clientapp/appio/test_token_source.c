/*
 * Asking for messages, with a SuperNode that a test plays, over a real connection. The clock stands
 * still but for time_passes(). Somewhat long, since a SuperNode that comes and goes is in it.
 */
#include "clientapp/appio/token_source.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/message/instruction_codec.h"
#include "common/rpc/server.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#define WAIT_MS 20000
/* So far ahead that no timer is due by itself. */
#define AHEAD_MS 1000000000

/* How the SuperNode answers. */
enum manner {
	GIVES,   /* a token: 100 + number of the question */
	REFUSES, /* FAILED_PRECONDITION, as Flower's does without a message */
	KEEPS,   /* not now */
	DISOWNS, /* UNIMPLEMENTED */
	BABBLES  /* OK, with what is no answer */
};

static struct rig {
	struct loop *loop;
	struct rpc *rpc;
	struct log *log;
	int log_fd;
	char text[1 << 16]; /* of the log */
	int64_t now_ms;
	struct timer *nudge; /* has the loop look at the time */
	int64_t planned_ms;  /* when it wants to ask again; 0: that is not known yet */
	unsigned reconnects; /* that were not left to gRPC */
	/* the SuperNode */
	char dir[32];
	char address[64];
	int listening; /* -1: it is not there */
	struct watch *accepts;
	struct rpc_server *server;
	bool down;
	uint64_t connections;
	struct peer peers[8];
	enum manner manner;
	unsigned questions;
	bool may_wait;        /* the last one had the header, with the value that is expected */
	struct request *kept; /* with KEEPS */
	unsigned cancelled;
	/* what was got */
	struct token_source *source;
	unsigned tokens;
	uint64_t token;
} rig;

/* ---- time ---- */

int64_t __real_clock_now_ms(void);
int64_t __wrap_clock_now_ms(void);
void __real_timer_set(struct timer *timer, int64_t at_ms);
void __wrap_timer_set(struct timer *timer, int64_t at_ms);
void __real_rpc_channel_reconnect_now(struct rpc_channel *channel);
void __wrap_rpc_channel_reconnect_now(struct rpc_channel *channel);

int64_t __wrap_clock_now_ms(void)
{
	return rig.now_ms;
}

void __wrap_timer_set(struct timer *timer, int64_t at_ms)
{
	if (timer != rig.nudge)
		rig.planned_ms = at_ms == CLOCK_NEVER ? 0 : at_ms;
	__real_timer_set(timer, at_ms);
}

void __wrap_rpc_channel_reconnect_now(struct rpc_channel *channel)
{
	rig.reconnects++;
	__real_rpc_channel_reconnect_now(channel);
}

static void nothing(void *arg)
{
	(void)arg;
}

static void time_passes(int64_t ms)
{
	rig.now_ms += ms;
	timer_set(rig.nudge, 0);
	loop_step(rig.loop, 0);
}

/* Run the loop until condition holds; fail after WAIT_MS of the real time. */
#define run_until(condition)                                                                       \
	do {                                                                                       \
		int64_t end_ = __real_clock_now_ms() + WAIT_MS;                                    \
		while (!(condition)) {                                                             \
			assert_true(__real_clock_now_ms() < end_);                                 \
			loop_step(rig.loop, 20);                                                   \
		}                                                                                  \
	} while (0)

/* ---- the SuperNode ---- */

static void on_cancel(void *arg, struct request *request)
{
	(void)arg;
	assert_ptr_equal(rig.kept, request);
	rig.kept = NULL;
	rig.cancelled++;
	request_fail(request, OUTCOME_CANCELLED, "gone");
}

static void give(struct request *request)
{
	struct slices body = {0};

	assert_int_equal(instruction_encode_token(100 + rig.questions, &body), 0);
	request_reply(request, &body);
}

static void handle_get_token(void *server, struct request *request)
{
	const char *wait = request_header(request, "flwr-native-wait-ms");
	struct slices babble = {0};

	(void)server;
	assert_int_equal(request->body.bytes, 0);
	rig.questions++;
	rig.may_wait = wait && strcmp(wait, "30000") == 0;
	switch (rig.manner) {
	case GIVES:
		give(request);
		break;
	case REFUSES:
		request_fail(request, OUTCOME_FAILED_PRECONDITION, "No inputs available.");
		break;
	case KEEPS:
		assert_null(rig.kept);
		rig.kept = request;
		request_on_cancel(request, on_cancel, NULL);
		break;
	case DISOWNS:
		request_fail(request, OUTCOME_UNIMPLEMENTED, "Method not found!");
		break;
	case BABBLES:
		assert_int_equal(slices_append(&babble, slice_static("\x0a\x7f", 2)), 0);
		request_reply(request, &babble);
		break;
	}
}

static struct request *take_kept(void)
{
	request_on_cancel(rig.kept, NULL, NULL);
	return take_pointer(&rig.kept);
}

static const struct method methods[] = {
	{.name = "GetToken", .body_max = 64, .handle = handle_get_token}};
static const struct service service = {
	.name = "flwr.proto.ClientAppIo", .methods = methods, .n_methods = 1};

static void accept_one(void *arg, int ready)
{
	int fd = accept4(rig.listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct peer *peer;

	(void)arg;
	(void)ready;
	if (fd < 0)
		return;
	assert_true(rig.connections < ARRAY_LEN(rig.peers));
	peer = &rig.peers[rig.connections];
	peer->connection = ++rig.connections;
	rpc_server_add(rig.server, fd, peer);
}

static void supernode_comes(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof address.sun_path, "%s", rig.address + strlen("unix:"));
	assert_int_equal(rpc_server_new(rig.rpc,
				 &(struct rpc_server_options){.services = &service,
					 .n_services = 1,
					 .receive_max_bytes = 1 << 16,
					 .calls_max = 4,
					 .keepalive_ms = 60000,
					 .keepalive_timeout_ms = 20000},
				 &rig.server),
		0);
	rig.listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_return_code(rig.listening, errno);
	assert_return_code(bind(rig.listening, (struct sockaddr *)&address, sizeof address), errno);
	assert_return_code(listen(rig.listening, 5), errno);
	rig.accepts = watch_new(rig.loop, rig.listening, WATCH_READ, accept_one, NULL);
	assert_non_null(rig.accepts);
}

static void on_down(void *arg)
{
	(void)arg;
	rig.down = true;
}

static void supernode_goes(void)
{
	watch_free(rig.accepts);
	close_fd(&rig.listening);
	unlink(rig.address + strlen("unix:"));
	rig.down = false;
	rpc_server_shutdown(take_pointer(&rig.server), 0, on_down, NULL);
	/* It has a timer that is due now. */
	time_passes(0);
	run_until(rig.down);
}

/* ---- who asks ---- */

static void on_token(void *arg, uint64_t token)
{
	assert_ptr_equal(arg, &rig);
	rig.tokens++;
	rig.token = token;
}

static int setup(void **state)
{
	(void)state;
	memset(&rig, 0, sizeof rig);
	rig.now_ms = __real_clock_now_ms() + AHEAD_MS;
	rig.listening = -1;
	rig.log_fd = memfd_create("log", MFD_CLOEXEC);
	rig.log = log_new(rig.log_fd, "test", LOG_LEVEL_DEBUG);
	strcpy(rig.dir, "/tmp/token-source-XXXXXX");
	assert_non_null(mkdtemp(rig.dir));
	snprintf(rig.address, sizeof rig.address, "unix:%s/sock", rig.dir);
	assert_int_equal(loop_new(&rig.loop), 0);
	assert_int_equal(rpc_new(rig.loop, &rig.rpc), 0);
	rig.nudge = timer_new(rig.loop, nothing, NULL);
	assert_non_null(rig.nudge);
	assert_int_equal(token_source_new(rig.loop, rig.rpc, rig.log, rig.address, on_token, &rig,
				 &rig.source),
		0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	token_source_free(rig.source);
	if (rig.server)
		supernode_goes();
	timer_free(rig.nudge);
	rpc_free(rig.rpc);
	loop_free(rig.loop);
	log_free(rig.log);
	close(rig.log_fd);
	rmdir(rig.dir);
	return 0;
}

/* How often text is in the log. */
static unsigned logged(const char *text)
{
	ssize_t n = pread(rig.log_fd, rig.text, sizeof rig.text - 1, 0);
	unsigned times = 0;

	assert_true(n >= 0);
	rig.text[n] = '\0';
	for (const char *at = strstr(rig.text, text); at; at = strstr(at + 1, text))
		times++;
	return times;
}

/* What is on its way arrives; there is nothing to wait for, so this sees only what is quick. */
static void settle(void)
{
	for (int i = 0; i < 5; i++)
		loop_step(rig.loop, 5);
}

/* The answer has come, and it will ask again in ms, and no sooner. */
static void asks_again_in(int64_t ms)
{
	run_until(rig.planned_ms);
	assert_int_equal(rig.planned_ms, rig.now_ms + ms);
}

/* That time passes; the SuperNode is asked. */
static void asks_again(void)
{
	unsigned before = rig.questions;
	int64_t ms = rig.planned_ms - rig.now_ms;

	assert_true(ms >= 0);
	rig.planned_ms = 0;
	time_passes(ms);
	run_until(rig.questions > before);
	assert_int_equal(rig.questions, before + 1);
}

static void a_token_that_is_there(void **state)
{
	(void)state;
	supernode_comes();
	settle();
	assert_int_equal(rig.questions, 0);
	token_source_ask(rig.source);
	assert_int_equal(rig.tokens, 0);
	run_until(rig.tokens);
	assert_int_equal(rig.token, 101);
	assert_true(rig.may_wait);
	/* Nothing more is asked for until it is told to. */
	time_passes(60000);
	settle();
	assert_int_equal(rig.questions, 1);
	token_source_ask(rig.source);
	run_until(rig.tokens == 2);
	assert_int_equal(rig.token, 102);
	assert_int_equal(rig.connections, 1);
	assert_int_equal(logged("test: "), 0);
}

/* The answer of Flower's SuperNode while it has no message: asked again after a tenth of the idle
 * time. */
static void refused_until_there_is_one(void **state)
{
	int64_t asked_ms = rig.now_ms, wait_ms = 0;

	(void)state;
	supernode_comes();
	rig.manner = REFUSES;
	token_source_ask(rig.source);
	for (int i = 0; i < 45; i++) {
		wait_ms = (rig.now_ms - asked_ms) / 10;
		wait_ms = wait_ms < 100 ? 100 : wait_ms > 1000 ? 1000 : wait_ms;
		asks_again_in(wait_ms);
		assert_true(rig.may_wait);
		asks_again();
	}
	assert_int_equal(wait_ms, 1000);
	assert_int_equal(rig.tokens, 0);
	asks_again_in(1000);
	rig.manner = GIVES;
	asks_again();
	run_until(rig.tokens == 1);
	assert_int_equal(rig.token, 100 + rig.questions);
	/* After a message, however long it took, the pace is quick again. */
	time_passes(60000);
	rig.manner = REFUSES;
	token_source_ask(rig.source);
	asks_again_in(100);
	assert_int_equal(logged("test: "), 0);
}

/* One of ours keeps the question for a while; then it may be asked at once. */
static void kept_until_there_is_one(void **state)
{
	(void)state;
	supernode_comes();
	rig.manner = KEEPS;
	token_source_ask(rig.source);
	run_until(rig.kept);
	time_passes(999);
	request_fail(take_kept(), OUTCOME_FAILED_PRECONDITION, "no message came");
	asks_again_in(100);
	asks_again();
	time_passes(1000);
	request_fail(take_kept(), OUTCOME_FAILED_PRECONDITION, "no message came");
	asks_again_in(0);
	asks_again();
	give(take_kept());
	run_until(rig.tokens);
	assert_int_equal(rig.token, 103);
	assert_int_equal(logged("test: "), 0);
}

/* Until a SuperNode that was away has been asked; gRPC takes its time to connect. */
static void until_asked(void)
{
	unsigned before = rig.questions;
	int64_t end_ms = __real_clock_now_ms() + WAIT_MS;

	while (rig.questions == before) {
		assert_true(__real_clock_now_ms() < end_ms);
		time_passes(2000);
		loop_step(rig.loop, 20);
	}
}

static void one_that_is_not_there_and_then_is(void **state)
{
	/* Between two tries: doubled each time, up to 2 s. */
	static const int64_t waits[] = {100, 200, 400, 800, 1600, 2000, 2000};

	(void)state;
	token_source_ask(rig.source);
	for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
		asks_again_in(waits[i]);
		assert_int_equal(rig.reconnects, i + 1);
		rig.planned_ms = 0;
		time_passes(waits[i]);
	}
	asks_again_in(2000);
	assert_int_equal(logged("WARN  test: the SuperNode at unix:"), 1);
	assert_int_equal(logged("cannot be reached: UNAVAILABLE"), 1);
	assert_int_equal(logged("test: "), 1);
	rig.manner = KEEPS;
	supernode_comes();
	until_asked();
	/* It shall say at once that it is there. */
	assert_false(rig.may_wait);
	assert_int_equal(logged("is there again"), 0);
	rig.planned_ms = 0;
	request_fail(take_kept(), OUTCOME_FAILED_PRECONDITION, "No inputs available.");
	run_until(rig.planned_ms);
	assert_int_equal(logged("INFO  test: the SuperNode at unix:"), 1);
	assert_int_equal(logged("is there again"), 1);
	asks_again();
	assert_true(rig.may_wait);
	give(take_kept());
	run_until(rig.tokens);
	assert_int_equal(logged("test: "), 2);
}

/* Restarts while a question is kept; each absence is told anew. */
static void one_that_goes_and_comes_back(void **state)
{
	(void)state;
	supernode_comes();
	rig.manner = KEEPS;
	token_source_ask(rig.source);
	run_until(rig.kept);
	for (unsigned i = 1; i <= 2; i++) {
		rig.planned_ms = 0;
		supernode_goes();
		assert_int_equal(rig.cancelled, i);
		run_until(logged("cannot be reached") == i);
		supernode_comes();
		until_asked();
		rig.planned_ms = 0;
		request_fail(take_kept(), OUTCOME_FAILED_PRECONDITION, "No inputs available.");
		run_until(rig.planned_ms);
		assert_int_equal(logged("is there again"), i);
		asks_again();
	}
	give(take_kept());
	run_until(rig.tokens);
	assert_int_equal(rig.tokens, 1);
	assert_int_equal(logged("test: "), 4);
}

/* A SuperNode in subprocess isolation, or of another Flower, may be replaced by the right one. */
static void one_that_hands_out_nothing(void **state)
{
	(void)state;
	supernode_comes();
	rig.manner = DISOWNS;
	token_source_ask(rig.source);
	asks_again_in(100);
	assert_int_equal(logged("hands out no messages"), 1);
	assert_int_equal(logged("--isolation process"), 1);
	assert_int_equal(logged("UNIMPLEMENTED \"Method not found!\""), 1);
	asks_again();
	asks_again_in(200);
	assert_int_equal(logged("test: "), 1);
	rig.manner = GIVES;
	asks_again();
	run_until(rig.tokens);
	assert_int_equal(logged("is there again"), 1);
	assert_int_equal(logged("test: "), 2);
}

static void one_that_makes_no_sense(void **state)
{
	(void)state;
	supernode_comes();
	rig.manner = BABBLES;
	token_source_ask(rig.source);
	asks_again_in(100);
	assert_int_equal(logged("its answer cannot be decoded"), 1);
	assert_int_equal(rig.tokens, 0);
	assert_int_equal(logged("test: "), 1);
	rig.manner = GIVES;
	asks_again();
	run_until(rig.tokens);
}

static void stopped_while_a_question_is_kept(void **state)
{
	(void)state;
	supernode_comes();
	rig.manner = KEEPS;
	token_source_ask(rig.source);
	run_until(rig.kept);
	token_source_stop(rig.source);
	run_until(rig.cancelled == 1);
	time_passes(60000);
	settle();
	assert_int_equal(rig.questions, 1);
	assert_int_equal(rig.tokens, 0);
	assert_int_equal(logged("test: "), 0);
}

static void stopped_between_two_questions(void **state)
{
	(void)state;
	supernode_comes();
	rig.manner = REFUSES;
	token_source_ask(rig.source);
	asks_again_in(100);
	token_source_stop(rig.source);
	/* Before the first question. */
	token_source_ask(rig.source);
	token_source_stop(rig.source);
	time_passes(60000);
	settle();
	assert_int_equal(rig.questions, 1);
}

/* On its way when it is stopped: not told. */
static void a_token_that_comes_too_late(void **state)
{
	(void)state;
	supernode_comes();
	rig.manner = KEEPS;
	token_source_ask(rig.source);
	run_until(rig.kept);
	give(take_kept());
	token_source_stop(rig.source);
	settle();
	assert_int_equal(rig.tokens, 0);
}

static void freed_while_a_question_is_kept(void **state)
{
	(void)state;
	supernode_comes();
	rig.manner = KEEPS;
	token_source_ask(rig.source);
	run_until(rig.kept);
	token_source_free(rig.source);
	rig.source = NULL;
	run_until(rig.cancelled == 1);
	time_passes(60000);
	settle();
	assert_int_equal(rig.questions, 1);
	assert_int_equal(rig.tokens, 0);
	assert_int_equal(logged("test: "), 0);
}

static void freed_while_nobody_is_there(void **state)
{
	(void)state;
	token_source_ask(rig.source);
	asks_again_in(100);
	token_source_free(rig.source);
	rig.source = NULL;
	time_passes(60000);
	settle();
	assert_int_equal(logged("test: "), 1);
}

static void a_bad_address(void **state)
{
	struct token_source *source = NULL;

	(void)state;
	assert_int_equal(
		token_source_new(rig.loop, rig.rpc, rig.log, "", on_token, &rig, &source), -EINVAL);
	assert_null(source);
	token_source_free(NULL);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_token_that_is_there),
		TEST(refused_until_there_is_one),
		TEST(kept_until_there_is_one),
		TEST(one_that_is_not_there_and_then_is),
		TEST(one_that_goes_and_comes_back),
		TEST(one_that_hands_out_nothing),
		TEST(one_that_makes_no_sense),
		TEST(stopped_while_a_question_is_kept),
		TEST(stopped_between_two_questions),
		TEST(a_token_that_comes_too_late),
		TEST(freed_while_a_question_is_kept),
		TEST(freed_while_nobody_is_there),
		TEST(a_bad_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
