#include "life.h"

#include "common/http/http.h"
#include "common/rpc/rpc.h"
#include "kit/log.h"
#include "kit/loop.h"
#include "supernode/fleet/fleet.h"

#include <signal.h>

#define FAB_BYTES 3000
#define REPLIES   3

/* The smallest owner: one message at a time is sent back as it came. */
struct owner {
	struct fleet *fleet;
	struct held_message message;
	bool busy;
	unsigned registered, lost, contents, replies;
	bool over, stopped;
};

static void on_pushed(void *arg, uint64_t number, enum outcome outcome, const char *details)
{
	struct owner *owner = arg;

	assert_int_equal(number, 17);
	if (outcome == OUTCOME_OK)
		owner->replies++;
	else
		print_message("push: %s %s\n", outcome_name(outcome), details);
	held_message_done(&owner->message);
	owner->busy = false;
	fleet_poke(owner->fleet);
}

static void on_fab(void *arg, uint64_t run_id, struct fleet_fab *fab)
{
	struct owner *owner = arg;
	auto_(held_message_done) struct held_message reply = {.envelope.has_content = true};
	const struct fleet_push push = {17, &reply, 0.5, on_pushed, owner};

	assert_int_equal(fab->outcome, OUTCOME_OK);
	assert_int_equal(fab->content.bytes, FAB_BYTES);
	assert_int_equal(envelope_reply_metadata(&owner->message.envelope.metadata, clock_wall_s(),
				 &reply.envelope.metadata),
		0);
	assert_int_equal(
		slices_append_refs(&reply.envelope.content, &owner->message.envelope.content), 0);
	if (owner->message.objects)
		reply.objects = object_set_ref(owner->message.objects);
	assert_int_equal(fleet_push(owner->fleet, &push), 0);
}

static void on_run(
	void *arg, uint64_t run_id, enum outcome outcome, struct run *run, const char *details)
{
	struct owner *owner = arg;

	assert_int_equal(outcome, OUTCOME_OK);
	assert_int_equal(run->run_id, run_id);
	assert_string_equal(run->fab_id, "me/app");
	assert_int_equal(run->override_config.n, 1);
	assert_int_equal(fleet_get_fab(owner->fleet, run_id, run->fab_hash, on_fab, owner), 0);
	run_done(run);
}

static void work(struct owner *owner)
{
	assert_int_equal(
		fleet_get_run(owner->fleet, owner->message.envelope.metadata.run_id, on_run, owner),
		0);
}

static uint64_t on_message(void *arg, struct held_message *message, const char *refused)
{
	struct owner *owner = arg;

	assert_false(owner->busy);
	assert_null(refused);
	owner->busy = true;
	owner->message = held_message_take(message);
	if (!owner->message.objects)
		work(owner);
	return 17;
}

static void on_content(void *arg, uint64_t number, enum outcome outcome, const char *details)
{
	struct owner *owner = arg;

	assert_int_equal(number, 17);
	assert_int_equal(outcome, OUTCOME_OK);
	assert_int_equal(object_set_missing(owner->message.objects), 0);
	owner->contents++;
	work(owner);
}

static bool on_wants(void *arg)
{
	return !((struct owner *)arg)->busy;
}

static void on_registered(void *arg, uint64_t node_id)
{
	assert_int_not_equal(node_id, 0);
	((struct owner *)arg)->registered++;
}

static void on_lost(void *arg)
{
	((struct owner *)arg)->lost++;
}

static void on_over(void *arg, enum fleet_over over, const char *sentence)
{
	print_message("over (%d): %s\n", (int)over, sentence);
	((struct owner *)arg)->over = true;
}

static void on_stopped(void *arg)
{
	((struct owner *)arg)->stopped = true;
}

static double half(void *arg)
{
	return 0.5;
}

/* The lines that a person reads: each trouble once. */
static void check_log(struct kit_log *log)
{
	print_message("%s", kit_log_text(log));
	assert_int_equal(kit_log_count(log, "has forgotten node"), 2);
	assert_int_equal(kit_log_count(log, "ERROR"), 0);
}

/* Loop, io, and what calls go over. */
struct base {
	struct loop *loop;
	struct rpc *rpc;
	struct http *http;
	struct spool *spool;
	struct kit_log log;
};

static void base_init(struct base *base)
{
	signal(SIGPIPE, SIG_IGN);
	kit_log_init(&base->log, "test", LOG_LEVEL_INFO);
	assert_int_equal(loop_new(&base->loop), 0);
	assert_int_equal(rpc_new(base->loop, &base->rpc), 0);
	assert_int_equal(http_new(base->loop, &base->http, NULL), 0);
	assert_int_equal(spool_new(base->loop, "/nowhere", 1 << 30, &base->spool), 0);
}

static void base_done(struct base *base)
{
	spool_free(base->spool);
	http_free(base->http);
	rpc_free(base->rpc);
	loop_free(base->loop);
	check_log(&base->log);
	kit_log_done(&base->log);
}

static void live(struct base *base, struct owner *owner, const char *address, const char *speaks)
{
	static const struct fleet_ops ops = {
		on_registered, on_lost, on_wants, on_message, on_content, NULL, NULL, on_over};
	struct connector *connector = NULL;

	assert_int_equal(connector_new(base->rpc, base->http, base->log.log,
				 &(struct connector_options){
					 .address = address, .receive_max_bytes = INT32_MAX},
				 &connector),
		0);
	assert_int_equal(fleet_new(&(struct fleet_options){.link = {.loop = base->loop,
								   .log = base->log.log,
								   .connector = connector,
								   .retry = {-1, -1},
								   .random01 = half},
					   .ops = &ops,
					   .arg = owner,
					   .spool = base->spool,
					   .poll_min_ms = 100,
					   .poll_max_ms = 500},
				 &owner->fleet),
		0);
	fleet_start(owner->fleet);
	kit_loop_until(base->loop, owner->replies >= REPLIES || owner->over);
	assert_int_equal(owner->replies, REPLIES);
	assert_int_equal(owner->registered, 3);
	assert_int_equal(owner->lost, 2);
	assert_string_equal(fleet_speaks(owner->fleet), speaks);
	fleet_stop(owner->fleet, on_stopped, owner);
	kit_loop_until(base->loop, owner->stopped);
	fleet_free(owner->fleet);
}

void life_run(enum kit_python python, const char *script, const char *speaks)
{
	struct owner owner = {0};
	struct base base = {0};
	struct kit_child superlink;
	char address[64];

	kit_child_start(&superlink, python, script);
	snprintf(address, sizeof address, "127.0.0.1:%s", kit_child_value(&superlink, "port"));
	base_init(&base);
	live(&base, &owner, address, speaks);
	kit_child_close(&superlink);
	kit_child_expect(&superlink, "reply 1 1 ä kept");
	kit_child_expect(&superlink, "reply 2 2 ä kept");
	kit_child_expect(&superlink, "reply 3 3 ä kept");
	kit_child_expect(&superlink, "nodes 0");
	kit_child_end(&superlink);
	base_done(&base);
}
