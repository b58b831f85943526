/*
 * Asking a SuperNode over HTTP: what becomes of a question that is not answered as it should be.
 * The finder and the carrier are the test's: nothing goes over a network.
 */
#include "clientapp/api/finder.h"
#include "clientapp/api/work_poll.h"

#include "common/http/http.h"
#include "kit/clock.h"
#include "kit/log.h"
#include "kit/loop.h"
#include "kit/test.h"

#include <string.h>

#define LONGEST_WAIT_MS 30000 /* that a SuperNode is asked to keep a question for */

int __wrap_finder_new(const struct carrier_options *options, finder_looked_fn *looked, void *arg,
	struct finder **out);
struct carrier *__wrap_finder_carrier(const struct finder *finder);
enum carrier_kind __wrap_finder_kind(const struct finder *finder);
void __wrap_finder_look(struct finder *finder);
void __wrap_finder_settle(struct finder *finder);
void __wrap_finder_free(struct finder *finder);
int __wrap_carrier_call(struct carrier *carrier, const struct carrier_call *call,
	struct slices *body, struct carrier_handle **out);
void __wrap_carrier_cancel(struct carrier_handle *handle);
void __wrap_carrier_reconnect(struct carrier *carrier);

static struct {
	struct loop *loop;
	struct kit_log log;
	struct work_poll *poll;
	enum carrier_kind kind;
	finder_looked_fn *looked;
	void *looked_arg;
	unsigned looks, calls, cancelled;
	struct carrier_call call; /* the last one */
} asker;

/* ---- in the places of the real ones ---- */

int __wrap_finder_new(const struct carrier_options *options, finder_looked_fn *looked, void *arg,
	struct finder **out)
{
	asker.looked = looked;
	asker.looked_arg = arg;
	*out = (struct finder *)&asker;
	return 0;
}

struct carrier *__wrap_finder_carrier(const struct finder *finder)
{
	return (struct carrier *)&asker;
}

enum carrier_kind __wrap_finder_kind(const struct finder *finder)
{
	return asker.kind;
}

/* After HTTP it is tried by gRPC, then found by HTTP. */
void __wrap_finder_look(struct finder *finder)
{
	bool was_http = asker.kind == CARRIER_HTTP;

	asker.looks++;
	asker.kind = was_http ? CARRIER_GRPC : CARRIER_HTTP;
	asker.looked(asker.looked_arg, !was_http);
}

void __wrap_finder_settle(struct finder *finder)
{
}

void __wrap_finder_free(struct finder *finder)
{
}

int __wrap_carrier_call(struct carrier *carrier, const struct carrier_call *call,
	struct slices *body, struct carrier_handle **out)
{
	slices_done(body);
	asker.call = *call;
	asker.calls++;
	*out = (struct carrier_handle *)&asker;
	return 0;
}

void __wrap_carrier_cancel(struct carrier_handle *handle)
{
	asker.cancelled++;
}

void __wrap_carrier_reconnect(struct carrier *carrier)
{
}

/* ---- what happens ---- */

static void answered(enum outcome outcome, const char *details)
{
	struct carrier_result result = {.outcome = outcome, .details = details};

	asker.call.done(asker.call.arg, &result);
}

static void next_call(void)
{
	unsigned calls = asker.calls;

	kit_clock_pass(2000);
	kit_loop_until(asker.loop, asker.calls > calls);
}

static void got(void *arg, const struct work *work)
{
}

static int setup(void **state)
{
	memset(&asker, 0, sizeof asker);
	asker.kind = CARRIER_HTTP;
	assert_int_equal(loop_new(&asker.loop), 0);
	kit_log_init(&asker.log, "test", LOG_LEVEL_INFO);
	assert_int_equal(
		work_poll_new(asker.loop, NULL, asker.log.log,
			&(struct work_poll_options){.address = "host:1", .got = got}, &asker.poll),
		0);
	work_poll_ask(asker.poll);
	next_call();
	return 0;
}

static int teardown(void **state)
{
	work_poll_free(asker.poll);
	if (asker.cancelled)
		answered(OUTCOME_CANCELLED, "");
	kit_log_done(&asker.log);
	loop_free(asker.loop);
	return 0;
}

/* A connection that has ended without a word would be waited for for ever. */
static void a_question_has_a_time(void **state)
{
	assert_true(asker.call.timeout_ms > LONGEST_WAIT_MS);
	answered(OUTCOME_DEADLINE_EXCEEDED, "no answer in time");
	assert_int_equal(asker.looks, 1);
	assert_int_equal(kit_log_count(&asker.log, "DEADLINE_EXCEEDED"), 1);
	next_call();
	assert_string_equal(asker.call.path, "/flwr.proto.ClientAppIo/GetToken");
	/* gRPC's own keepalive finds a dead connection. */
	assert_int_equal(asker.call.timeout_ms, 0);
}

/* What answers over HTTP now is no SuperNode, or none that speaks HTTP: gRPC is tried again. */
static void another_release_is_looked_for(void **state)
{
	static const enum outcome outcomes[] = {OUTCOME_UNAVAILABLE, OUTCOME_INTERNAL,
		OUTCOME_UNKNOWN, OUTCOME_RESOURCE_EXHAUSTED, OUTCOME_PERMISSION_DENIED};

	for (size_t i = 0; i < ARRAY_LEN(outcomes); i++) {
		assert_string_equal(asker.call.path, "/flwr.proto.Runtime/AcquireTask");
		answered(outcomes[i], "says the test");
		assert_int_equal(asker.looks, 2 * i + 1);
		next_call();
		assert_string_equal(asker.call.path, "/flwr.proto.ClientAppIo/GetToken");
		answered(OUTCOME_UNAVAILABLE, "no gRPC");
		next_call();
	}
}

static void another_release_is_looked_for_when_no_way_is_known(void **state)
{
	static const char *const ways[] = {
		"/flwr.proto.Runtime/AcquireTask", "/flwr.proto.Runtime/PullPendingTasks"};

	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		assert_string_equal(asker.call.path, ways[i]);
		assert_int_equal(asker.looks, 0);
		answered(OUTCOME_UNIMPLEMENTED, "Not Found");
		if (i + 1 < ARRAY_LEN(ways))
			next_call();
	}
	assert_int_equal(asker.looks, 1);
	assert_int_equal(kit_log_count(&asker.log, "hands out no messages"), 1);
	next_call();
	assert_string_equal(asker.call.path, "/flwr.proto.ClientAppIo/GetToken");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_question_has_a_time),
		TEST(another_release_is_looked_for),
		TEST(another_release_is_looked_for_when_no_way_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
