#include "rig.h"

#include "common/base/clock.h"
#include "common/loop/loop.h"

/* ---- the transport ---- */

struct fake_transport {
	struct transport transport;
	struct rig *rig;
};

static struct rig *rig_of(struct transport *transport)
{
	return container_of(transport, struct fake_transport, transport)->rig;
}

static int fake_call(struct transport *transport, const struct transport_call *call,
	struct slices *body, struct transport_handle **out)
{
	struct rig *rig = rig_of(transport);
	struct rig_call *handle, **at = &rig->out;
	size_t len;

	if (rig->fail_calls > 0) {
		rig->fail_calls--;
		slices_done(body);
		return -ENOMEM;
	}
	handle = calloc(1, sizeof *handle);
	assert_non_null(handle);
	snprintf(handle->method, sizeof handle->method, "%s", call->method);
	handle->timeout_ms = call->timeout_ms;
	handle->answer_max_bytes = call->answer_max_bytes;
	handle->proven = call->proof && call->proof->signature_len > 0;
	if (handle->proven)
		snprintf(handle->signed_at, sizeof handle->signed_at, "%s", call->proof->timestamp);
	assert_non_null(call->auth);
	handle->pem = strdup(auth_public_key(call->auth, &len));
	handle->transport = transport;
	handle->body = *body;
	*body = (struct slices){0};
	handle->handle.done = call->done;
	handle->handle.arg = call->arg;
	while (*at)
		at = &(*at)->next;
	*at = handle;
	rig->sent++;
	*out = &handle->handle;
	return 0;
}

static void fake_cancel(struct transport_handle *out)
{
	struct rig_call *handle = container_of(out, struct rig_call, handle);

	assert_false(handle->cancelled);
	handle->cancelled = true;
}

static void fake_reconnect(struct transport *transport)
{
	rig_of(transport)->reconnects++;
}

/* Only when all of its calls have ended. */
static void fake_free(struct transport *transport)
{
	struct rig *rig = rig_of(transport);

	for (struct rig_call *handle = rig->out; handle; handle = handle->next)
		assert_ptr_not_equal(handle->transport, transport);
	rig->freed++;
	free(container_of(transport, struct fake_transport, transport));
}

static const struct transport_ops fake_ops = {fake_call, fake_cancel, fake_reconnect, fake_free};

/* ---- what listens ---- */

static struct rig *rig_of_connector(struct connector *connector)
{
	return container_of(connector, struct rig, connector);
}

static void probe_fire(void *arg)
{
	struct rig *rig = arg;
	probe_done_fn *done = rig->probe_done;
	struct reason why = {0};

	rig->probe_done = NULL;
	if (rig->found == PROBE_ABSENT || rig->found == PROBE_WRONG)
		reason_set(&why, "%s", rig->found_why ? rig->found_why : "of the test");
	done(rig->probe_arg, rig->found, &why);
}

static int fake_probe(struct connector *connector, probe_done_fn *done, void *arg)
{
	struct rig *rig = rig_of_connector(connector);

	assert_null(rig->probe_done); /* one at a time */
	rig->probe_done = done;
	rig->probe_arg = arg;
	rig->probes++;
	timer_set(rig->probe_timer, rig_now());
	return 0;
}

static void fake_probe_cancel(struct connector *connector)
{
	struct rig *rig = rig_of_connector(connector);

	rig->probe_done = NULL;
	timer_set(rig->probe_timer, CLOCK_NEVER);
}

static bool fake_next(struct connector *connector)
{
	struct rig *rig = rig_of_connector(connector);

	if (rig->others == 0)
		return false;
	rig->others--;
	return true;
}

static const struct transport_kind fake_grpc = {
	.name = "gRPC", .line = PROBE_GRPC, .early = true, .signed_calls = true};
static const struct transport_kind fake_http = {.name = "HTTP",
	.line = PROBE_HTTP,
	.releases = "Flower-1.40-and-later",
	.signed_calls = true};
static const struct transport_kind fake_other = {
	.name = "the other way", .option = "other", .line = PROBE_GRPC, .early = true};
static const struct transport_kind *const fake_transports[] = {&fake_grpc, &fake_http, NULL};
const struct transport_kind *const rig_transports[] = {&fake_grpc, &fake_http, &fake_other, NULL};

static int fake_open(
	struct connector *connector, const struct transport_kind *kind, struct transport **out)
{
	struct rig *rig = rig_of_connector(connector);
	struct fake_transport *transport = calloc(1, sizeof *transport);

	assert_non_null(transport);
	assert_int_equal(kind->line, rig->found);
	transport->transport.ops = &fake_ops;
	transport->transport.receive_max_bytes = UINT64_MAX;
	transport->rig = rig;
	rig->opened++;
	if (kind == &fake_other && rig->other_lacks)
		rig->lacks = rig->other_lacks;
	*out = &transport->transport;
	return 0;
}

static const char *fake_address(const struct connector *connector)
{
	return "superlink.test:9092";
}

static void fake_connector_free(struct connector *connector)
{
	struct rig *rig = rig_of_connector(connector);

	fake_probe_cancel(connector);
	timer_free(rig->probe_timer);
	rig->probe_timer = NULL;
}

static const struct connector_ops fake_connector_ops = {
	.probe = fake_probe,
	.cancel = fake_probe_cancel,
	.next = fake_next,
	.open = fake_open,
	.address = fake_address,
	.free = fake_connector_free,
};

/* ---- the owner ---- */

static void on_registered(void *arg, uint64_t node_id)
{
	struct rig *rig = arg;

	rig->registered++;
	rig->node_id = node_id;
}

static void on_lost(void *arg)
{
	((struct rig *)arg)->lost++;
}

static bool on_wants(void *arg)
{
	return ((struct rig *)arg)->wants;
}

static uint64_t on_message(void *arg, struct held_message *message, const char *refused)
{
	struct rig *rig = arg;
	auto_(held_message_done) struct held_message taken = held_message_take(message);
	auto_(held_message_done) struct held_message reply = {0};

	rig->messages++;
	rig->over_budget_messages += taken.over_budget;
	snprintf(rig->refused, sizeof rig->refused, "%s", refused ? refused : "");
	object_set_unref(rig->objects);
	rig->objects = take_pointer(&taken.objects);
	metadata_done(&rig->message);
	assert_int_equal(metadata_copy(&taken.envelope.metadata, &rig->message), 0);
	if (rig->push_in_message) {
		assert_int_equal(envelope_error(&taken.envelope.metadata, clock_wall_s(),
					 ERROR_CODE_CLIENT_APP_CRASHED, "stopped", &reply.envelope),
			0);
		rig_drop_content(rig);
		assert_int_equal(rig_push(rig, 99, &reply, 0.5), 0);
	}
	/* The message before is finished. */
	fleet_drop_content(rig->fleet, RIG_NUMBER(rig) - 1);
	return rig->no_use ? 0 : RIG_NUMBER(rig);
}

static void on_content(void *arg, uint64_t number, enum outcome outcome, const char *details)
{
	struct rig *rig = arg;

	assert_int_equal(number, RIG_NUMBER(rig));
	rig->contents++;
	rig->content_outcome = outcome;
	snprintf(rig->content_details, sizeof rig->content_details, "%s", details);
}

static void on_over_budget(void *arg, uint64_t number, const char *details)
{
	struct rig *rig = arg;

	rig->over_budget++;
	on_content(arg, number, OUTCOME_RESOURCE_EXHAUSTED, details);
}

static void on_told_to_end(void *arg)
{
	struct rig *rig = arg;

	rig->told++;
}

static void on_over(void *arg, enum fleet_over over, const char *sentence)
{
	struct rig *rig = arg;

	rig->over++;
	rig->over_what = over;
	snprintf(rig->over_sentence, sizeof rig->over_sentence, "%s", sentence);
}

static void ended(struct rig *rig, uint64_t number, enum outcome outcome, const char *details)
{
	rig->ends++;
	rig->number = number;
	rig->outcome = outcome;
	snprintf(rig->details, sizeof rig->details, "%s", details);
}

void rig_run_done(
	void *arg, uint64_t run_id, enum outcome outcome, struct run *run, const char *details)
{
	struct rig *rig = arg;

	assert_int_equal(outcome == OUTCOME_OK, run != NULL);
	if (run) {
		snprintf(rig->fab_hash, sizeof rig->fab_hash, "%s", run->fab_hash);
		run_done(run);
	}
	ended(rig, run_id, outcome, details);
}

void rig_fab_done(void *arg, uint64_t run_id, struct fleet_fab *fab)
{
	struct rig *rig = arg;

	rig->content_bytes = fab->content.bytes;
	ended(rig, run_id, fab->outcome, fab->details);
}

void rig_push_done(void *arg, uint64_t number, enum outcome outcome, const char *details)
{
	ended(arg, number, outcome, details);
}

void rig_drop_content(struct rig *rig)
{
	fleet_drop_content(rig->fleet, RIG_NUMBER(rig));
	object_set_unref(rig->objects);
	rig->objects = NULL;
}

int rig_push(struct rig *rig, uint64_t number, const struct held_message *reply, double runtime_s)
{
	return fleet_push(
		rig->fleet, &(struct fleet_push){number, reply, runtime_s, rig_push_done, rig});
}

void rig_stopped(void *arg)
{
	((struct rig *)arg)->stopped++;
}

static double rig_random(void *arg)
{
	return ((struct rig *)arg)->random01;
}

/* ---- life ---- */

struct rig *rig_new(const struct retry_policy *policy)
{
	return rig_new_with(policy, NULL, NULL);
}

struct rig *rig_new_with(
	const struct retry_policy *policy, struct auth *operator_key, const char *state_dir)
{
	static const struct fleet_ops ops = {on_registered, on_lost, on_wants, on_message,
		on_content, on_over_budget, on_told_to_end, on_over};
	struct rig *rig = calloc(1, sizeof *rig);
	struct fleet_options options = {
		.link = {.key = operator_key, .retry = {-1, -1}, .random01 = rig_random},
		.state_dir = state_dir,
		.poll_min_ms = 100,
		.poll_max_ms = 3000,
		.ops = &ops,
	};

	assert_non_null(rig);
	kit_log_init(&rig->log, "test", LOG_LEVEL_INFO);
	rig->connector.ops = &fake_connector_ops;
	rig->connector.transports = fake_transports;
	rig->probe_timer = timer_new(NULL, probe_fire, rig);
	rig->found = PROBE_GRPC;
	rig->lacks = rig_lacks_a;
	assert_int_equal(spool_new(NULL, "/nowhere", 1 << 30, &rig->spool), 0);
	options.spool = rig->spool;
	rig->random01 = 0.5;
	rig->wants = true;
	options.link.random_arg = rig;
	options.link.log = rig->log.log;
	options.link.connector = &rig->connector;
	options.arg = rig;
	if (policy)
		options.link.retry = *policy;
	assert_int_equal(fleet_new(&options, &rig->fleet), 0);
	return rig;
}

struct rig *rig_begin(const char *const *lacks, struct auth *operator_key, const char *state_dir)
{
	struct rig *rig = rig_new_with(NULL, operator_key, state_dir);

	rig->lacks = lacks;
	rig->wants = false;
	fleet_start(rig->fleet);
	rig_pass(rig, 0);
	return rig;
}

struct auth *rig_key(void)
{
	struct auth *key = NULL;

	assert_int_equal(auth_new(&key), 0);
	return key;
}

void rig_free(struct rig *rig)
{
	if (rig->fleet->state != FLEET_ENDED) {
		if (!rig->fleet->stopped)
			fleet_stop(rig->fleet, rig_stopped, rig);
		for (int i = 0; i < 10 && !rig->stopped; i++) {
			static const char *const last[] = {
				"DeleteNode", "DeactivateNode", "UnregisterNode"};

			rig_pass(rig, FLEET_CLOSE_PUSH_MS);
			rig_answer_cancelled(rig);
			rig_pass(rig, 0);
			for (size_t j = 0; j < ARRAY_LEN(last); j++) {
				if (rig_sent(rig, last[j]))
					rig_answer(
						rig, rig_sent(rig, last[j]), OUTCOME_OK, "", NULL);
				rig_pass(rig, 0);
			}
		}
	}
	assert_int_equal(rig->stopped, 1);
	assert_null(rig->out);
	fleet_free(rig->fleet);
	assert_int_equal(rig->opened, rig->freed);
	assert_true(rig_loop_is_empty());
	object_set_unref(rig->objects);
	spool_free(rig->spool);
	metadata_done(&rig->message);
	free(rig->node_pem);
	kit_log_done(&rig->log);
	free(rig);
}
