/*
 * service: the steps of a request, and who may take which, in which order, and what becomes of one
 * whose caller has gone.
 */
#include "common/service/service.h"

#include "common/base/clock.h"
#include "common/base/text.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Tell those that have begun, the last one first. */
static void interceptors_end(struct request *request, enum outcome outcome, const char *details)
{
	while (request->begun > 0) {
		const struct interceptor *last = &request->interceptors[--request->begun];

		if (last->end)
			last->end(last->arg, request, outcome, details);
	}
}

static void request_forget(struct request *request)
{
	struct request_watcher *watcher;

	while ((watcher = LIST_FIRST(&request->watchers)) != NULL)
		request_unwatch(watcher);
	request->on_cancel = NULL;
	request->on_sent = NULL;
	request->on_read = NULL;
}

/* End a request: nothing of ours touches it afterwards. */
static void request_finish(
	struct request *request, enum outcome outcome, const char *details, struct slices *body)
{
	if (request->told)
		interceptors_end(request, request->told_outcome, request->told_details);
	else
		interceptors_end(request, outcome, details ? details : "");
	request->state = REQUEST_DONE;
	request_forget(request);
	/* The caller's bytes are not needed for the answer, which may take long to send. */
	slices_done(&request->body);
	request->ops->finish(request, outcome, details, body);
}

/* The caller has gone: the answer goes nowhere, the front-end gets its request back. */
static void request_drop(struct request *request)
{
	struct slices none = {0};

	request_finish(request, request->told_outcome, request->told_details, &none);
}

void request_proceed(struct request *request)
{
	const struct method *method = request->method;

	if (request->state == REQUEST_CANCELLED) {
		request_drop(request);
		return;
	}
	assert(request->state == REQUEST_NEW);
	while (request->begun < request->n_interceptors) {
		const struct interceptor *next = &request->interceptors[request->begun++];

		if (next->begin) {
			next->begin(next->arg, request);
			return;
		}
	}
	if (!method)
		request_fail(request, OUTCOME_UNIMPLEMENTED, "no such method");
	else if (method->streams && !request->ops->send)
		request_fail(request, OUTCOME_UNIMPLEMENTED, "many messages cannot be sent here");
	else if (method->reads && !request->ops->read)
		request_fail(
			request, OUTCOME_UNIMPLEMENTED, "many messages cannot be received here");
	else if (method->admit)
		method->admit(request->service->server, request);
	else
		request_admit(request);
}

void request_arrived(struct request *request)
{
	request->arrived_ms = clock_now_ms();
	request->told = false;
	request_proceed(request);
}

void request_refused(struct request *request, enum outcome outcome, const char *details)
{
	for (size_t i = 0; i < request->n_interceptors; i++) {
		const struct interceptor *next = &request->interceptors[i];

		if (next->refused)
			next->refused(next->arg, request, outcome, details);
	}
}

void request_received(struct request *request)
{
	assert(request->state == REQUEST_RECEIVING);
	request->state = REQUEST_HANDLING;
	request->method->handle(request->service->server, request);
}

void request_tell(struct request *request, enum outcome outcome, const char *details)
{
	if (request->state == REQUEST_CANCELLED)
		return;
	snprintf(request->told_details, sizeof request->told_details, "%s", details);
	/* The end may be a part of a character. */
	text_cut(request->told_details, REQUEST_TOLD_MAX - 4);
	request->told_outcome = outcome;
	request->told = true;
}

void request_ended(struct request *request, enum outcome outcome, const char *details)
{
	void (*fn)(void *arg, struct request *request);
	bool receiving = request->state == REQUEST_RECEIVING;
	struct request_watcher *watcher;

	assert(request->state != REQUEST_DONE && request->state != REQUEST_CANCELLED);
	request_tell(request, outcome, details);
	request->state = REQUEST_CANCELLED;
	while ((watcher = LIST_FIRST(&request->watchers)) != NULL) {
		request_unwatch(watcher);
		watcher->gone(watcher->arg, request);
	}
	/* A watcher may have done its owner's duty and taken this back. */
	fn = request->on_cancel;
	request_forget(request);
	if (fn)
		fn(request->on_cancel_arg, request);
	else if (receiving)
		/* admit() has done its part, and handle() will not be called: the request ends
		 * here. */
		request_drop(request);
}

void request_cancelled(struct request *request)
{
	request_ended(request, OUTCOME_CANCELLED, "the caller is gone");
}

void request_read_done(struct request *request, struct slices *message)
{
	request_read_fn *fn = request->on_read;

	assert(request->state == REQUEST_HANDLING && fn);
	request->on_read = NULL;
	fn(request->on_read_arg, request, message);
	if (message)
		slices_done(message);
}

void request_sent(struct request *request)
{
	void (*fn)(void *arg, struct request *request) = request->on_sent;

	assert(request->state == REQUEST_HANDLING && fn);
	request->on_sent = NULL;
	fn(request->on_sent_arg, request);
}

/* The row of "/service/method"; path is what follows the first slash. */
static const struct method *table_method(const struct service *service, const char *path)
{
	size_t len = service->name ? strlen(service->name) : 0;

	if (!service->name || strncmp(path, service->name, len) != 0 || path[len] != '/')
		return NULL;
	for (size_t i = 0; i < service->n_methods; i++)
		if (strcmp(service->methods[i].name, path + len + 1) == 0)
			return &service->methods[i];
	return NULL;
}

/* Has the path this service's name, or the service none? */
static bool may_find(const struct service *service, const char *path)
{
	size_t len = service->name ? strlen(service->name) : 0;

	return service->find &&
	       (!service->name || (strncmp(path, service->name, len) == 0 && path[len] == '/'));
}

const struct method *service_method(const struct service *services, size_t n, const char *path,
	const struct service **service_out)
{
	const struct method *method = NULL;
	size_t i;

	if (path[0] != '/')
		return NULL;
	for (i = 0; !method && i < n; i++)
		method = table_method(&services[i], path + 1);
	if (!method) {
		for (i = 0; !method && i < n; i++)
			if (may_find(&services[i], path + 1))
				method = services[i].find(services[i].server, path);
	}
	if (method)
		*service_out = &services[i - 1];
	return method;
}

void request_admit(struct request *request)
{
	if (request->state == REQUEST_CANCELLED) {
		request_drop(request);
		return;
	}
	assert(request->state == REQUEST_NEW);
	if (request->method->reads) {
		request->state = REQUEST_HANDLING;
		request->method->handle(request->service->server, request);
		return;
	}
	request->state = REQUEST_RECEIVING;
	request->ops->admit(request);
}

void request_read(struct request *request, request_read_fn *fn, void *arg)
{
	if (request->state == REQUEST_CANCELLED)
		return;
	assert(request->state == REQUEST_HANDLING && request->method->reads && !request->on_read);
	assert(request->on_cancel);
	request->on_read = fn;
	request->on_read_arg = arg;
	request->ops->read(request);
}

int request_send(struct request *request, struct slices *body,
	void (*sent)(void *arg, struct request *request), void *arg)
{
	int r = 0;

	if (request->state != REQUEST_CANCELLED) {
		assert(request->state == REQUEST_HANDLING);
		assert(request->method->streams && sent && !request->on_sent);
		assert(request->on_cancel);
		r = request->ops->send(request, body);
		if (r == 0) {
			request->on_sent = sent;
			request->on_sent_arg = arg;
		}
	}
	slices_done(body);
	return r;
}

void request_reply(struct request *request, struct slices *body)
{
	if (request->state == REQUEST_CANCELLED) {
		slices_done(body);
		request_drop(request);
		return;
	}
	assert(request->state == REQUEST_HANDLING);
	request_finish(request, OUTCOME_OK, NULL, body);
}

void request_fail(struct request *request, enum outcome outcome, const char *details)
{
	struct slices none = {0};

	assert(outcome != OUTCOME_OK);
	if (request->state == REQUEST_CANCELLED) {
		request_drop(request);
		return;
	}
	assert(request->state != REQUEST_DONE);
	request_finish(request, outcome, details ? details : "", &none);
}

void request_on_cancel(
	struct request *request, void (*fn)(void *arg, struct request *request), void *arg)
{
	assert(request->state != REQUEST_DONE);
	request->on_cancel = fn;
	request->on_cancel_arg = arg;
}

void request_watch(struct request *request, struct request_watcher *watcher)
{
	assert(request->state != REQUEST_DONE && !watcher->watching);
	if (request->state == REQUEST_CANCELLED)
		return;
	watcher->watching = true;
	LIST_INSERT_HEAD(&request->watchers, watcher, link);
}

void request_unwatch(struct request_watcher *watcher)
{
	if (!watcher->watching)
		return;
	watcher->watching = false;
	LIST_REMOVE(watcher, link);
}

bool request_is_active(const struct request *request)
{
	return request->state != REQUEST_CANCELLED && request->state != REQUEST_DONE;
}

int64_t request_time_left_ms(const struct request *request)
{
	int64_t now_ms = clock_now_ms();

	if (request->deadline_ms == 0)
		return CLOCK_NEVER;
	return request->deadline_ms > now_ms ? request->deadline_ms - now_ms : 0;
}

const char *request_header(const struct request *request, const char *key)
{
	return request->ops->header(request, key);
}
