#include "rig.h"

#include "common/message/task_codec.h"
#include "common/message/worker_api.h"

#define HASH "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

struct rig rig;

/* ---- what guests is told of callers that it does not know ---- */

void __wrap_guests_busy(struct guests *guests, const struct peer *peer, int change);
void __wrap_guests_claimed(struct guests *guests, const struct peer *peer, uint64_t token);
int __wrap_guests_hold(
	struct guests *guests, const struct peer *peer, uint64_t token, const char *said);
bool __wrap_guests_open(const struct guests *guests, const struct peer *peer);
bool __wrap_guests_stays(const struct guests *guests, const struct peer *peer);
uint64_t __wrap_guests_received(const struct guests *guests, const struct peer *peer);
uint64_t __wrap_guests_holds(const struct guests *guests, const struct peer *peer, size_t i);
bool __wrap_guests_held(const struct guests *guests, uint64_t token);

void __wrap_guests_busy(struct guests *guests, const struct peer *peer, int change)
{
	assert_ptr_equal(guests, rig.admission.guests);
	assert_non_null(peer);
	rig.busy += change;
}

void __wrap_guests_claimed(struct guests *guests, const struct peer *peer, uint64_t token)
{
	assert_ptr_equal(guests, rig.admission.guests);
	assert_int_not_equal(token, 0);
	assert_int_equal(rig.held, token);
}

int __wrap_guests_hold(
	struct guests *guests, const struct peer *peer, uint64_t token, const char *said)
{
	assert_ptr_equal(guests, rig.admission.guests);
	assert_non_null(peer);
	if (rig.no_memory_to_hold)
		return -ENOMEM;
	if (rig.held != token)
		rig.held_before = rig.held;
	rig.held = token;
	return 0;
}

bool __wrap_guests_open(const struct guests *guests, const struct peer *peer)
{
	assert_ptr_equal(guests, rig.admission.guests);
	assert_non_null(peer);
	return !rig.gone;
}

bool __wrap_guests_stays(const struct guests *guests, const struct peer *peer)
{
	assert_ptr_equal(guests, rig.admission.guests);
	assert_non_null(peer);
	return !rig.gone;
}

uint64_t __wrap_guests_received(const struct guests *guests, const struct peer *peer)
{
	assert_ptr_equal(guests, rig.admission.guests);
	assert_non_null(peer);
	return rig.received;
}

uint64_t __wrap_guests_holds(const struct guests *guests, const struct peer *peer, size_t i)
{
	const uint64_t tokens[] = {rig.held_before, rig.held};

	assert_ptr_equal(guests, rig.admission.guests);
	assert_non_null(peer);
	for (size_t at = 0; at < ARRAY_LEN(tokens); at++)
		if (tokens[at] && token_live(tokens[at]) && i-- == 0)
			return tokens[at];
	return 0;
}

bool __wrap_guests_held(const struct guests *guests, uint64_t token)
{
	assert_ptr_equal(guests, rig.admission.guests);
	assert_int_not_equal(token, 0);
	return token == rig.held || token == rig.held_before || token == rig.held_elsewhere;
}

bool token_live(uint64_t token)
{
	return node_message_of(rig.node, token) != NULL;
}

void time_passes(int64_t ms)
{
	kit_clock_pass(ms);
	for (int i = 0; i < 2; i++)
		loop_step(rig.loop, 0);
}

/* ---- calls ---- */

static void call_admit(struct request *request)
{
	container_of(request, struct call, request)->admitted = true;
}

static void call_finish(
	struct request *request, enum outcome outcome, const char *details, struct slices *body)
{
	struct call *call = container_of(request, struct call, request);

	assert_false(call->finished);
	call->finished = true;
	call->outcome = outcome;
	snprintf(call->details, sizeof call->details, "%s", details ? details : "");
	if (body)
		assert_int_equal(slices_move(&call->body, body), 0);
}

static const char *call_header(const struct request *request, const char *key)
{
	if (strcmp(key, rig.token_header) == 0)
		return rig.task_token[0] ? rig.task_token : NULL;
	for (size_t i = 0; i < PROOF_N; i++)
		if (strcmp(key, launcher_headers[i]) == 0)
			return rig.proof[i][0] ? rig.proof[i] : NULL;
	return strcmp(key, WORKER_API_WAIT_MS) == 0
		       ? container_of(request, const struct call, request)->wait
		       : NULL;
}

static const struct request_ops call_ops = {
	.admit = call_admit, .finish = call_finish, .header = call_header};
static const struct peer caller = {.connection = 99, .text = "caller"};

void call_done(struct call *call)
{
	slices_done(&call->request.body);
	slices_done(&call->body);
}

/* The method of this name, of whichever service; or its path. */
static const struct method *find_method(const char *name, const struct service **service_out)
{
	const struct service *service = held_calls_service(rig.held_calls);
	const struct method *method = NULL;

	for (size_t i = 0; !method && service; service = dialects_service(rig.dialects, i++)) {
		char path[128];

		if (name[0] == '/')
			snprintf(path, sizeof path, "%s", name);
		else
			snprintf(path, sizeof path, "/%s/%s", service->name, name);
		method = service_method(service, 1, path, service_out);
	}
	return method;
}

void call_make(struct call *call, const char *method)
{
	const struct service *service = NULL;

	*call = (struct call){.request = {.ops = &call_ops, .peer = &caller}};
	call->request.method = find_method(method, &service);
	assert_non_null(call->request.method);
	call->request.service = service;
	request_arrived(&call->request);
}

void call_body(struct call *call, struct slices *body)
{
	assert_true(call->admitted);
	assert_int_equal(slices_move(&call->request.body, body), 0);
	request_received(&call->request);
	if (call->finished)
		slices_done(&call->request.body);
}

enum outcome pull(uint64_t token, struct instruction_inputs *out)
{
	auto_(call_done) struct call call;
	struct slices body = {0};

	call_make(&call, "PullClientAppInputs");
	assert_int_equal(instruction_encode_token(token, &body), 0);
	call_body(&call, &body);
	assert_true(call.finished);
	if (out && call.outcome == OUTCOME_OK)
		assert_int_equal(instruction_decode_inputs(&call.body, out), 0);
	return call.outcome;
}

void outputs_make(uint64_t token, struct slices *body)
{
	auto_(instruction_inputs_done) struct instruction_inputs inputs = {0};
	auto_(instruction_outputs_done) struct instruction_outputs outputs = {.token = token};
	auto_(envelope_done) struct envelope message = {0};
	auto_(envelope_done) struct envelope reply = {0};

	assert_int_equal(pull(rig.token, &inputs), OUTCOME_OK);
	assert_int_equal(envelope_decode(&inputs.message, &message), 0);
	assert_int_equal(
		envelope_error(&message.metadata, clock_wall_s(), 2, "it raised", &reply), 0);
	assert_int_equal(envelope_encode(&reply, &outputs.message), 0);
	assert_int_equal(slices_move(&outputs.context.bytes, &inputs.context), 0);
	assert_int_equal(instruction_encode_outputs(&outputs, body), 0);
}

void by_another_connection(void)
{
	rig.held_elsewhere = rig.held;
	rig.held = rig.held_before = 0;
}

enum outcome push(struct slices *body)
{
	auto_(call_done) struct call call;

	call_make(&call, "PushClientAppOutputs");
	if (!call.finished)
		call_body(&call, body);
	slices_done(body);
	assert_true(call.finished);
	return call.outcome;
}

static void on_changed(void *arg)
{
	rig.changes++;
}

static void on_ready(void *arg, uint64_t message, const struct peer *peer)
{
	assert_ptr_equal(peer, &caller);
	rig.readies++;
}

static bool on_live(void *arg, uint64_t message)
{
	return false;
}

static const struct workers_ops workers_events = {.changed = on_changed, .ready = on_ready};
static const struct guests_ops guests_events = {.live = on_live};

static uint64_t next_random(void *arg)
{
	/* 16 words for each: as a number, and as the text of tasks. */
	return RIG_TOKEN + rig.words++ / 16;
}

struct node_now now_is(void)
{
	return (struct node_now){clock_now_ms(), clock_wall_s()};
}

struct node_action action_of(enum node_action_kind kind)
{
	struct node_action action;

	do
		assert_int_equal(node_next_action(rig.node, &action), 1);
	while (action.kind != kind);
	return action;
}

void message_to_node(void)
{
	struct held_message message = {.envelope = {.metadata = {.run_id = RUN_ID,
							    .message_id = strdup("m1"),
							    .dst_node_id = NODE_ID,
							    .reply_to_message_id = strdup(""),
							    .group_id = strdup("1"),
							    .ttl = 3600,
							    .message_type = strdup("train"),
							    .created_at = clock_wall_s()},
					       .has_content = true}};

	assert_int_equal(slices_append(&message.envelope.content,
				 slice_static(RIG_CONTENT, RIG_CONTENT_BYTES)),
		0);
	assert_int_equal(node_message(rig.node, now_is(), &message, NULL, NULL), 0);
	held_message_done(&message);
}

void message_comes(void)
{
	struct run run = {.run_id = RUN_ID,
		.fab_id = strdup(""),
		.fab_version = strdup(""),
		.fab_hash = strdup(HASH)};
	struct checked_fab fab = {.hash = HASH,
		.manifest = {.publisher = strdup("p"),
			.name = strdup("n"),
			.version = strdup("1"),
			.clientapp = strdup("a:app"),
			.fab_id = strdup("p/n")}};
	const struct node_fetched fetched = {RUN_ID, NODE_FETCHED, NULL};

	message_to_node();
	action_of(NODE_FETCH_RUN);
	node_run_fetched(rig.node, now_is(), &fetched, &run);
	action_of(NODE_FETCH_FAB);
	slices_append(&fab.content, slice_static("hello", 5));
	node_fab_fetched(rig.node, now_is(), &fetched, &fab);
}

void work_begins(void)
{
	message_comes();
	rig.token = action_of(NODE_START_WORKER).token;
	assert_int_not_equal(rig.token, 0);
}

void ask(struct call *call, const char *wait)
{
	struct slices none = {0};

	call_make(call, "GetToken");
	call->wait = wait;
	call_body(call, &none);
}

uint64_t assert_given(const struct call *call, uint64_t token)
{
	const struct message *message;
	uint64_t got = 0;

	assert_true(call->finished);
	assert_int_equal(call->outcome, OUTCOME_OK);
	assert_int_equal(instruction_decode_token(&call->body, &got), 0);
	assert_int_equal(got, token);
	message = node_message_of(rig.node, token);
	assert_non_null(message);
	return node_message_number(message);
}

/* ---- life ---- */

static int setup_with(const struct node_options *options, bool own_workers)
{
	memset(&rig, 0, sizeof rig);
	rig.token_header = WORKER_API_TASK_TOKEN;
	assert_int_equal(kit_dir_make(NULL), 0);
	assert_int_equal(loop_new(&rig.loop), 0);
	kit_clock_run(rig.loop);
	assert_int_equal(guests_new(
				 &(struct guests_options){
					 .loop = rig.loop, .dir = kit_dir, .ops = &guests_events},
				 &rig.admission.guests, NULL),
		0);
	budget_init(&rig.budget, 1 << 20);
	rig.node = node_new(&(struct node_options){
		.node_config = &(struct value_map){0},
		.slots = options->slots,
		.parallel_in_run = options->parallel_in_run,
		.workers_come = options->workers_come,
		.budget = &rig.budget,
		.random = next_random,
	});
	assert_non_null(rig.node);
	node_registered(rig.node, now_is(), NODE_ID);
	assert_int_equal(spool_new(rig.loop, kit_dir, 1 << 20, &rig.spool), 0);
	rig.admission.loop = rig.loop;
	rig.admission.node = rig.node;
	rig.admission.ops = &workers_events;
	rig.admission.contents = contents_new(&rig.admission);
	assert_non_null(rig.admission.contents);
	rig.admission.awaited = awaited_new(&rig.admission);
	assert_non_null(rig.admission.awaited);
	rig.held_calls = held_calls_new(&rig.admission);
	assert_non_null(rig.held_calls);
	rig.dialects = dialects_new(&rig.admission, rig.held_calls,
		&(struct dialects_options){.spool = rig.spool, .own_workers = own_workers});
	assert_non_null(rig.dialects);
	return 0;
}

int rig_setup(void **state)
{
	return setup_with(&(struct node_options){.slots = 1}, false);
}

int rig_setup_own_workers(void **state)
{
	return setup_with(&(struct node_options){.slots = 1}, true);
}

int rig_setup_offering(void **state)
{
	return setup_with(
		&(struct node_options){.slots = 2, .parallel_in_run = true, .workers_come = true},
		false);
}

int rig_teardown(void **state)
{
	assert_int_equal(rig.busy, 0);
	kit_clock_done();
	dialects_free(rig.dialects);
	held_calls_free(rig.held_calls);
	contents_free(rig.admission.contents);
	awaited_free(rig.admission.awaited);
	node_free(rig.node);
	spool_free(rig.spool);
	guests_free(rig.admission.guests);
	loop_free(rig.loop);
	return kit_dir_remove(state);
}
