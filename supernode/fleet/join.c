/*
 * join: one step after the other, as the table next_steps says.
 */
#include "supernode/fleet/join_internal.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/message/fleet_codec.h"
#include "supernode/fleet/heartbeat.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* The words of SuperLinks to 1.22 about a node, and a method that they do not have. */
#define NO_NODE    "Invalid node ID"
#define NO_HANDLER "Error in service handler!"

/* The meanings of an answer to a step. */
enum join_answer {
	ANSWER_OTHER, /* the step has failed */
	ANSWER_YES,
	ANSWER_NO_METHOD,
	ANSWER_NO_NODE,  /* or no such key: old releases say so before they look at the method */
	ANSWER_BROKEN,   /* or they break, when they know the key */
	ANSWER_UNKNOWN,  /* UNKNOWN, with other words */
	ANSWER_NOT_KEPT, /* the number that was kept is of no use any more */
	ANSWER_N
};

/*
 * The histories of joining, by Flower's releases:
 * - 1.23 and later: RegisterNode, ActivateNode. An operator's key begins with ActivateNode, because
 *   somebody else has registered it.
 * - 1.20 - 1.22 do not have these: CreateNode, SendNodeHeartbeat.
 * - 1.15 - 1.18 do not have SendNodeHeartbeat either, and say so ...
 * - ... or break at it: then Ping is what they know.
 * A number that was kept takes the place of CreateNode's answer. JOIN_FIND (0): the step has
 * failed.
 */
static const enum join_step next_steps[JOIN_CALLS][ANSWER_N] = {
	[JOIN_REGISTER] =
		{
			[ANSWER_YES] = JOIN_ACTIVATE,
			[ANSWER_NO_METHOD] = JOIN_NUMBER,
			[ANSWER_NO_NODE] = JOIN_NUMBER,
			[ANSWER_BROKEN] = JOIN_NUMBER,
		},
	[JOIN_ACTIVATE] =
		{
			[ANSWER_YES] = JOINED_C,
			[ANSWER_NO_METHOD] = JOIN_NUMBER,
			[ANSWER_NO_NODE] = JOIN_NUMBER,
			[ANSWER_BROKEN] = JOIN_NUMBER,
		},
	[JOIN_CREATE] =
		{
			[ANSWER_YES] = JOIN_BEAT,
		},
	[JOIN_BEAT] =
		{
			[ANSWER_YES] = JOINED_B,
			[ANSWER_NO_METHOD] = JOINED_A,
			[ANSWER_BROKEN] = JOIN_PING,
			[ANSWER_UNKNOWN] = JOIN_PING,
			[ANSWER_NOT_KEPT] = JOIN_NUMBER,
		},
	[JOIN_PING] =
		{
			[ANSWER_YES] = JOINED_A,
			[ANSWER_NOT_KEPT] = JOIN_NUMBER,
		},
};

static void step_done(struct call *call, struct transport_result *result);

#define JOIN_KIND(name)                                                                            \
	{                                                                                          \
		.method = (name), .timeout_ms = CALL_TIMEOUT_MS, .once = true, .awaited = true,    \
		.done = step_done                                                                  \
	}

const struct call_kind join_calls[JOIN_CALLS] = {
	[JOIN_REGISTER] = JOIN_KIND("RegisterNode"),
	[JOIN_ACTIVATE] = JOIN_KIND("ActivateNode"),
	[JOIN_CREATE] = JOIN_KIND("CreateNode"),
	[JOIN_BEAT] = JOIN_KIND("SendNodeHeartbeat"),
	[JOIN_PING] = JOIN_KIND("Ping"),
};

bool join_was_online(const struct join *join)
{
	return join->registered_ms >= 0;
}

/* ---- the number that is kept ---- */

static void take_step(struct join *join, enum join_step step);

static void number_written(void *arg)
{
	struct join *join = arg;

	if (!join_is_idle(join))
		return;
	if (join->beat_later) {
		join->beat_later = false;
		take_step(join, JOIN_BEAT);
	}
	join->options.ops->idle(join->options.arg);
}

/* At once: when it is only kept by a node that is online, a lost answer to the next step loses it.
 */
static void keep_number(struct join *join, uint64_t node_id)
{
	if (join->has_key)
		kept_node_set(&join->kept, link_key(join->link), node_id);
}

void join_drop_number(struct join *join)
{
	keep_number(join, 0);
}

void join_forget_number(struct join *join)
{
	join->kept.dead = true;
}

/*
 * An operator's key gets its number only once from a SuperLink without activation, so it is kept
 * from then on. Whether the SuperLink still knows it is only found out by using it.
 */
static bool has_number(struct join *join)
{
	join->node_id = join->has_key ? kept_node_get(&join->kept, link_key(join->link)) : 0;
	join->kept_tried = join->node_id != 0;
	return join->kept_tried;
}

/* ---- steps ---- */

static int step_encode(struct join *join, struct slices *body)
{
	size_t len;
	const char *pem = auth_public_key(link_key(join->link), &len);

	if (join->step == JOIN_REGISTER)
		return fleet_encode_key(pem, len, 0, body);
	if (join->step == JOIN_ACTIVATE)
		return fleet_encode_key(pem, len, HEARTBEAT_INTERVAL_S, body);
	if (join->step == JOIN_CREATE)
		return fleet_encode_create_node(HEARTBEAT_INTERVAL_S, body);
	return fleet_encode_ping(join->node_id, HEARTBEAT_INTERVAL_S, body);
}

static void send_step(struct join *join, enum join_step step)
{
	auto_(slices_done) struct slices body = {0};
	int r;

	join->step = step;
	r = step_encode(join, &body);
	call_now(&join->call, &join_calls[step], r, &body);
}

static void say_key_unused(struct join *join)
{
	if (join->unused_said)
		return;
	join->unused_said = true;
	log_warn(link_options(join->link)->log,
		"SuperLink %s: speaks %s, over which nodes have no keys: the one that was given is not used",
		link_address(join->link), link_speaks(join->link)->name);
}

static void joined(struct join *join, const struct dialect *dialect)
{
	const struct joined node = {join->node_id, dialect, true};

	if (join->options.operator_key && !join->has_key)
		say_key_unused(join);
	tries_worked(join->link, &join->tries);
	join->active = false;
	join->slow_said = (struct reason){0};
	join->registered_ms = clock_now_ms();
	join->options.ops->joined(join->options.arg, &node);
}

static void take_step(struct join *join, enum join_step step)
{
	static const struct dialect *const dialects[] = {&dialect_a, &dialect_b, &dialect_c};

	if (step == JOIN_NUMBER)
		step = has_number(join) ? JOIN_BEAT : JOIN_CREATE;
	/* Once the number cannot be lost any more. */
	if (step == JOIN_BEAT && !join_is_idle(join))
		join->beat_later = true;
	else if (step >= JOINED_A)
		joined(join, dialects[step - JOINED_A]);
	else
		send_step(join, step);
}

/* 0 with the number that a step gives (unchanged by a heartbeat); -ENODEV: a heartbeat's node is
 * not known; -errno. */
static int step_decode(enum join_step step, const struct slices *body, uint64_t *node_id)
{
	bool success = false;
	int r;

	if (step == JOIN_BEAT || step == JOIN_PING) {
		r = fleet_decode_ping(body, &success);
		return r ? r : success ? 0 : -ENODEV;
	}
	*node_id = 0;
	r = step == JOIN_CREATE ? fleet_decode_create_node(body, node_id)
				: fleet_decode_node_id(body, node_id);
	return r ? r : *node_id ? 0 : -EBADMSG;
}

static enum join_answer judge_failure(
	const struct join *join, const struct transport_result *result)
{
	bool is_heartbeat = join->step == JOIN_BEAT || join->step == JOIN_PING;

	if (is_heartbeat && join->kept_tried && result->outcome == OUTCOME_UNAUTHENTICATED)
		return ANSWER_NOT_KEPT;
	if (!link_speaks(join->link)->early)
		return ANSWER_OTHER;
	/* A number that was kept says nothing about who listens. */
	if (result->outcome == OUTCOME_UNIMPLEMENTED)
		return join->kept_tried && join->step == JOIN_BEAT ? ANSWER_BROKEN
								   : ANSWER_NO_METHOD;
	if (result->outcome == OUTCOME_UNKNOWN)
		return strcmp(result->details, NO_HANDLER) == 0 ? ANSWER_BROKEN : ANSWER_UNKNOWN;
	if (result->outcome == OUTCOME_UNAUTHENTICATED &&
		(strcmp(result->details, NO_NODE) == 0 ||
			strcmp(result->details, JOIN_NO_KEY) == 0))
		return ANSWER_NO_NODE;
	return ANSWER_OTHER;
}

/* The meaning of an answer; result becomes a failure when it cannot be read. */
static enum join_answer judge(struct join *join, struct transport_result *result)
{
	uint64_t node_id = join->node_id;
	int r;

	if (result->outcome != OUTCOME_OK)
		return judge_failure(join, result);
	r = step_decode(join->step, &result->body, &node_id);
	if (r == -ENODEV && join->kept_tried)
		return ANSWER_NOT_KEPT;
	if (r) {
		result->outcome = OUTCOME_INTERNAL;
		result->details = r == -ENODEV
					  ? "a node that was just made is not known"
					  : "the answer could not be read, or has no node in it";
		return ANSWER_OTHER;
	}
	join->node_id = node_id;
	return ANSWER_YES;
}

/* The node that the steps so far have made, if there is one, is handed to who stopped them. */
static void hand_back(struct join *join, const struct transport_result *result)
{
	enum join_step step = join->step;
	bool c = step == JOIN_REGISTER || step == JOIN_ACTIVATE;
	struct joined node = {0, c ? &dialect_c : &dialect_b, step != JOIN_REGISTER};
	uint64_t node_id = join->node_id;

	if (step_decode(step, &result->body, &node_id) == 0) {
		join->node_id = node_id;
		if (step == JOIN_CREATE)
			keep_number(join, node_id);
	}
	node.node_id = join->node_id;
	join->options.ops->stopped(join->options.arg, &node);
}

static void step_done(struct call *call, struct transport_result *result)
{
	struct join *join = container_of(call, struct join, call);
	enum join_answer answer;
	enum join_step next;

	if (!join->active) {
		hand_back(join, result);
		return;
	}
	answer = judge(join, result);
	next = next_steps[join->step][answer];
	if (answer == ANSWER_NOT_KEPT)
		join->kept.dead = true;
	if (answer == ANSWER_YES && join->step == JOIN_CREATE)
		keep_number(join, join->node_id);
	if (next == JOIN_FIND)
		join_step_failed(join, result);
	else
		take_step(join, next);
}

/* ---- what listens there ---- */

static void begin_talk(struct join *join)
{
	const struct transport_result failed = {
		.outcome = OUTCOME_INTERNAL, .details = "no memory for a key"};
	struct auth *fresh = NULL;

	join->node_id = 0; /* of a try that failed half-way */
	join->has_key = join->options.operator_key && link_speaks(join->link)->signed_calls;
	if (join->has_key) {
		link_set_key(join->link, NULL);
		send_step(join, JOIN_ACTIVATE);
		return;
	}
	/* Each try has a key of its own: one whose answer was lost has used up its key. */
	if (auth_new(&fresh)) {
		join_failed(join, "making a key", &failed);
		return;
	}
	link_set_key(join->link, fresh);
	send_step(join, JOIN_REGISTER);
}

static void found(void *arg, enum probe_result result, const struct reason *why)
{
	struct join *join = arg;
	const struct transport_result failed = {
		.outcome = OUTCOME_UNAVAILABLE, .details = why->text};
	struct reason sentence;

	if (probe_answers(result)) {
		begin_talk(join);
	} else if (result == PROBE_ABSENT) {
		join_failed(join, "connecting", &failed);
	} else {
		reason_set(&sentence, "SuperLink: %s", why->text);
		join_found_wrong(join, "connecting", &failed, sentence.text);
	}
}

static void join_fire(void *arg)
{
	struct join *join = arg;
	const struct transport_result failed = {
		.outcome = OUTCOME_INTERNAL, .details = "no memory to connect"};

	tries_begin(&join->tries, clock_now_ms());
	if (join->step != JOIN_FIND)
		send_step(join, join->step);
	else if (link_find(join->link, found, join))
		join_failed(join, "connecting", &failed);
}

/* ---- life ---- */

void join_begin(struct join *join, bool again)
{
	static const struct retry_policy endless = {-1, -1};
	int64_t now_ms = clock_now_ms();
	int64_t at_ms = now_ms;

	/* A SuperLink that takes a node and forgets it at once must not be asked as fast as we can.
	 */
	if (again && join_was_online(join) && now_ms - join->registered_ms < JOIN_STABLE_MS)
		at_ms = retry_next(&join->flap, &endless, now_ms, link_random01(join->link));
	else
		retry_init(&join->flap);
	tries_left(join->link, &join->tries);
	join->active = true;
	join->step = JOIN_FIND;
	join->node_id = 0;
	join->beat_later = false;
	join->refused_ms = -1;
	timer_set(join->timer, at_ms);
}

void join_stop(struct join *join)
{
	join->active = false;
	join->beat_later = false;
	timer_set(join->timer, CLOCK_NEVER);
}

bool join_has_key(const struct join *join)
{
	return join->has_key;
}

bool join_is_out(const struct join *join)
{
	return call_is_out(&join->call);
}

bool join_is_idle(const struct join *join)
{
	return !join->kept.writing;
}

static void join_free_at_exit(struct join **join)
{
	join_free(*join);
}

int join_new(const struct join_options *options, struct join **out)
{
	auto_(join_free_at_exit) struct join *join = calloc(1, sizeof *join);
	int r;

	if (!join)
		return -ENOMEM;
	join->options = *options;
	join->link = options->link;
	join->registered_ms = -1;
	join->refused_ms = -1;
	tries_init(&join->tries);
	retry_init(&join->flap);
	r = call_init(&join->call, options->link);
	join->timer = timer_new(link_options(options->link)->loop, join_fire, join);
	join->kept = (struct kept_node){.loop = link_options(options->link)->loop,
		.log = link_options(options->link)->log,
		.written = number_written,
		.arg = join};
	if (options->state_dir)
		join->kept.dir = strdup(options->state_dir);
	if (r || !join->timer || (options->state_dir && !join->kept.dir))
		return -ENOMEM;
	*out = take_pointer(&join);
	return 0;
}

void join_free(struct join *join)
{
	if (!join)
		return;
	assert(join_is_idle(join));
	call_done(&join->call);
	timer_free(join->timer);
	free(join->kept.dir);
	free(join);
}
