#include "supernode/workers/admission.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/message/instruction_codec.h"
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

int admission_hold(struct admission *admission, const struct request *request, uint64_t token)
{
	return guests_hold(admission->guests, request->peer, token,
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
		refuse(admission, request, OUTCOME_UNAUTHENTICATED, ADMISSION_TOKEN_OVER);
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
	contents_release(admission->contents);
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

/* false: there is no memory for it; the request was refused. */
static bool content_start(struct worker_service *service, struct request *request)
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
	const struct worker_method *method = method_of(service, request);

	contents_received(admission->contents, request);
	if ((method->rule == ADMIT_CONTENT && !admit_again(admission, request)) ||
		(method->content->look && !method->content->look(service, request)) ||
		!content_start(service, request))
		contents_release(admission->contents);
}

/* ---- the wrapper ---- */

/* The inline message at work whose token the caller's connection holds. NULL: it holds none, or
 * several: its outputs may be of any of them. */
static const struct message *find_inline(
	const struct admission *admission, const struct request *request)
{
	const struct message *found = NULL;
	uint64_t token;

	for (size_t i = 0; (token = guests_holds(admission->guests, request->peer, i)); i++) {
		const struct message *message = node_message_of(admission->node, token);

		if (!message || node_message_form(message) != MESSAGE_INLINE)
			continue;
		if (found)
			return NULL;
		found = message;
	}
	return found;
}

/* The token is not known before the body is here. */
static void admit_outputs(struct admission *admission, struct request *request)
{
	if (!node_expects_outputs(admission->node)) {
		refuse(admission, request, OUTCOME_FAILED_PRECONDITION, ADMISSION_NO_OUTPUTS);
		return;
	}
	contents_admit(admission->contents, request, find_inline(admission, request));
}

/* Before the body is received, of those who show a token. */
static void call_admit(void *server, struct request *request)
{
	struct worker_service *service = server;
	struct admission *admission = service->admission;
	const struct worker_method *method = method_of(service, request);
	const struct message *message;
	int r;

	guests_used(admission->guests, request->peer);
	if (method->rule == ADMIT_OUTPUTS) {
		admit_outputs(admission, request);
		return;
	}
	message = admit_token(admission, request);
	if (!message)
		return;
	/* The caller's bytes are not limited from now on. */
	r = admission_hold(admission, request, node_message_token(message));
	if (r)
		refuse_errno(admission, request, r);
	else if (method->rule == ADMIT_CONTENT)
		contents_admit(admission->contents, request, message);
	else
		request_admit(request);
}

/* Admit a call of a method that needs no token; message: that of one that was shown all the same.
 * false: the request was refused. */
static bool admit_tokenless(struct admission *admission, enum admission_rule rule,
	struct request *request, struct message **message_out)
{
	guests_used(admission->guests, request->peer);
	if (!admit_present(admission, request))
		return false;
	*message_out = find_message(admission, request);
	return rule == ADMIT_ANYONE || (rule == ADMIT_LAUNCHER_OR_WORKER && *message_out) ||
	       admit_launcher(admission, request);
}

/* The message of a token that is the body; NULL: the request was refused. */
static struct message *admit_inline(struct admission *admission, struct request *request)
{
	struct message *message = NULL;
	const char *details = "";
	uint64_t token = 0;
	enum outcome outcome = OUTCOME_OK;
	int r;

	guests_used(admission->guests, request->peer);
	if (!admit_present(admission, request))
		return NULL;
	r = instruction_decode_token(&request->body, &token);
	if (r == 0)
		outcome = node_find_message(
			admission->node, token, MESSAGE_INLINE, &message, &details);
	if (outcome != OUTCOME_OK) {
		refuse(admission, request, outcome, details);
		return NULL;
	}
	if (r == 0)
		r = admission_hold(admission, request, token);
	if (r)
		refuse_errno(admission, request, r);
	return r ? NULL : message;
}

/* Apply the rule of a method whose body is here. false: the request was refused. */
static bool admit_call(struct admission *admission, enum admission_rule rule,
	struct request *request, struct message **message_out)
{
	if (rule < ADMIT_INLINE)
		return admit_tokenless(admission, rule, request, message_out);
	*message_out = rule == ADMIT_INLINE ? admit_inline(admission, request)
					    : admit_again(admission, request);
	return *message_out != NULL;
}

static void call_handle(void *server, struct request *request)
{
	struct worker_service *service = server;
	struct admission *admission = service->admission;
	const struct worker_method *method = method_of(service, request);
	struct message *message = NULL;

	if (method->content)
		handle_content(service, request);
	else if (admit_call(admission, method->rule, request, &message))
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
