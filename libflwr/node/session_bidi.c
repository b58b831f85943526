/*
 * session_bidi: an instruction is a task, whose answer is the reply. There are no error replies: a
 * method that fails ends the session, as it ends Flower's client. The state of the Context is kept
 * here from one instruction to the next, through reconnects.
 */
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/records/bidi_records.h"
#include "common/records/items_codec.h"
#include "libflwr/node/session.h"
#include "supernode/link/bidi.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct session_bidi {
	struct session session;
	struct session_options options;
	struct bidi *bidi;
	struct task *task;   /* that is out, and whose answer is awaited by the server */
	struct slices state; /* of the Context, encoded */
	bool ended;
};

static struct session_bidi *of(struct session *session)
{
	return container_of(session, struct session_bidi, session);
}

/* Nobody waits for the answer any more. A task that still lies in the mailbox ends here, to make
 * room for the next one; else the thread that works on it gives it back. */
static void forget_task(struct session_bidi *session)
{
	if (!session->task)
		return;
	atomic_store(&session->task->unwanted, true);
	session->task = NULL;
	task_unref(mailbox_take_task(session->options.mailbox));
}

static void session_end(struct session_bidi *session, int result, const char *sentence)
{
	if (session->ended)
		return;
	session->ended = true;
	forget_task(session);
	bidi_free(take_pointer(&session->bidi));
	session->options.ready(session->options.arg, false, 0);
	session->options.ended(session->options.arg, result, sentence);
}

/* ---- instructions ---- */

/* Each message has a fresh id: the stream has none. */
static char *make_id(void)
{
	char *id = NULL;

	if (asprintf(&id, "%016" PRIx64 "%016" PRIx64, random_u64(NULL), random_u64(NULL)) < 0)
		return NULL;
	return id;
}

static int fill_metadata(struct task *task, enum bidi_kind kind)
{
	struct metadata *metadata = &task->metadata;

	metadata->message_id = make_id();
	metadata->group_id = strdup("");
	metadata->reply_to_message_id = strdup("");
	metadata->message_type = strdup(bidi_message_type(kind));
	metadata->created_at = clock_wall_s();
	metadata->ttl = 3600; /* as Flower's client says of every instruction */
	return metadata->message_id && metadata->group_id && metadata->reply_to_message_id &&
			       metadata->message_type
		       ? 0
		       : -ENOMEM;
}

static int fill_task(
	struct session_bidi *session, struct slices *message, struct task *task, struct reason *why)
{
	enum bidi_kind kind = BIDI_NONE;
	int r = bidi_records_decode(message, &kind, &task->content, why);

	slices_done(message);
	task->kind = (int)kind;
	if (r == 0)
		r = fill_metadata(task, kind);
	if (r == 0)
		r = value_map_copy(&session->options.settings->node_config, &task->node_config);
	return r ? r : items_decode(&session->state, &task->state, why);
}

static void on_instruction(void *arg, struct slices *message)
{
	struct session_bidi *session = arg;
	struct task *task = task_new(session->options.mailbox, &session->session);
	struct reason why = {.text = "no memory for an instruction"};
	int r = task ? fill_task(session, message, task, &why) : -ENOMEM;

	if (r < 0) {
		task_unref(task);
		session_end(session, r == -ENOMEM ? FLWR_E_MEMORY : FLWR_E_DATA, why.text);
		return;
	}
	session->options.ready(session->options.arg, true, 0);
	log_info(session->options.log, "Received: %s message %s", task->metadata.message_type,
		task->metadata.message_id);
	session->task = task;
	mailbox_task(session->options.mailbox, task);
}

static void on_lost(void *arg)
{
	struct session_bidi *session = arg;

	session->options.ready(session->options.arg, false, 0);
	forget_task(session);
}

static void on_ended(void *arg, enum bidi_end end, const char *details)
{
	static const int results[] = {
		[BIDI_DISMISSED] = FLWR_OK,
		[BIDI_GAVE_UP] = FLWR_E_CONNECT,
		[BIDI_REFUSED] = FLWR_E_REFUSED,
		[BIDI_LEFT] = FLWR_OK,
	};
	struct session_bidi *session = arg;
	struct reason why = {0};

	if (results[end] == FLWR_OK)
		log_info(session->options.log, "Disconnect and shut down: %s", details);
	else
		reason_set(&why, "server %s: Join failed: %s", session->options.settings->address,
			details);
	session_end(session, results[end], why.text);
}

/* ---- answers ---- */

static int keep_state(struct session_bidi *session, struct task *task)
{
	auto_(slices_done) struct slices state = {0};
	int r = items_encode(&task->state, &state);

	if (r == 0) {
		slices_done(&session->state);
		session->state = slices_take(&state);
	}
	return r;
}

/* Flower's client sends no larger reply either: its call fails with RESOURCE_EXHAUSTED, and the
 * client ends. */
static int check_size(
	const struct session_bidi *session, const struct slices *reply, struct reason *why)
{
	uint64_t max_bytes = session->options.settings->message_max_bytes;

	if (reply->bytes <= max_bytes)
		return 0;
	return reason_code(why, -EMSGSIZE,
		"RESOURCE_EXHAUSTED: the reply has %zu bytes, grpc_max_message_length allows %" PRIu64,
		reply->bytes, max_bytes);
}

static void send_answer(struct session_bidi *session, struct task *task)
{
	auto_(slices_done) struct slices reply = {0};
	struct reason why = {.text = "no memory for the reply"};
	int r = bidi_records_encode((enum bidi_kind)task->kind, &task->reply, &reply, &why);

	if (r == 0)
		r = check_size(session, &reply, &why);
	if (r == 0)
		r = keep_state(session, task);
	if (r == 0)
		r = bidi_reply(session->bidi, &reply);
	if (r == 0)
		log_info(session->options.log, "Sent reply");
	else if (r != -EPIPE) /* its stream has ended: there will be another one */
		session_end(session, r == -ENOMEM ? FLWR_E_MEMORY : FLWR_E_APP, why.text);
}

static void session_answered(struct session *base, struct task *task)
{
	struct session_bidi *session = of(base);
	bool wanted = session->task == task;

	if (wanted)
		session->task = NULL;
	if (task->result && !task->skipped && !session->ended) {
		log_error(session->options.log, "Client raised an exception. %s", task->sentence);
		session_end(session, task->result, task->sentence);
	} else if (wanted && !task->result && !session->ended) {
		send_answer(session, task);
	}
	task_unref(task);
}

/* ---- its life ---- */

static void session_stop(struct session *base)
{
	struct session_bidi *session = of(base);

	if (!session->ended)
		bidi_leave(session->bidi);
}

static void session_abandon(struct session *base)
{
	struct session_bidi *session = of(base);
	const struct session_options options = session->options;

	bidi_free(session->bidi);
	slices_done(&session->state);
	free(session);
	options.gone(options.arg);
}

static const struct session_ops ops = {
	.answered = session_answered, .stop = session_stop, .abandon = session_abandon};

int session_bidi_new(
	const struct session_options *options, struct session **out, struct reason *why)
{
	const struct settings *settings = options->settings;
	struct session_bidi *session = calloc(1, sizeof *session);
	struct bidi_options bidi = {.loop = options->engine->loop,
		.rpc = options->engine->rpc,
		.log = options->log,
		.address = settings->address,
		.ca_pem = settings->ca_pem,
		.receive_max_bytes = settings->message_max_bytes,
		.retry = settings->retry,
		.random01 = random_01,
		.instruction = on_instruction,
		.lost = on_lost,
		.ended = on_ended,
		.arg = session};
	int r;

	if (!session)
		return -ENOMEM;
	session->session.ops = &ops;
	session->options = *options;
	if (settings->key) /* as Flower's client, and in its words */
		log_warn(options->log,
			"Client authentication is not supported for this transport type. The authentication key has no use over grpc-bidi: the server does not see it");
	r = bidi_new(&bidi, &session->bidi);
	if (r) {
		free(session);
		return reason_code(why, r, "the way to server %s cannot be opened: %s",
			settings->address, strerror(-r));
	}
	*out = &session->session;
	return 0;
}
