#include "supernode/workers/admission.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/message/worker_api.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- refusals ---- */

void refuse(struct admission *admission, struct request *request, enum outcome outcome,
	const char *details)
{
	guests_complain_refused(
		admission->guests, request->peer, request->method->name, outcome, details);
	request_fail(request, outcome, details);
}

void refuse_quietly(const struct admission *admission, struct request *request,
	enum outcome outcome, const char *details)
{
	log_debug(admission->log, "worker API: %s %s: %s: %s", request->peer->text,
		request->method->name, outcome_name(outcome), details);
	request_fail(request, outcome, details);
}

void refuse_errno(struct admission *admission, struct request *request, int error)
{
	if (error == -ENOMEM)
		refuse(admission, request, OUTCOME_RESOURCE_EXHAUSTED, "no memory");
	else
		refuse(admission, request, OUTCOME_INVALID_ARGUMENT,
			"the request cannot be decoded");
}

void refuse_context(struct admission *admission, struct request *request, int error)
{
	if (error == -EBADMSG)
		refuse(admission, request, OUTCOME_INVALID_ARGUMENT, "the context is broken");
	else
		refuse(admission, request, OUTCOME_RESOURCE_EXHAUSTED,
			"the SuperNode has no memory to check the context");
}

void refuse_gone(struct request *request)
{
	request_fail(request, OUTCOME_CANCELLED, "the caller has gone");
}

/* ---- who calls ---- */

void admission_hold(struct admission *admission, const struct request *request, uint64_t token)
{
	guests_hold(admission->guests, request->peer, token,
		request_header(request, GUESTS_SAID_HEADER));
}

static struct message *find_message(
	const struct admission *admission, const struct request *request)
{
	const char *text = request_header(request, WORKER_API_TASK_TOKEN);

	return text ? node_message_of_text(admission->node, text) : NULL;
}

/* The message of a task's token; NULL: the request was refused. */
static struct message *admit_token(struct admission *admission, struct request *request)
{
	struct message *message = find_message(admission, request);

	if (message && node_message_form(message) == MESSAGE_OBJECTS)
		return message;
	if (message)
		refuse(admission, request, OUTCOME_INVALID_ARGUMENT, "the token is of no task");
	else
		refuse(admission, request, OUTCOME_UNAUTHENTICATED,
			"the task's token is not valid, or is no more");
	return NULL;
}

/* Is its caller still there? Else the request was refused: nobody would learn what became of it. */
static bool admit_present(const struct admission *admission, struct request *request)
{
	bool open = guests_open(admission->guests, request->peer);

	if (!open)
		refuse_gone(request);
	return open;
}

/* The same, of one that may have waited meanwhile. */
static struct message *admit_again(struct admission *admission, struct request *request)
{
	return admit_present(admission, request) ? admit_token(admission, request) : NULL;
}

/* false: the request was refused. */
static bool admit_launcher(struct admission *admission, struct request *request)
{
	const char *texts[PROOF_N];
	char path[128];

	if (!admission->launchers)
		return true;
	for (size_t i = 0; i < PROOF_N; i++)
		texts[i] = request_header(request, launcher_headers[i]);
	snprintf(path, sizeof path, "/%s/%s", request->service->name, request->method->name);
	if (launcher_auth_verify(admission->launchers, path, &request->body, clock_wall_s(), texts))
		return true;
	refuse(admission, request, OUTCOME_UNAUTHENTICATED,
		"who asks for work must sign with the secret of this SuperNode's launchers");
	return false;
}

/* ---- bodies of any size ---- */

/* true: it had not begun. */
static bool unqueue(struct admission *admission, const struct request *request)
{
	for (size_t i = 0; i < admission->n_queue; i++) {
		if (admission->queue[i] != request)
			continue;
		admission->n_queue--;
		memmove(admission->queue + i, admission->queue + i + 1,
			(admission->n_queue - i) * sizeof admission->queue[0]);
		return true;
	}
	return false;
}

static void admit_next(struct admission *admission)
{
	while (admission->n_contents < CONTENTS_BYTES / CONTENT_BYTES && admission->n_queue > 0) {
		struct request *request = admission->queue[0];

		unqueue(admission, request);
		admission->n_contents++;
		request_admit(request);
	}
}

static void content_released(struct admission *admission)
{
	admission->n_contents--;
	admit_next(admission);
}

static void content_cancelled(void *arg, struct request *request)
{
	struct admission *admission = arg;
	bool queued = unqueue(admission, request);

	request_on_cancel(request, NULL, NULL);
	guests_busy(admission->guests, request->peer, -1);
	refuse_gone(request);
	if (!queued)
		content_released(admission);
}

/* request_admit(), now or later; its connection is not idle meanwhile. */
static void admit_content(struct admission *admission, struct request *request)
{
	if (admission->n_queue == CONTENTS_QUEUE_MAX) {
		refuse(admission, request, OUTCOME_RESOURCE_EXHAUSTED,
			"too many contents are waiting to be received");
		return;
	}
	request_on_cancel(request, content_cancelled, admission);
	guests_busy(admission->guests, request->peer, 1);
	admission->queue[admission->n_queue++] = request;
	admit_next(admission);
}

static const struct worker_method *method_of(
	const struct worker_service *service, const struct request *request)
{
	return &service->table[request->method - service->methods];
}

void content_end(struct content *content)
{
	struct admission *admission = content->service->admission;
	const struct worker_method *method = content->method;

	method->content->done(content);
	free(content);
	if (method->rule == ADMIT_CONTENT)
		content_released(admission);
}

static void content_run(struct job *job)
{
	struct content *content = container_of(job, struct content, job);

	content->result = content->method->content->read(content);
}

static void content_done(struct job *job)
{
	struct content *content = container_of(job, struct content, job);
	struct message *message = NULL;
	bool of_use = true;

	/* The message may have been answered meanwhile. */
	if (content->method->rule == ADMIT_CONTENT) {
		message = admit_again(content->service->admission, content->request);
		of_use = message != NULL;
	}
	if (!of_use || content->method->content->take(content, message))
		content_end(content);
}

bool content_start(struct worker_service *service, struct request *request)
{
	const struct worker_method *method = method_of(service, request);
	struct content *content = calloc(1, method->content->bytes);

	if (!content) {
		refuse_errno(service->admission, request, -ENOMEM);
		return false;
	}
	*content = (struct content){.job = {.run = content_run, .done = content_done},
		.service = service,
		.method = method,
		.request = request};
	if (request->body.bytes < CONTENT_LARGE_BYTES) {
		content_run(&content->job);
	} else {
		if (loop_job(service->admission->loop, &content->job) == 0)
			return true;
		content->result = -ENOMEM;
	}
	content_done(&content->job);
	return true;
}

static void handle_content(struct worker_service *service, struct request *request)
{
	struct admission *admission = service->admission;

	request_on_cancel(request, NULL, NULL);
	guests_busy(admission->guests, request->peer, -1);
	if (!admit_again(admission, request) || !content_start(service, request))
		content_released(admission);
}

/* ---- the wrapper ---- */

/* Before the body is received, of those who show a token. */
static void call_admit(void *server, struct request *request)
{
	struct worker_service *service = server;
	struct admission *admission = service->admission;
	const struct worker_method *method = method_of(service, request);
	const struct message *message;

	if (method->rule == ADMIT_ITSELF) {
		method->admit(service->dialect, request);
		return;
	}
	guests_used(admission->guests, request->peer);
	message = admit_token(admission, request);
	if (!message)
		return;
	/* The caller's bytes are not limited from now on. */
	admission_hold(admission, request, node_message_token(message));
	if (method->rule == ADMIT_CONTENT)
		admit_content(admission, request);
	else
		request_admit(request);
}

/* The same for methods that need no token. false: the request was refused. */
static bool admit_stranger(
	struct admission *admission, enum admission_rule rule, struct request *request)
{
	guests_used(admission->guests, request->peer);
	if (!admit_present(admission, request))
		return false;
	return rule == ADMIT_ANYONE ||
	       (rule == ADMIT_LAUNCHER_OR_WORKER && find_message(admission, request)) ||
	       admit_launcher(admission, request);
}

static void call_handle(void *server, struct request *request)
{
	struct worker_service *service = server;
	const struct worker_method *method = method_of(service, request);
	struct message *message = NULL;
	bool admitted = true;

	if (method->rule == ADMIT_CONTENT) {
		handle_content(service, request);
		return;
	}
	if (method->rule == ADMIT_WORKER)
		admitted = (message = admit_again(service->admission, request)) != NULL;
	else if (method->rule != ADMIT_ITSELF)
		admitted = admit_stranger(service->admission, method->rule, request);
	if (admitted)
		method->handle(service->dialect, request, message);
}

void worker_service_init(struct worker_service *service)
{
	assert(service->n <= WORKER_METHODS_MAX);
	service->service = (struct service){.name = service->name,
		.methods = service->methods,
		.n_methods = service->n,
		.server = service};
	for (size_t i = 0; i < service->n; i++) {
		const struct worker_method *from = &service->table[i];

		service->methods[i] = (struct method){.name = from->name,
			.body_max = from->body_max,
			.body_ms = from->body_ms,
			.admit = from->rule >= ADMIT_WORKER ? call_admit : NULL,
			.handle = call_handle};
	}
}
