#include "rig.h"

#include "common/base/clock.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

/* ---- the loop and the clock, as far as fleet uses them ---- */

struct timer {
	struct timer *next;
	timer_fn *fn;
	void *arg;
	int64_t at_ms;
};

static struct timer *timers;
static int64_t now_ms = 1000000;

int64_t clock_now_ms(void)
{
	return now_ms;
}

double clock_wall_s(void)
{
	return 1790000000.0 + (double)now_ms / 1000.0;
}

int64_t clock_after(int64_t from_ms, int64_t after_ms)
{
	int64_t at_ms;

	if (after_ms < 0)
		after_ms = 0;
	return __builtin_add_overflow(from_ms, after_ms, &at_ms) ? CLOCK_NEVER : at_ms;
}

int64_t clock_ms_of_s(double seconds)
{
	return isfinite(seconds) ? (int64_t)(seconds * 1000.0) : CLOCK_NEVER;
}

void clock_iso8601(double wall_s, char text[CLOCK_ISO8601_BYTES])
{
	time_t whole = (time_t)wall_s;
	struct tm tm;

	gmtime_r(&whole, &tm);
	strftime(text, CLOCK_ISO8601_BYTES, "%Y-%m-%dT%H:%M:%S+00:00", &tm);
}

struct timer *timer_new(struct loop *loop, timer_fn *fn, void *arg)
{
	struct timer *timer = calloc(1, sizeof(*timer));

	(void)loop;
	assert_non_null(timer);
	*timer = (struct timer){timers, fn, arg, CLOCK_NEVER};
	timers = timer;
	return timer;
}

void timer_set(struct timer *timer, int64_t at_ms)
{
	timer->at_ms = at_ms;
}

void timer_free(struct timer *timer)
{
	struct timer **at = &timers;

	if (!timer)
		return;
	while (*at != timer)
		at = &(*at)->next;
	*at = timer->next;
	free(timer);
}

int64_t rig_now(void)
{
	return now_ms;
}

void rig_pass(struct rig *rig, int64_t ms)
{
	int64_t end_ms = now_ms + ms;

	(void)rig;
	for (unsigned fired = 0;; fired++) {
		struct timer *due = timers;

		for (struct timer *timer = timers; timer; timer = timer->next)
			if (timer->at_ms < due->at_ms)
				due = timer;
		if (!due || due->at_ms > end_ms)
			break;
		/* Nothing may spin. */
		assert_true(fired < 1000 + (unsigned)ms);
		if (due->at_ms > now_ms)
			now_ms = due->at_ms;
		due->at_ms = CLOCK_NEVER;
		due->fn(due->arg);
	}
	now_ms = end_ms;
}

/* ---- the transport ---- */

static struct rig *rig_of(struct transport *transport)
{
	return container_of(transport, struct rig, transport);
}

static int fake_call(struct transport *transport, const struct transport_call *call,
	struct slices *body, transport_done_fn *done, void *arg, struct transport_handle **out)
{
	struct rig *rig = rig_of(transport);
	struct transport_handle *handle, **at = &rig->out;
	size_t len;

	if (rig->fail_calls > 0) {
		rig->fail_calls--;
		slices_done(body);
		return -ENOMEM;
	}
	handle = calloc(1, sizeof(*handle));
	assert_non_null(handle);
	snprintf(handle->method, sizeof(handle->method), "%s", call->method);
	handle->timeout_ms = call->timeout_ms;
	handle->heartbeat = call->heartbeat;
	handle->proven = call->proof && call->proof->signature_len > 0;
	assert_non_null(call->auth);
	handle->pem = strdup(auth_public_key(call->auth, &len));
	handle->body = *body;
	*body = (struct slices){0};
	handle->done = done;
	handle->arg = arg;
	while (*at)
		at = &(*at)->next;
	*at = handle;
	rig->sent++;
	*out = handle;
	return 0;
}

static void fake_cancel(struct transport_handle *handle)
{
	assert_false(handle->cancelled);
	handle->cancelled = true;
}

static void fake_reconnect(struct transport *transport)
{
	rig_of(transport)->reconnects++;
}

static void fake_free(struct transport *transport)
{
	(void)transport;
}

static const struct transport_ops fake_ops = {fake_call, fake_cancel, fake_reconnect, fake_free};

struct transport_handle *rig_sent(struct rig *rig, const char *method)
{
	struct transport_handle *handle = rig->out;

	while (handle && (handle->cancelled || strcmp(handle->method, method) != 0))
		handle = handle->next;
	return handle;
}

void rig_answer(struct rig *rig, struct transport_handle *handle, enum outcome outcome,
	const char *details, struct slices *body)
{
	struct transport_result result = {.outcome = outcome, .details = details};
	struct transport_handle **at = &rig->out;

	assert_non_null(handle);
	while (*at != handle)
		at = &(*at)->next;
	*at = handle->next;
	if (body) {
		result.body = *body;
		*body = (struct slices){0};
	}
	handle->done(handle->arg, &result);
	slices_done(&result.body);
	slices_done(&handle->body);
	free(handle->pem);
	free(handle);
}

void rig_answer_cancelled(struct rig *rig)
{
	struct transport_handle *handle = rig->out;

	while (handle) {
		struct transport_handle *next = handle->next;

		if (handle->cancelled)
			rig_answer(rig, handle, OUTCOME_CANCELLED, "cancelled", NULL);
		handle = next;
	}
}

/* ---- answers ---- */

static struct slices taken(struct wire_writer *writer)
{
	struct slices bytes = {0};

	assert_int_equal(wire_writer_take(writer, &bytes), 0);
	return bytes;
}

void rig_answer_node(struct rig *rig, uint64_t node_id)
{
	struct wire_writer writer = {0}, node = {0};
	struct slices body;

	wire_put_varint(&node, 1, node_id);
	wire_put_message(&writer, 1, &node);
	body = taken(&writer);
	rig_answer(rig, rig_sent(rig, "CreateNode"), OUTCOME_OK, "", &body);
}

void rig_answer_ping(struct rig *rig, bool success)
{
	struct wire_writer writer = {0};
	struct slices body;

	if (success)
		wire_put_varint(&writer, 1, 1);
	body = taken(&writer);
	rig_answer(rig, rig_sent(rig, "Ping"), OUTCOME_OK, "", &body);
}

void rig_answer_pull_empty(struct rig *rig)
{
	rig_answer(rig, rig_sent(rig, "PullMessages"), OUTCOME_OK, "", NULL);
}

void rig_answer_pull(struct rig *rig, const char *type, const struct slices *content)
{
	struct envelope message = {
		.metadata = {.run_id = 7,
			.message_id = (char *)"message-1",
			.src_node_id = 1,
			.dst_node_id = RIG_NODE_ID,
			.reply_to_message_id = (char *)"",
			.group_id = (char *)"3",
			.ttl = 3600.0,
			.message_type = (char *)type,
			.created_at = clock_wall_s() - 1.0},
		.has_content = content != NULL,
		.has_error = !content,
		.error_reason = (char *)"",
	};
	struct wire_writer writer = {0};
	struct slices bytes = {0}, body;

	if (content)
		message.content = *content;
	assert_int_equal(envelope_encode(&message, &bytes), 0);
	wire_put_refs(&writer, 2, &bytes);
	body = taken(&writer);
	slices_done(&bytes);
	rig_answer(rig, rig_sent(rig, "PullMessages"), OUTCOME_OK, "", &body);
}

void rig_answer_push(struct rig *rig, const char *key)
{
	struct wire_writer writer = {0}, entry = {0};
	struct slices body;

	wire_put_string(&entry, 1, key);
	wire_put_varint(&entry, 2, 0);
	wire_put_message(&writer, 2, &entry);
	body = taken(&writer);
	rig_answer(rig, rig_sent(rig, "PushMessages"), OUTCOME_OK, "", &body);
}

void rig_pushed(struct rig *rig, struct envelope *out)
{
	struct transport_handle *push = rig_sent(rig, "PushMessages");
	struct wire_reader reader;
	struct wire_field field;
	auto_(slices_done) struct slices bytes = {0};

	assert_non_null(push);
	wire_reader_init(&reader, &push->body);
	while (wire_next(&reader, &field) == 1)
		if (field.number == 2)
			assert_int_equal(wire_refs(&reader, &field, &bytes), 0);
	assert_int_equal(envelope_decode(&bytes, out), 0);
}

void rig_register(struct rig *rig)
{
	fleet_start(rig->fleet);
	rig_pass(rig, 0);
	rig_answer_node(rig, RIG_NODE_ID);
	rig_pass(rig, 0);
	rig_answer_ping(rig, true);
	rig_pass(rig, 0);
}

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

static void on_message(void *arg, struct envelope *message)
{
	struct rig *rig = arg;
	auto_(envelope_done) struct envelope reply = {0};

	rig->messages++;
	metadata_done(&rig->message);
	assert_int_equal(metadata_copy(&message->metadata, &rig->message), 0);
	if (rig->push_in_message) {
		assert_int_equal(envelope_error(&message->metadata, clock_wall_s(),
					 ERROR_CODE_CLIENT_APP_CRASHED, "stopped", &reply),
			0);
		assert_int_equal(fleet_push(rig->fleet, 99, &reply, rig_push_done, rig), 0);
	}
	envelope_done(message);
}

static void on_over(void *arg, bool error, const char *sentence)
{
	struct rig *rig = arg;

	rig->over++;
	rig->over_error = error;
	snprintf(rig->over_sentence, sizeof(rig->over_sentence), "%s", sentence);
}

static void ended(struct rig *rig, uint64_t number, enum outcome outcome, const char *details)
{
	rig->ends++;
	rig->number = number;
	rig->outcome = outcome;
	snprintf(rig->details, sizeof(rig->details), "%s", details);
}

void rig_run_done(
	void *arg, uint64_t run_id, enum outcome outcome, struct run *run, const char *details)
{
	struct rig *rig = arg;

	assert_int_equal(outcome == OUTCOME_OK, run != NULL);
	if (run) {
		snprintf(rig->fab_hash, sizeof(rig->fab_hash), "%s", run->fab_hash);
		run_done(run);
	}
	ended(rig, run_id, outcome, details);
}

void rig_fab_done(void *arg, uint64_t run_id, enum outcome outcome, struct slices *content,
	const char *details)
{
	struct rig *rig = arg;

	assert_int_equal(outcome == OUTCOME_OK, content != NULL);
	if (content) {
		rig->content_bytes = content->bytes;
		slices_done(content);
	}
	ended(rig, run_id, outcome, details);
}

void rig_push_done(void *arg, uint64_t number, enum outcome outcome, const char *details)
{
	ended(arg, number, outcome, details);
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
	static const struct fleet_ops ops = {on_registered, on_lost, on_wants, on_message, on_over};
	struct rig *rig = calloc(1, sizeof(*rig));
	struct fleet_options options = {
		.superlink = "superlink.test:9092",
		.retry = {-1, -1},
		.poll_min_ms = 100,
		.poll_max_ms = 3000,
		.random01 = rig_random,
	};

	assert_non_null(rig);
	rig->log_fd = memfd_create("log", MFD_CLOEXEC);
	assert_true(rig->log_fd >= 0);
	rig->log = log_new(rig->log_fd, "test", LOG_LEVEL_INFO);
	assert_non_null(rig->log);
	rig->transport.ops = &fake_ops;
	rig->random01 = 0.5;
	rig->wants = true;
	options.random_arg = rig;
	if (policy)
		options.retry = *policy;
	assert_int_equal(
		fleet_new(NULL, rig->log, &rig->transport, &options, &ops, rig, &rig->fleet), 0);
	return rig;
}

void rig_free(struct rig *rig)
{
	if (rig->fleet->state != FLEET_ENDED) {
		if (!rig->fleet->stopped)
			fleet_stop(rig->fleet, rig_stopped, rig);
		for (int i = 0; i < 10 && !rig->stopped; i++) {
			rig_pass(rig, FLOW_CLOSE_PUSH_MS);
			rig_answer_cancelled(rig);
			rig_pass(rig, 0);
			if (rig_sent(rig, "DeleteNode"))
				rig_answer(rig, rig_sent(rig, "DeleteNode"), OUTCOME_OK, "", NULL);
		}
	}
	assert_int_equal(rig->stopped, 1);
	assert_null(rig->out);
	fleet_free(rig->fleet);
	assert_null(timers);
	metadata_done(&rig->message);
	log_free(rig->log);
	close(rig->log_fd);
	free(rig);
}

/* ---- the log ---- */

static unsigned count(struct rig *rig, const char *const *texts)
{
	static char text[262144];
	ssize_t len = pread(rig->log_fd, text, sizeof(text) - 1, 0);
	unsigned found = 0;
	char *rest = NULL;

	assert_true(len >= 0 && (size_t)len < sizeof(text) - 1);
	text[len] = '\0';
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		for (size_t i = 0; texts[i]; i++)
			found += strstr(line, texts[i]) != NULL;
	return found;
}

unsigned rig_lines(struct rig *rig, const char *text)
{
	return count(rig, (const char *const[]){text, NULL});
}

unsigned rig_warnings(struct rig *rig)
{
	return count(rig, (const char *const[]){" WARN ", " ERROR ", NULL});
}
