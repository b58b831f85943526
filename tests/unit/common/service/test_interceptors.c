/*
 * What stands around the handlers of requests, and methods that a table does not name. No front-end
 * carries these requests.
 */
#include "common/base/clock.h"
#include "common/service/interceptors.h"
#include "kit/clock.h"
#include "kit/log.h"
#include "kit/test.h"

#include <errno.h>

/* What has happened, in order. */
static char story[64];

static void note(const char *what)
{
	strncat(story, what, sizeof story - strlen(story) - 1);
}

static void fake_admit(struct request *request)
{
	note("R");
}

static void fake_finish(
	struct request *request, enum outcome outcome, const char *details, struct slices *body)
{
	note(outcome == OUTCOME_OK ? "ok" : outcome_name(outcome));
	slices_done(body);
}

static const char *token;

static const char *fake_header(const struct request *request, const char *key)
{
	return strcmp(key, "x-token") == 0 ? token : NULL;
}

static void fake_read(struct request *request)
{
	note("?");
}

static const struct request_ops ops = {
	.admit = fake_admit, .finish = fake_finish, .header = fake_header, .read = fake_read};

static void handle(void *server, struct request *request)
{
	note("h");
}

static const struct method methods[] = {
	{.name = "One", .handle = handle}, {.name = "Many", .reads = true, .handle = handle}};
static const struct service service = {.name = "a.S", .methods = methods, .n_methods = 2};
static const struct peer peer = {.text = "peer 1"};

static struct request request_of(const struct interceptor *interceptors, size_t n)
{
	story[0] = '\0';
	return (struct request){.ops = &ops,
		.service = &service,
		.method = &methods[0],
		.path = "/a.S/One",
		.peer = &peer,
		.interceptors = interceptors,
		.n_interceptors = n};
}

static void reply(struct request *request)
{
	struct slices body = {0};

	request_reply(request, &body);
}

/* ---- the order ---- */

static struct request *waiting;

static void go_on(void *arg, struct request *request)
{
	note(arg);
	request_proceed(request);
}

static void refuse(void *arg, struct request *request)
{
	note(arg);
	request_fail(request, OUTCOME_PERMISSION_DENIED, "no");
}

static void wait_begin(void *arg, struct request *request)
{
	note(arg);
	waiting = request;
}

static void end(void *arg, struct request *request, enum outcome outcome, const char *details)
{
	note("-");
	note(arg);
	note(details);
}

#define INTERCEPTOR(function, name)                                                                \
	{                                                                                          \
		.begin = (function), .end = end, .arg = (char *)(uintptr_t)(name)                  \
	}

static void they_stand_in_a_row(void **state)
{
	const struct interceptor row[] = {
		INTERCEPTOR(go_on, "1"), INTERCEPTOR(NULL, "2"), INTERCEPTOR(go_on, "3")};
	struct request request = request_of(row, 3);

	request_arrived(&request);
	request_received(&request);
	reply(&request);
	assert_string_equal(story, "13Rh-3-2-1ok");
}

static void one_may_refuse(void **state)
{
	const struct interceptor row[] = {
		INTERCEPTOR(go_on, "1"), INTERCEPTOR(refuse, "2"), INTERCEPTOR(go_on, "3")};
	struct request request = request_of(row, 3);

	request_arrived(&request);
	assert_string_equal(story, "12-2no-1noPERMISSION_DENIED");
}

static void one_may_take_its_time(void **state)
{
	const struct interceptor row[] = {INTERCEPTOR(wait_begin, "1"), INTERCEPTOR(go_on, "2")};
	struct request request = request_of(row, 2);

	request_arrived(&request);
	assert_string_equal(story, "1");
	request_proceed(waiting);
	assert_string_equal(story, "12R");
	request_received(&request);
	reply(&request);
	/* The caller goes meanwhile; whoever has the request gives it back. */
	request = request_of(row, 2);
	request_arrived(&request);
	request_cancelled(&request);
	assert_string_equal(story, "1");
	request_proceed(waiting);
	assert_string_equal(story, "1-1the caller is goneCANCELLED");
	/* The front-end has answered itself, in the middle of the body. */
	request = request_of(row + 1, 1);
	request_arrived(&request);
	request_ended(&request, OUTCOME_RESOURCE_EXHAUSTED, "too large");
	assert_string_equal(story, "2R-2too largeRESOURCE_EXHAUSTED");
}

/* Requests of unknown methods pass them, too. */
static void they_see_what_is_unknown(void **state)
{
	const struct interceptor row[] = {
		INTERCEPTOR(go_on, "1"), INTERCEPTOR(wait_begin, "2"), INTERCEPTOR(refuse, "3")};
	struct request request = request_of(row, 2);

	request.method = NULL;
	request.service = NULL;
	request_arrived(&request);
	assert_string_equal(story, "12");
	request_proceed(waiting);
	assert_string_equal(story, "12-2no such method-1no such methodUNIMPLEMENTED");
	request = request_of(row + 2, 1);
	request.method = NULL;
	request.service = NULL;
	request_arrived(&request);
	assert_string_equal(story, "3-3noPERMISSION_DENIED");
}

static void note_refused(
	void *arg, const struct request *request, enum outcome outcome, const char *details)
{
	note(arg);
	note(outcome_name(outcome));
	note(details);
}

static void they_hear_of_refusals(void **state)
{
	char first[] = "1", second[] = "2";
	const struct interceptor row[] = {{.refused = note_refused, .arg = first},
		INTERCEPTOR(go_on, "none"), {.refused = note_refused, .arg = second}};
	struct request request = request_of(row, 3);

	request_refused(&request, OUTCOME_INTERNAL, "x");
	assert_string_equal(story, "1INTERNALx2INTERNALx");
}

/* ---- reading ---- */

static void nobody_reads(void *arg, struct request *request)
{
	(void)arg;
	(void)request;
}

static void got(void *arg, struct request *request, struct slices *message)
{
	char text[16];

	snprintf(text, sizeof text, message ? "%zu" : "end", message ? message->bytes : 0);
	note(text);
	if (message)
		request_read(request, got, arg);
}

static void messages_are_asked_for(void **state)
{
	struct request request = request_of(NULL, 0);
	struct slices message = {0};

	request.method = &methods[1];
	request_arrived(&request);
	assert_string_equal(story, "h");
	request_on_cancel(&request, nobody_reads, NULL);
	request_read(&request, got, NULL);
	assert_int_equal(slices_append_copy(&message, "abc", 3), 0);
	request_read_done(&request, &message);
	assert_int_equal(message.n, 0);
	request_read_done(&request, &message);
	request_read_done(&request, NULL);
	assert_string_equal(story, "h?3?0?end");
	request_cancelled(&request);
	request_read(&request, got, NULL);
	reply(&request);
	assert_string_equal(story, "h?3?0?endCANCELLED");
}

static void a_front_end_may_not_know_streams(void **state)
{
	static const struct request_ops unary = {.finish = fake_finish};
	struct request request = request_of(NULL, 0);

	request.method = &methods[1];
	request.ops = &unary;
	request_arrived(&request);
	assert_string_equal(story, "UNIMPLEMENTED");
}

/* ---- finding ---- */

static const struct method found = {.name = "found"};

static const struct method *find(void *server, const char *path)
{
	note(path);
	return strstr(path, server) ? &found : NULL;
}

static void paths_without_a_row(void **state)
{
	char x[] = "X", y[] = "Y";
	const struct service all[] = {
		{.find = find, .server = x},
		{.name = "a.S", .methods = methods, .n_methods = 2, .find = find, .server = y},
		{.name = "b.S", .methods = methods, .n_methods = 2},
	};
	const struct service *of = NULL;

	story[0] = '\0';
	assert_ptr_equal(service_method(all, 3, "/a.S/One", &of), &methods[0]);
	assert_ptr_equal(of, &all[1]);
	assert_ptr_equal(service_method(all, 3, "/b.S/Many", &of), &methods[1]);
	assert_ptr_equal(of, &all[2]);
	assert_string_equal(story, "");
	assert_ptr_equal(service_method(all, 3, "/a.S/Y", &of), &found);
	assert_ptr_equal(of, &all[1]);
	assert_string_equal(story, "/a.S/Y/a.S/Y");
	assert_ptr_equal(service_method(all, 3, "/any/X", &of), &found);
	assert_ptr_equal(of, &all[0]);
	assert_null(service_method(all, 3, "/b.S/Y", &of));
	assert_null(service_method(all, 3, "/a.S", &of));
	assert_null(service_method(all, 3, "X", &of));
	assert_null(service_method(all, 3, "", &of));
}

/* ---- those that are there ---- */

static void run(const struct interceptor *interceptor, int64_t ms, enum outcome outcome)
{
	struct request request = request_of(interceptor, 1);

	request_arrived(&request);
	kit_clock_pass(ms);
	if (outcome == OUTCOME_OK) {
		request_received(&request);
		reply(&request);
	} else {
		request_fail(&request, outcome, "why not");
	}
}

static void numbers_as_a_line(const struct metrics *metrics)
{
	static const char line[] =
		"DEBUG calls: One OK n=2 ms=40 longest_ms=30; One NOT_FOUND n=2 ms=5 longest_ms=5; (none) UNIMPLEMENTED n=2 ms=0 longest_ms=0\n";
	const struct metrics none = {0};
	struct kit_log log;

	kit_log_init(&log, NULL, LOG_LEVEL_INFO);
	metrics_log(metrics, log.log, LOG_LEVEL_DEBUG, "calls");
	log_set_level(log.log, LOG_LEVEL_DEBUG);
	metrics_log(&none, log.log, LOG_LEVEL_DEBUG, "calls");
	kit_log_expect(&log, "");
	metrics_log(metrics, log.log, LOG_LEVEL_DEBUG, "calls");
	kit_log_expect(&log, line);
	kit_log_done(&log);
}

static void numbers(void **state)
{
	struct metrics metrics = {0};
	const struct interceptor interceptor = metrics_interceptor(&metrics);
	struct request request;

	run(&interceptor, 10, OUTCOME_OK);
	run(&interceptor, 5, OUTCOME_NOT_FOUND);
	run(&interceptor, 30, OUTCOME_OK);
	request = request_of(&interceptor, 1);
	request_arrived(&request);
	assert_int_equal(metrics.at_work, 1);
	assert_int_equal(metrics.n, 2);
	assert_ptr_equal(metrics.v[0].method, &methods[0]);
	assert_int_equal(metrics.v[0].outcome, OUTCOME_OK);
	assert_int_equal(metrics.v[0].n, 2);
	assert_int_equal(metrics.v[0].total_ms, 40);
	assert_int_equal(metrics.v[0].longest_ms, 30);
	assert_int_equal(metrics.v[1].outcome, OUTCOME_NOT_FOUND);
	assert_int_equal(metrics.v[1].n, 1);
	request_fail(&request, OUTCOME_NOT_FOUND, "");
	request = request_of(&interceptor, 1);
	request.service = NULL;
	request.method = NULL;
	request_arrived(&request);
	request_refused(&request, OUTCOME_UNIMPLEMENTED, "");
	assert_int_equal(metrics.n, 3);
	assert_null(metrics.v[2].method);
	assert_int_equal(metrics.v[2].n, 2);
	assert_int_equal(metrics.at_work, 0);
	numbers_as_a_line(&metrics);
	metrics_done(&metrics);
}

static void lines(void **state)
{
	static const char path[] = "/a.S/\n= caller\x1b";
	static const char unknown[] =
		"INFO  peer 1: /a.S/???caller?: UNIMPLEMENTED: no such method after 0 ms\n";
	struct request request;
	struct interceptor interceptor;
	struct kit_log log;

	kit_log_init(&log, NULL, LOG_LEVEL_INFO);
	for (int debug = 0; debug < 2; debug++) {
		interceptor = log_interceptor(log.log, debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
		run(&interceptor, 7, OUTCOME_OK);
		kit_log_expect(&log, debug ? "" : "INFO  peer 1: /a.S/One: OK after 7 ms\n");
		request = request_of(&interceptor, 1);
		request.path = path;
		request.service = NULL;
		request.method = NULL;
		request_arrived(&request);
		kit_log_expect(&log, debug ? "" : unknown);
		request.path = NULL;
		request_refused(&request, OUTCOME_RESOURCE_EXHAUSTED, "too many");
		kit_log_expect(&log,
			debug ? "" : "INFO  peer 1: call refused: RESOURCE_EXHAUSTED: too many\n");
	}
	log_set_level(log.log, LOG_LEVEL_DEBUG);
	run(&interceptor, 7, OUTCOME_NOT_FOUND);
	kit_log_expect(&log, "DEBUG peer 1: /a.S/One: NOT_FOUND: why not after 7 ms\n");
	kit_log_done(&log);
}

static void a_token(void **state)
{
	static const struct token_check check = {"x-token", "secret"};
	static const char *const wrong[] = {NULL, "", "s", "secre", "secrets", "Secret"};
	const struct interceptor interceptor = token_interceptor(&check);

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct request request = request_of(&interceptor, 1);

		token = wrong[i];
		request_arrived(&request);
		assert_string_equal(story, "UNAUTHENTICATED");
	}
	token = "secret";
	run(&interceptor, 0, OUTCOME_OK);
	assert_string_equal(story, "Rhok");
}

static void the_time_that_is_left(void **state)
{
	struct request request = request_of(NULL, 0);

	assert_true(request_time_left_ms(&request) == CLOCK_NEVER);
	request.deadline_ms = clock_now_ms() + 100;
	kit_clock_pass(40);
	assert_int_equal(request_time_left_ms(&request), 60);
	kit_clock_pass(100);
	assert_int_equal(request_time_left_ms(&request), 0);
}

static int clock_setup(void **state)
{
	kit_clock_start(NULL);
	return 0;
}

static int clock_teardown(void **state)
{
	kit_clock_done();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(they_stand_in_a_row),
		cmocka_unit_test(one_may_refuse),
		cmocka_unit_test(one_may_take_its_time),
		cmocka_unit_test(they_see_what_is_unknown),
		cmocka_unit_test(they_hear_of_refusals),
		cmocka_unit_test(messages_are_asked_for),
		cmocka_unit_test(a_front_end_may_not_know_streams),
		cmocka_unit_test(paths_without_a_row),
		cmocka_unit_test(lines),
		cmocka_unit_test(numbers),
		cmocka_unit_test(a_token),
		cmocka_unit_test(the_time_that_is_left),
	};

	return cmocka_run_group_tests(tests, clock_setup, clock_teardown);
}
