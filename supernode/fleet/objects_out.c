/*
 * objects_out: one reply as objects: announced with its tree, then those objects that the SuperLink
 * asks for. What breaks off is taken up where it was: announced again, the SuperLink names only
 * what it lacks.
 */
#include "supernode/fleet/contents_objects.h"

#include "common/base/cleanup.h"
#include "common/message/fleet_codec.h"
#include "common/message/object_calls_codec.h"

#include <errno.h>
#include <string.h>

#define DELIVERY_OUT 8
/* On their way at a time: on a slow line they end together, and a SuperLink waits for 180 s only.
 */
#define DELIVERY_BYTES (8 << 20)
#define DELIVERY_TRIES 3 /* of announcing it */

struct delivery {
	struct fleet *fleet;
	uint64_t number;
	uint64_t run_id;
	fleet_push_fn *done;
	void *arg;
	struct slices announcement; /* the PushMessages request */
	struct object_id root;      /* the Message object, which is made here ... */
	struct slices root_bytes;
	struct object_set *set; /* ... and the others; NULL: there are none */
	struct fleet_pushed wanted;
	size_t next; /* of wanted: what was not sent yet */
	unsigned out;
	uint64_t bytes_out;
	int tries;
	bool again; /* it has to be announced again */
	enum outcome outcome;
	struct reason why;
};

/* An object on its way. */
struct parcel {
	struct delivery *delivery;
	uint64_t bytes;
};

static void delivery_free(struct delivery *delivery)
{
	if (!delivery)
		return;
	slices_done(&delivery->announcement);
	slices_done(&delivery->root_bytes);
	object_set_unref(delivery->set);
	fleet_pushed_done(&delivery->wanted);
	free(delivery);
}

static void delivery_free_at_exit(struct delivery **delivery)
{
	delivery_free(*delivery);
}

static void announce_again(struct delivery *delivery);

static void delivery_end(struct delivery *delivery)
{
	struct fleet *fleet = delivery->fleet;
	enum outcome outcome = delivery->outcome;

	delivery->done(delivery->arg, delivery->number, outcome, delivery->why.text);
	delivery_free(delivery);
	fleet_replied(fleet, outcome);
}

/* The first reason counts. */
static void delivery_fail(struct delivery *delivery, enum outcome outcome, const char *details)
{
	if (delivery->outcome != OUTCOME_OK)
		return;
	delivery->outcome = outcome;
	reason_set(&delivery->why, "%s", details);
}

/* ---- objects ---- */

static int bytes_of(const struct delivery *delivery, const struct object_id *id, struct slices *out)
{
	ptrdiff_t index;

	if (object_id_equal(id, &delivery->root))
		return slices_append_refs(out, &delivery->root_bytes);
	index = delivery->set ? object_tree_find(object_set_tree(delivery->set), id) : -1;
	return index < 0 ? -ENOENT : object_set_get(delivery->set, (size_t)index, out);
}

static void go(struct delivery *delivery);

static void parcel_home(void *arg, struct transport_result *result)
{
	auto_(free_at_exit) struct parcel *parcel = arg;
	struct delivery *delivery = parcel->delivery;
	bool stored = false;

	delivery->out--;
	delivery->bytes_out -= parcel->bytes;
	if (result->outcome != OUTCOME_OK)
		delivery_fail(delivery, result->outcome, result->details);
	else if (object_stored_decode(&result->body, &stored) || !stored)
		delivery->again = true;
	go(delivery);
}

/* 0, -ENOENT when the SuperLink wants what is no part of the reply, -errno. */
static int send_parcel(struct delivery *delivery, const struct object_id *id)
{
	auto_(object_request_done) struct object_request request = {
		.node_id = delivery->fleet->node_id, .run_id = delivery->run_id, .id = *id};
	auto_(free_at_exit) struct parcel *parcel = calloc(1, sizeof *parcel);
	auto_(slices_done) struct slices body = {0};
	int r = parcel ? bytes_of(delivery, id, &request.content) : -ENOMEM;

	if (r)
		return r;
	request.session_id = strdup(delivery->wanted.session_id);
	r = request.session_id ? object_request_encode(&request, &body) : -ENOMEM;
	if (r)
		return r;
	*parcel = (struct parcel){delivery, request.content.bytes};
	r = errand_start(delivery->fleet, ERRAND_PUSH_OBJECT, &body, parcel_home, parcel);
	if (r)
		return r;
	delivery->out++;
	delivery->bytes_out += parcel->bytes;
	take_pointer(&parcel);
	return 0;
}

static void go(struct delivery *delivery)
{
	struct fleet_pushed *wanted = &delivery->wanted;
	int r;

	while (delivery->outcome == OUTCOME_OK && !delivery->again &&
		delivery->next < wanted->n_wanted && delivery->out < DELIVERY_OUT &&
		(delivery->out == 0 || delivery->bytes_out < DELIVERY_BYTES)) {
		r = send_parcel(delivery, &wanted->wanted[delivery->next++]);
		if (r == -ENOENT)
			delivery_fail(delivery, OUTCOME_INTERNAL,
				"the SuperLink asks for an object that is no part of the reply");
		else if (r)
			delivery_fail(delivery, OUTCOME_RESOURCE_EXHAUSTED,
				"an object of the reply could not be read");
	}
	if (delivery->out)
		return;
	if (delivery->outcome == OUTCOME_OK && delivery->again) {
		if (delivery->tries < DELIVERY_TRIES) {
			announce_again(delivery);
			return;
		}
		delivery_fail(delivery, OUTCOME_INTERNAL,
			"the SuperLink does not store an object of the reply");
	}
	delivery_end(delivery);
}

/* ---- the announcement ---- */

static void announced(void *arg, struct transport_result *result)
{
	struct delivery *delivery = arg;
	struct fleet *fleet = delivery->fleet;
	int r = 0;

	if (result->outcome == OUTCOME_OK)
		r = fleet_decode_push_messages(&result->body, &delivery->wanted);
	/* To announce it once more does no harm: it is the same message. */
	if (r)
		delivery->again = true;
	if (result->outcome != OUTCOME_OK)
		delivery_fail(delivery, result->outcome, result->details);
	if (delivery->wanted.dropped) {
		log_warn(fleet->log,
			"SuperLink %s: dropped the reply: the message's time is over, or it is unknown there",
			fleet->superlink);
		delivery->next = delivery->wanted.n_wanted; /* of no use there */
	}
	go(delivery);
}

static int send_announcement(struct delivery *delivery)
{
	auto_(slices_done) struct slices request = {0};
	int r = slices_append_refs(&request, &delivery->announcement);

	delivery->tries++;
	return r ? r
		 : errand_start(
			   delivery->fleet, ERRAND_PUSH_MESSAGES, &request, announced, delivery);
}

static void announce_again(struct delivery *delivery)
{
	delivery->again = false;
	delivery->next = 0;
	fleet_pushed_done(&delivery->wanted);
	if (send_announcement(delivery)) {
		delivery_fail(delivery, OUTCOME_RESOURCE_EXHAUSTED, "no memory to push the reply");
		delivery_end(delivery);
	}
}

/* The encoded tree below the root of a set, and the root's only child. */
static int content_tree(
	const struct object_set *set, struct object_id *child_out, struct slices *out)
{
	const struct object_tree *tree = object_set_tree(set);
	const struct object_node *root = &tree->v[tree->n - 1];

	if (root->n_children != 1)
		return -EINVAL;
	*child_out = tree->v[root->children[0]].id;
	return object_tree_first_child(tree, out);
}

/* The root object is made here, because the reply's metadata is ours; then the request. */
static int prepare(struct delivery *delivery, const struct held_message *reply, double runtime_s)
{
	auto_(slices_done) struct slices child_tree = {0};
	auto_(slices_done) struct slices tree = {0};
	struct envelope announced_as = reply->envelope; /* borrows */
	char id[OBJECT_ID_TEXT_BYTES];
	struct object_id child;
	bool has_child =
		reply->objects && reply->envelope.has_content; /* an error has no children */
	int r = has_child ? content_tree(reply->objects, &child, &child_tree) : 0;

	if (!r)
		r = envelope_message_object(&reply->envelope, has_child ? &child : NULL,
			&delivery->root_bytes, &delivery->root);
	if (!r)
		r = object_tree_encode(&delivery->root, &child_tree, has_child ? 1 : 0, &tree);
	if (r)
		return r;
	object_id_format(&delivery->root, id);
	announced_as.metadata.message_id = id;
	announced_as.content = (struct slices){0};
	return fleet_encode_push_messages(
		delivery->fleet->node_id, &announced_as, &tree, runtime_s, &delivery->announcement);
}

int objects_push(struct fleet *fleet, uint64_t number, const struct held_message *reply,
	double runtime_s, fleet_push_fn *done, void *arg)
{
	auto_(delivery_free_at_exit) struct delivery *delivery = calloc(1, sizeof *delivery);
	int r;

	if (!delivery)
		return -ENOMEM;
	delivery->fleet = fleet;
	delivery->number = number;
	delivery->run_id = reply->envelope.metadata.run_id;
	delivery->done = done;
	delivery->arg = arg;
	delivery->set = reply->objects ? object_set_ref(reply->objects) : NULL;
	r = prepare(delivery, reply, runtime_s);
	if (!r)
		r = send_announcement(delivery);
	if (!r)
		take_pointer(&delivery);
	return r;
}
