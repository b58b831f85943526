#include "supernode/workers/admission.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/number.h"
#include "common/message/app_codec.h"
#include "common/message/instruction_codec.h"
#include "common/message/worker_api.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct worker_method *method_of(const struct request *request)
{
	const struct worker_service *service = request->service->server;

	return &service->table[request->method - service->methods];
}

/* The same of one whose body is here. */
static const struct worker_method *method_of_body(const struct request *request)
{
	const struct worker_method *method = method_of(request);
	char text[TASK_TOKEN_DIGITS + 1];
	bool is_text = method->text && app_first_token(&request->body, text);

	return is_text ? method->text : method;
}

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
	int r = guests_hold(admission->guests, request->peer, token,
		request_header(request, GUESTS_SAID_HEADER));

	if (r == 0)
		awaited_look(admission->awaited);
	return r;
}

/* The token that is shown in a header; NULL: none is. */
static const char *header_token(const struct request *request)
{
	const char *text = request_header(request, WORKER_API_TASK_TOKEN);

	return text ? text : request_header(request, WORKER_API_APP_TOKEN);
}

static struct message *find_message(
	const struct admission *admission, const struct request *request)
{
	const char *text = header_token(request);

	return text ? node_message_of_text(admission->node, text) : NULL;
}

struct message *admission_find(const struct admission *admission, const struct request *request)
{
	char text[TASK_TOKEN_DIGITS + 1] = "";
	struct message *message;

	if (header_token(request) || !app_first_token(&request->body, text))
		return find_message(admission, request);
	message = node_message_of_text(admission->node, text);
	explicit_bzero(text, sizeof text);
	return message;
}

/* The one message at work whose token the caller's connection holds. NULL: it holds none, or
 * several. */
static struct message *find_held(const struct admission *admission, const struct request *request)
{
	struct message *found = NULL;
	uint64_t token;

	for (size_t i = 0; (token = guests_holds(admission->guests, request->peer, i)); i++) {
		if (found)
			return NULL;
		found = node_message_of(admission->node, token);
	}
	return found;
}

/* Is text the token of an inline message, which an agent has given to a worker of another kind? */
static bool is_number(const struct admission *admission, const char *text)
{
	const struct message *message;
	uint64_t token = 0;

	if (number_u64(text, &token))
		return false;
	message = node_message_of(admission->node, token);
	return message && node_message_form(message) == MESSAGE_INLINE;
}

/* Does the request show such a token, in a header or as the text that its body begins with? */
static bool shows_number(const struct admission *admission, const struct request *request)
{
	const char *header = header_token(request);
	char text[TASK_TOKEN_DIGITS + 1];

	if (header)
		return is_number(admission, header);
	return app_first_token(&request->body, text) && is_number(admission, text);
}

/* The caller shows no token that lives. */
static void refuse_token(struct admission *admission, struct request *request)
{
	if (shows_number(admission, request))
		refuse(admission, request, OUTCOME_FAILED_PRECONDITION, ADMISSION_NEEDS_INLINE);
	else
		refuse(admission, request,
			header_token(request) || method_of(request)->rule == ADMIT_WORKER
				? OUTCOME_UNAUTHENTICATED
				: OUTCOME_PERMISSION_DENIED,
			ADMISSION_TOKEN_OVER);
}

/* Is it the message of a task? Else the request was refused. */
static struct message *admit_task(
	struct admission *admission, struct request *request, struct message *message)
{
	if (message && node_message_form(message) == MESSAGE_OBJECTS)
		return message;
	if (message)
		refuse(admission, request, OUTCOME_INVALID_ARGUMENT, "the token is of no task");
	else
		refuse_token(admission, request);
	return NULL;
}

/* The message of a task's token, which is not in the body; NULL: the request was refused. */
static struct message *admit_token(struct admission *admission, struct request *request)
{
	bool shown = method_of(request)->rule == ADMIT_SHOWN && !header_token(request);

	return admit_task(admission, request,
		shown ? find_held(admission, request) : find_message(admission, request));
}

/* Is its caller still there? Else the request was refused: nobody would learn what became of it. */
static bool admit_present(const struct admission *admission, struct request *request)
{
	bool open = guests_open(admission->guests, request->peer);

	if (!open)
		refuse_gone(request);
	return open;
}

/* The message of a task's token that was not shown before; NULL: the request was refused. */
static struct message *admit_text(struct admission *admission, struct request *request)
{
	struct message *message =
		admit_task(admission, request, admission_find(admission, request));
	int r;

	if (!message)
		return NULL;
	if (!header_token(request))
		node_token_in_body(message);
	r = admission_hold(admission, request, node_message_token(message));
	if (r)
		refuse_errno(admission, request, r);
	return r ? NULL : message;
}

/* Admit a call with a task's token whose body is here: it may have waited meanwhile. */
static struct message *admit_worker(
	struct admission *admission, struct request *request, enum admission_rule rule)
{
	if (!admit_present(admission, request))
		return NULL;
	return rule == ADMIT_TEXT ? admit_text(admission, request)
				  : admit_token(admission, request);
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

void content_end(struct content *content)
{
	struct admission *admission = content->service->admission;
	const struct worker_method *method = content->method;
	const uint64_t place = content->place;

	method->content->done(content);
	free(content);
	contents_release(admission->contents, place);
}

static void content_run(struct job *job)
{
	struct content *content = container_of(job, struct content, job);

	content->result = content->method->content->read(content);
}

/* The message may have been answered meanwhile. false: it was, and the request refused. */
static bool content_admit(const struct content *content, struct message **message_out)
{
	struct admission *admission = content->service->admission;

	if (!content->token)
		return true;
	if (!admit_present(admission, content->request))
		return false;
	*message_out = node_message_of(admission->node, content->token);
	if (!*message_out)
		refuse_token(admission, content->request);
	return *message_out != NULL;
}

static void content_done(struct job *job)
{
	struct content *content = container_of(job, struct content, job);
	struct message *message = NULL;

	if (!content_admit(content, &message) || content->method->content->take(content, message))
		content_end(content);
}

/* false: there is no memory for it; the request was refused. */
static bool content_start(struct worker_service *service, const struct worker_method *method,
	struct request *request, uint64_t token, uint64_t place)
{
	struct content *content = calloc(1, method->content->bytes);

	if (!content) {
		refuse_errno(service->admission, request, -ENOMEM);
		return false;
	}
	*content = (struct content){.job = {.run = content_run, .done = content_done},
		.service = service,
		.method = method,
		.request = request,
		.token = token,
		.place = place};
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

/* false: the request was refused, or answered. */
static bool begin_content(struct worker_service *service, struct request *request, uint64_t place)
{
	const struct worker_method *method = method_of_body(request);
	const struct message *message = NULL;

	if (method->rule != ADMIT_NUMBER) {
		message = admit_worker(service->admission, request, method->rule);
		if (!message)
			return false;
	}
	if (method->content->look && !method->content->look(service, request))
		return false;
	return content_start(
		service, method, request, message ? node_message_token(message) : 0, place);
}

static void handle_content(struct worker_service *service, struct request *request)
{
	struct contents *contents = service->admission->contents;
	const uint64_t place = contents_received(contents, request);

	if (!begin_content(service, request, place))
		contents_release(contents, place);
}

/* ---- the wrapper ---- */

/* The token is not known before the body is here. */
static void admit_outputs(struct admission *admission, struct request *request)
{
	const struct message *message;

	if (!node_expects_outputs(admission->node)) {
		refuse(admission, request, OUTCOME_FAILED_PRECONDITION, ADMISSION_NO_OUTPUTS);
		return;
	}
	message = find_held(admission, request);
	if (message && method_of(request)->rule == ADMIT_TEXT &&
		node_message_form(message) != MESSAGE_OBJECTS)
		message = NULL;
	contents_admit(admission->contents, request, message);
}

void admission_admit(struct admission *admission, struct request *request)
{
	const struct message *message = admit_token(admission, request);
	int r;

	if (!message)
		return;
	/* The caller's bytes are not limited from now on. */
	r = admission_hold(admission, request, node_message_token(message));
	if (r)
		refuse_errno(admission, request, r);
	else if (method_of(request)->content)
		contents_admit(admission->contents, request, message);
	else
		request_admit(request);
}

/* Has neither the request nor its connection shown a token, although it must be known by one? */
static bool shows_nothing(const struct admission *admission, const struct request *request)
{
	return method_of(request)->rule == ADMIT_SHOWN && !header_token(request) &&
	       !guests_holds(admission->guests, request->peer, 0);
}

/* Before the body is received, of those who show a token, or will. */
static void call_admit(void *server, struct request *request)
{
	struct worker_service *service = server;
	struct admission *admission = service->admission;

	guests_used(admission->guests, request->peer);
	if (method_of(request)->rule >= ADMIT_TEXT && !header_token(request))
		admit_outputs(admission, request);
	else if (!shows_nothing(admission, request) || !awaited_keep(admission->awaited, request))
		admission_admit(admission, request);
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

/* Is it admitted before its body is received? */
static bool is_admitted_first(const struct worker_method *method)
{
	return method->rule >= ADMIT_WORKER && (method->rule < ADMIT_TEXT || method->content);
}

/* Apply the rule of a method whose body is here. false: the request was refused. */
static bool admit_call(struct admission *admission, const struct worker_method *method,
	struct request *request, struct message **message_out)
{
	if (method->rule < ADMIT_WORKER)
		return admit_tokenless(admission, method->rule, request, message_out);
	if (!is_admitted_first(method))
		guests_used(admission->guests, request->peer);
	*message_out = method->rule == ADMIT_NUMBER
			       ? admit_inline(admission, request)
			       : admit_worker(admission, request, method->rule);
	return *message_out != NULL;
}

static void call_handle(void *server, struct request *request)
{
	struct worker_service *service = server;
	const struct worker_method *method = method_of_body(request);
	struct message *message = NULL;

	if (method->content)
		handle_content(service, request);
	else if (admit_call(service->admission, method, request, &message))
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
			.admit = is_admitted_first(from) ? call_admit : NULL,
			.handle = call_handle};
	}
}
