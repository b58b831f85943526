/*
 * service: the steps of a request, and who may take which, in which order, and what becomes of one
 * whose caller has gone.
 */
#include "common/service/service.h"

#include <assert.h>
#include <string.h>

/* End a request: nothing of ours touches it afterwards. */
static void request_finish(
	struct request *request, enum outcome outcome, const char *details, struct slices *body)
{
	request->state = REQUEST_DONE;
	request->on_cancel = NULL;
	request->on_sent = NULL;
	/* The caller's bytes are not needed for the answer, which may take long to send. */
	slices_done(&request->body);
	request->ops->finish(request, outcome, details, body);
}

/* The caller has gone: the answer goes nowhere, the front-end gets its request back. */
static void request_drop(struct request *request)
{
	struct slices none = {0};

	request_finish(request, OUTCOME_CANCELLED, "the caller is gone", &none);
}

void request_arrived(struct request *request)
{
	assert(request->state == REQUEST_NEW);
	if (request->method->streams && !request->ops->send)
		request_fail(request, OUTCOME_UNIMPLEMENTED, "many messages cannot be sent here");
	else if (request->method->admit)
		request->method->admit(request->service->server, request);
	else
		request_admit(request);
}

void request_received(struct request *request)
{
	assert(request->state == REQUEST_RECEIVING);
	request->state = REQUEST_HANDLING;
	request->method->handle(request->service->server, request);
}

void request_cancelled(struct request *request)
{
	void (*fn)(void *arg, struct request *request) = request->on_cancel;
	bool receiving = request->state == REQUEST_RECEIVING;

	assert(request->state != REQUEST_DONE && request->state != REQUEST_CANCELLED);
	request->state = REQUEST_CANCELLED;
	request->on_cancel = NULL;
	request->on_sent = NULL;
	if (fn)
		fn(request->on_cancel_arg, request);
	else if (receiving)
		/* admit() has done its part, and handle() will not be called: the request ends
		 * here. */
		request_drop(request);
}

void request_sent(struct request *request)
{
	void (*fn)(void *arg, struct request *request) = request->on_sent;

	assert(request->state == REQUEST_HANDLING && fn);
	request->on_sent = NULL;
	fn(request->on_sent_arg, request);
}

const struct method *service_method(const struct service *services, size_t n, const char *path,
	const struct service **service_out)
{
	const char *name;
	size_t len;

	if (path[0] != '/')
		return NULL;
	path++;
	name = strchr(path, '/');
	if (!name)
		return NULL;
	len = (size_t)(name - path);
	name++;
	for (size_t i = 0; i < n; i++) {
		const struct service *service = &services[i];

		if (strncmp(service->name, path, len) != 0 || service->name[len] != '\0')
			continue;
		for (size_t j = 0; j < service->n_methods; j++) {
			if (strcmp(service->methods[j].name, name) != 0)
				continue;
			*service_out = service;
			return &service->methods[j];
		}
	}
	return NULL;
}

void request_admit(struct request *request)
{
	if (request->state == REQUEST_CANCELLED) {
		request_drop(request);
		return;
	}
	assert(request->state == REQUEST_NEW);
	request->state = REQUEST_RECEIVING;
	request->ops->admit(request);
}

int request_send(struct request *request, struct slices *body,
	void (*sent)(void *arg, struct request *request), void *arg)
{
	int r = 0;

	if (request->state != REQUEST_CANCELLED) {
		assert(request->state == REQUEST_HANDLING);
		assert(request->method->streams && sent && !request->on_sent);
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

const char *request_header(const struct request *request, const char *key)
{
	return request->ops->header(request, key);
}
