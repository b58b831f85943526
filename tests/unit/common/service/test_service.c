/*
 * A front-end that carries nothing: what a request may do in which state, and what its front-end
 * hears of it.
 */
#include "common/service/service.h"
#include "kit/test.h"

/* The events so far, one letter each. */
struct log {
	char text[32];
	size_t n;
	enum outcome outcome;
	char details[64];
	size_t body_bytes;
	int send_result;
};

struct fake {
	struct request request;
	struct log *log;
};

struct handler {
	struct log log;
	bool watch;         /* set on_cancel */
	bool answer_inside; /* on_cancel answers */
	bool admit_later;
	bool handle_later;
	enum outcome admit_outcome;
};

static void note(struct log *log, char what)
{
	assert_true(log->n + 1 < sizeof log->text);
	log->text[log->n++] = what;
}

static void fake_admit(struct request *request)
{
	note(container_of(request, struct fake, request)->log, 'R');
}

static void fake_finish(
	struct request *request, enum outcome outcome, const char *details, struct slices *body)
{
	struct log *log = container_of(request, struct fake, request)->log;

	note(log, 'F');
	log->outcome = outcome;
	log->body_bytes = body->bytes;
	if (outcome == OUTCOME_OK)
		assert_null(details);
	else
		strncpy(log->details, details, sizeof log->details - 1);
	assert_int_equal(request->body.n, 0);
	slices_done(body);
	/* Free the request inside, as a front-end may: the service must not read it again. */
	memset(request, 0xee, sizeof *request);
}

static const char *fake_header(const struct request *request, const char *key)
{
	return strcmp(key, "x-token") == 0 ? "abc" : NULL;
}

static int fake_send(struct request *request, const struct slices *body)
{
	struct log *log = container_of(request, struct fake, request)->log;

	note(log, 'S');
	log->body_bytes = body->bytes;
	return log->send_result;
}

static const struct request_ops fake_ops = {
	.admit = fake_admit, .finish = fake_finish, .header = fake_header, .send = fake_send};

static void cancelled(void *arg, struct request *request)
{
	struct handler *handler = arg;

	note(&handler->log, 'C');
	assert_int_equal(request->state, REQUEST_CANCELLED);
	if (handler->answer_inside)
		request_fail(request, OUTCOME_INTERNAL, "dropped");
}

static void admit(void *server, struct request *request)
{
	struct handler *handler = server;

	note(&handler->log, 'a');
	if (handler->watch)
		request_on_cancel(request, cancelled, handler);
	if (handler->admit_later)
		return;
	if (handler->admit_outcome != OUTCOME_OK)
		request_fail(request, handler->admit_outcome, NULL);
	else
		request_admit(request);
}

static void reply(struct request *request)
{
	struct slices body = {0};

	assert_int_equal(slices_append_copy(&body, "answer", 6), 0);
	request_reply(request, &body);
	assert_int_equal(body.n, 0);
}

static void handle(void *server, struct request *request)
{
	struct handler *handler = server;

	note(&handler->log, 'h');
	assert_int_equal(request->body.bytes, 4);
	if (!handler->handle_later)
		reply(request);
}

static const struct method methods[] = {
	{.name = "Full", .body_max = 10, .admit = admit, .handle = handle},
	{.name = "Plain", .body_max = 10, .handle = handle},
	{.name = "Stream", .body_max = 10, .streams = true, .admit = admit, .handle = handle},
};

static struct service service_of(struct handler *handler)
{
	return (struct service){.name = "a.B",
		.methods = methods,
		.n_methods = ARRAY_LEN(methods),
		.server = handler};
}

static void arrive(
	struct fake *fake, const struct service *service, size_t method, struct handler *handler)
{
	*fake = (struct fake){.log = &handler->log,
		.request = {.ops = &fake_ops, .service = service, .method = &methods[method]}};
	request_arrived(&fake->request);
}

static void receive(struct fake *fake)
{
	assert_int_equal(slices_append_copy(&fake->request.body, "body", 4), 0);
	request_received(&fake->request);
}

static void test_straight(void **state)
{
	for (size_t method = 0; method < ARRAY_LEN(methods); method++) {
		struct handler handler = {.watch = true};
		struct service service = service_of(&handler);
		struct fake fake;

		arrive(&fake, &service, method, &handler);
		assert_int_equal(fake.request.state, REQUEST_RECEIVING);
		assert_string_equal(request_header(&fake.request, "x-token"), "abc");
		assert_null(request_header(&fake.request, "x-other"));
		receive(&fake);
		assert_string_equal(handler.log.text, method == 1 ? "RhF" : "aRhF");
		assert_int_equal(handler.log.outcome, OUTCOME_OK);
		assert_int_equal(handler.log.body_bytes, 6);
	}
}

static void test_refused(void **state)
{
	for (int i = OUTCOME_OK + 1; i < OUTCOME_N; i++) {
		struct handler handler = {.admit_outcome = (enum outcome)i};
		struct service service = service_of(&handler);
		struct fake fake;

		arrive(&fake, &service, 0, &handler);
		assert_string_equal(handler.log.text, "aF");
		assert_int_equal(handler.log.outcome, i);
		assert_string_equal(handler.log.details, "");
	}
}

static void test_later(void **state)
{
	struct handler handler = {.admit_later = true, .handle_later = true};
	struct service service = service_of(&handler);
	struct fake fake;

	arrive(&fake, &service, 0, &handler);
	assert_string_equal(handler.log.text, "a");
	request_admit(&fake.request);
	assert_string_equal(handler.log.text, "aR");
	receive(&fake);
	assert_string_equal(handler.log.text, "aRh");
	request_fail(&fake.request, OUTCOME_NOT_FOUND, "no such thing");
	assert_string_equal(handler.log.text, "aRhF");
	assert_int_equal(handler.log.outcome, OUTCOME_NOT_FOUND);
	assert_string_equal(handler.log.details, "no such thing");
}

static void test_fail_while_receiving(void **state)
{
	struct handler handler = {0};
	struct service service = service_of(&handler);
	struct fake fake;

	arrive(&fake, &service, 0, &handler);
	request_fail(&fake.request, OUTCOME_PERMISSION_DENIED, "too late");
	assert_string_equal(handler.log.text, "aRF");
	assert_int_equal(handler.log.outcome, OUTCOME_PERMISSION_DENIED);
}

/* The caller goes in every state, with and without on_cancel, answered inside or afterwards. */
struct cancel_row {
	const char *before; /* until the caller goes */
	bool admit_later, handle_later, watch, answer_inside;
	const char *after;
	bool owed; /* an answer is still due */
};

static const struct cancel_row cancel_rows[] = {
	{"a", true, false, false, false, "a", true},
	{"a", true, false, true, false, "aC", true},
	{"a", true, false, true, true, "aCF", false},
	{"aR", false, false, false, false, "aRF", false},
	{"aR", false, false, true, false, "aRC", true},
	{"aR", false, false, true, true, "aRCF", false},
	{"aRh", false, true, false, false, "aRh", true},
	{"aRh", false, true, true, false, "aRhC", true},
	{"aRh", false, true, true, true, "aRhCF", false},
};

static void cancel_row(const struct cancel_row *row, int end)
{
	struct handler handler = {.admit_later = row->admit_later,
		.handle_later = row->handle_later,
		.watch = row->watch,
		.answer_inside = row->answer_inside};
	struct service service = service_of(&handler);
	struct fake fake;

	arrive(&fake, &service, 0, &handler);
	if (row->handle_later)
		receive(&fake);
	assert_string_equal(handler.log.text, row->before);
	request_cancelled(&fake.request);
	assert_string_equal(handler.log.text, row->after);
	if (row->owed) {
		assert_int_equal(fake.request.state, REQUEST_CANCELLED);
		if (end == 0)
			request_fail(&fake.request, OUTCOME_INTERNAL, "nobody reads this");
		else if (end == 1)
			reply(&fake.request);
		else
			request_admit(&fake.request);
	}
	assert_int_equal(handler.log.text[handler.log.n - 1], 'F');
	assert_int_equal(handler.log.outcome, OUTCOME_CANCELLED);
	assert_int_equal(handler.log.body_bytes, 0);
}

static void test_cancelled(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cancel_rows); i++) {
		for (int end = 0; end < 3; end++)
			cancel_row(&cancel_rows[i], end);
	}
}

static void test_on_cancel_taken_back(void **state)
{
	struct handler handler = {.watch = true, .handle_later = true};
	struct service service = service_of(&handler);
	struct fake fake;

	arrive(&fake, &service, 0, &handler);
	receive(&fake);
	request_on_cancel(&fake.request, NULL, NULL);
	request_cancelled(&fake.request);
	assert_string_equal(handler.log.text, "aRh");
	reply(&fake.request);
	assert_string_equal(handler.log.text, "aRhF");
}

static struct watched {
	struct request_watcher watcher;
	struct log *log;
	char name;
} watched[3];

static void watcher_told(void *arg, struct request *request)
{
	struct watched *told = arg;

	note(told->log, told->name);
	assert_false(request_is_active(request));
	/* Again, and another one that waits to be told. */
	request_unwatch(&told->watcher);
	if (told == &watched[2])
		request_unwatch(&watched[1].watcher);
	request_watch(request, &told->watcher);
}

static void watch(struct fake *fake, struct handler *handler)
{
	for (size_t i = 0; i < ARRAY_LEN(watched); i++) {
		watched[i] = (struct watched){.watcher = {.gone = watcher_told, .arg = &watched[i]},
			.log = &handler->log,
			.name = (char)('0' + i)};
		request_watch(&fake->request, &watched[i].watcher);
	}
	assert_true(request_is_active(&fake->request));
}

/* Any number may watch beside the one that owes the answer. */
static void test_watched(void **state)
{
	struct handler handler = {.watch = true, .answer_inside = true, .handle_later = true};
	struct service service = service_of(&handler);
	struct fake fake;

	arrive(&fake, &service, 0, &handler);
	receive(&fake);
	watch(&fake, &handler);
	request_cancelled(&fake.request);
	assert_string_equal(handler.log.text, "aRh20CF");
	/* Nobody else cares: the request ends while its body comes. */
	handler = (struct handler){0};
	arrive(&fake, &service, 0, &handler);
	watch(&fake, &handler);
	request_cancelled(&fake.request);
	assert_string_equal(handler.log.text, "aR20F");
}

/* Watchers of a request that is answered are let go. */
static void test_watched_and_answered(void **state)
{
	struct handler handler = {.handle_later = true};
	struct service service = service_of(&handler);
	struct fake fake;

	arrive(&fake, &service, 0, &handler);
	receive(&fake);
	watch(&fake, &handler);
	request_unwatch(&watched[1].watcher);
	request_unwatch(&watched[1].watcher);
	reply(&fake.request);
	assert_string_equal(handler.log.text, "aRhF");
	for (size_t i = 0; i < ARRAY_LEN(watched); i++) {
		assert_false(watched[i].watcher.watching);
		request_unwatch(&watched[i].watcher);
	}
}

static void sent(void *arg, struct request *request)
{
	struct handler *handler = arg;

	note(&handler->log, 's');
	assert_int_equal(request->state, REQUEST_HANDLING);
}

static int send(struct fake *fake, struct handler *handler)
{
	struct slices body = {0};
	int r;

	assert_int_equal(slices_append_copy(&body, "message", 7), 0);
	r = request_send(&fake->request, &body, sent, handler);
	assert_int_equal(body.n, 0);
	return r;
}

static void test_stream(void **state)
{
	struct handler handler = {.watch = true, .handle_later = true};
	struct service service = service_of(&handler);
	struct fake fake;

	arrive(&fake, &service, 2, &handler);
	receive(&fake);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(send(&fake, &handler), 0);
		assert_int_equal(handler.log.body_bytes, 7);
		request_sent(&fake.request);
	}
	handler.log.send_result = -ENOMEM;
	assert_int_equal(send(&fake, &handler), -ENOMEM);
	handler.log.send_result = 0;
	assert_int_equal(send(&fake, &handler), 0);
	reply(&fake.request);
	assert_string_equal(handler.log.text, "aRhSsSsSSF");
	assert_int_equal(handler.log.body_bytes, 6);
}

/* A caller that goes while a message is on its way: sent() is not called any more. */
static void test_stream_cancelled(void **state)
{
	struct handler handler = {.watch = true, .handle_later = true};
	struct service service = service_of(&handler);
	struct fake fake;

	arrive(&fake, &service, 2, &handler);
	receive(&fake);
	assert_int_equal(send(&fake, &handler), 0);
	request_cancelled(&fake.request);
	assert_null(fake.request.on_sent);
	assert_int_equal(send(&fake, &handler), 0);
	request_fail(&fake.request, OUTCOME_INTERNAL, "dropped");
	assert_string_equal(handler.log.text, "aRhSCF");
	assert_int_equal(handler.log.outcome, OUTCOME_CANCELLED);
}

/* A front-end that knows no streams answers in the service's place. */
static void test_stream_unknown(void **state)
{
	struct request_ops ops = fake_ops;
	struct handler handler = {0};
	struct service service = service_of(&handler);
	struct fake fake = {.log = &handler.log,
		.request = {.ops = &ops, .service = &service, .method = &methods[2]}};

	ops.send = NULL;
	request_arrived(&fake.request);
	assert_string_equal(handler.log.text, "F");
	assert_int_equal(handler.log.outcome, OUTCOME_UNIMPLEMENTED);
}

static void test_method(void **state)
{
	static const char *const unknown[] = {"", "/", "a.B/Full", "/a.B", "/a.B/", "/a.B/Ful",
		"/a.B/Fully", "/a.B/Full/", "/a.B/Full/x", "//Full", "/a/Full", "/a.BB/Full",
		"//a.B/Full", "/a.b/Full"};
	struct handler handler = {0};
	struct service services[2] = {{.name = "a"}, service_of(&handler)};
	const struct service *found = NULL;

	assert_ptr_equal(service_method(services, 2, "/a.B/Plain", &found), &methods[1]);
	assert_ptr_equal(found, &services[1]);
	assert_ptr_equal(service_method(services, 2, "/a.B/Full", &found), &methods[0]);
	found = NULL;
	for (size_t i = 0; i < ARRAY_LEN(unknown); i++)
		assert_null(service_method(services, 2, unknown[i], &found));
	assert_null(service_method(services, 1, "/a.B/Full", &found));
	assert_null(service_method(NULL, 0, "/a.B/Full", &found));
	assert_null(found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_straight),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_later),
		cmocka_unit_test(test_fail_while_receiving),
		cmocka_unit_test(test_cancelled),
		cmocka_unit_test(test_on_cancel_taken_back),
		cmocka_unit_test(test_watched),
		cmocka_unit_test(test_watched_and_answered),
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_stream_cancelled),
		cmocka_unit_test(test_stream_unknown),
		cmocka_unit_test(test_method),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
