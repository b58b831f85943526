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

#define UPLOAD_OUT 8
/* On their way at a time: on a slow line they end together, and a SuperLink waits for 180 s only.
 */
#define UPLOAD_BYTES (8 << 20)
#define UPLOAD_TRIES 3 /* of announcing it */

struct upload {
	struct call call; /* announces */
	struct fleet *fleet;
	struct fleet_push push;
	uint64_t run_id;
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
struct object_push {
	struct call call;
	struct upload *upload;
	uint64_t bytes;
};

static void upload_free(struct upload *upload)
{
	if (!upload)
		return;
	call_done(&upload->call);
	slices_done(&upload->announcement);
	slices_done(&upload->root_bytes);
	object_set_unref(upload->set);
	fleet_pushed_done(&upload->wanted);
	free(upload);
}

static void upload_free_at_exit(struct upload **upload)
{
	upload_free(*upload);
}

static void announce_again(struct upload *upload);

static void upload_end(struct upload *upload)
{
	struct fleet *fleet = upload->fleet;
	enum outcome outcome = upload->outcome;

	upload->push.done(upload->push.arg, upload->push.number, outcome, upload->why.text);
	upload_free(upload);
	fleet_replied(fleet, outcome);
}

/* The first reason counts. */
static void upload_fail(struct upload *upload, enum outcome outcome, const char *details)
{
	if (upload->outcome != OUTCOME_OK)
		return;
	upload->outcome = outcome;
	reason_set(&upload->why, "%s", details);
}

/* ---- objects ---- */

static int bytes_of(const struct upload *upload, const struct object_id *id, struct slices *out)
{
	ptrdiff_t index;

	if (object_id_equal(id, &upload->root))
		return slices_append_refs(out, &upload->root_bytes);
	index = upload->set ? object_tree_find(object_set_tree(upload->set), id) : -1;
	return index < 0 ? -ENOENT : object_set_get(upload->set, (size_t)index, out);
}

static void upload_go_on(struct upload *upload);

static void object_push_free(struct object_push **object)
{
	if (!*object)
		return;
	call_done(&(*object)->call);
	free(*object);
}

static void object_pushed(struct call *call, struct transport_result *result)
{
	auto_(object_push_free) struct object_push *object =
		container_of(call, struct object_push, call);
	struct upload *upload = object->upload;
	bool stored = false;

	upload->out--;
	upload->bytes_out -= object->bytes;
	if (result->outcome != OUTCOME_OK)
		upload_fail(upload, result->outcome, result->details);
	else if (object_stored_decode(&result->body, &stored) || !stored)
		upload->again = true;
	upload_go_on(upload);
}

static const struct call_kind push_object = {
	.method = "PushObject",
	.what = "an object",
	.odd_tries = CALL_ODD_PUSH_TRIES,
	.done = object_pushed,
};

/* 0, -ENOENT when the SuperLink wants what is no part of the reply, -errno. */
static int send_object(struct upload *upload, const struct object_id *id)
{
	auto_(object_request_done) struct object_request request = {
		.node_id = upload->fleet->node.node_id, .run_id = upload->run_id, .id = *id};
	auto_(object_push_free) struct object_push *object = calloc(1, sizeof *object);
	auto_(slices_done) struct slices body = {0};
	int r = object ? call_init(&object->call, upload->fleet->link) : -ENOMEM;

	if (!r)
		r = bytes_of(upload, id, &request.content);
	if (r)
		return r;
	request.session_id = strdup(upload->wanted.session_id);
	r = request.session_id ? object_request_encode(&request, &body) : -ENOMEM;
	if (r)
		return r;
	object->upload = upload;
	object->bytes = request.content.bytes;
	call_start(&object->call, &push_object, &body);
	upload->out++;
	upload->bytes_out += object->bytes;
	take_pointer(&object);
	return 0;
}

static void upload_go_on(struct upload *upload)
{
	struct fleet_pushed *wanted = &upload->wanted;
	int r;

	while (upload->outcome == OUTCOME_OK && !upload->again && upload->next < wanted->n_wanted &&
		upload->out < UPLOAD_OUT &&
		(upload->out == 0 || upload->bytes_out < UPLOAD_BYTES)) {
		r = send_object(upload, &wanted->wanted[upload->next++]);
		if (r == -ENOENT)
			upload_fail(upload, OUTCOME_INTERNAL,
				"the SuperLink asks for an object that is no part of the reply");
		else if (r)
			upload_fail(upload, OUTCOME_RESOURCE_EXHAUSTED,
				"an object of the reply could not be read");
	}
	if (upload->out)
		return;
	if (upload->outcome == OUTCOME_OK && upload->again) {
		if (upload->tries < UPLOAD_TRIES) {
			announce_again(upload);
			return;
		}
		upload_fail(upload, OUTCOME_INTERNAL,
			"the SuperLink does not store an object of the reply");
	}
	upload_end(upload);
}

/* ---- the announcement ---- */

static void announced(struct call *call, struct transport_result *result)
{
	struct upload *upload = container_of(call, struct upload, call);
	struct fleet *fleet = upload->fleet;
	int r = 0;

	if (result->outcome == OUTCOME_OK)
		r = result->unreadable ? -EBADMSG
				       : fleet_decode_push_messages(&result->body, &upload->wanted);
	/* The SuperLink may be told of the same message once more: it takes it once. */
	if (r)
		upload->again = true;
	if (result->outcome != OUTCOME_OK)
		upload_fail(upload, result->outcome, result->details);
	if (upload->wanted.dropped) {
		log_warn(fleet->log,
			"SuperLink %s: dropped the reply: the message's time is over, or it is unknown there",
			link_address(fleet->link));
		upload->next = upload->wanted.n_wanted; /* of no use there */
	}
	upload_go_on(upload);
}

static const struct call_kind push_messages = {
	.method = "PushMessages",
	.what = "a reply",
	.odd_tries = CALL_ODD_PUSH_TRIES,
	.stores = true,
	.done = announced,
};

static int send_announcement(struct upload *upload)
{
	auto_(slices_done) struct slices request = {0};
	int r = slices_append_refs(&request, &upload->announcement);
	uint64_t bytes = request.bytes;

	upload->tries++;
	if (r)
		return r;
	/* The answer has the ids of the objects that are wanted of those in the request. */
	upload->call.answer_max_bytes =
		CALL_ANSWER_BYTES + (bytes < OBJECT_TREE_BYTES_MAX ? bytes : OBJECT_TREE_BYTES_MAX);
	call_start(&upload->call, &push_messages, &request);
	return 0;
}

static void announce_again(struct upload *upload)
{
	upload->again = false;
	upload->next = 0;
	fleet_pushed_done(&upload->wanted);
	if (send_announcement(upload)) {
		upload_fail(upload, OUTCOME_RESOURCE_EXHAUSTED, "no memory to push the reply");
		upload_end(upload);
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
static int prepare(struct upload *upload)
{
	const struct held_message *reply = upload->push.reply;
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
			&upload->root_bytes, &upload->root);
	if (!r)
		r = object_tree_encode(&upload->root, &child_tree, has_child ? 1 : 0, &tree);
	if (r)
		return r;
	object_id_format(&upload->root, id);
	announced_as.metadata.message_id = id;
	announced_as.content = (struct slices){0};
	return fleet_encode_push_messages(upload->fleet->node.node_id, &announced_as, &tree,
		upload->push.runtime_s, &upload->announcement);
}

int objects_push(struct fleet *fleet, const struct fleet_push *push)
{
	auto_(upload_free_at_exit) struct upload *upload = calloc(1, sizeof *upload);
	int r = upload ? call_init(&upload->call, fleet->link) : -ENOMEM;

	if (r)
		return r;
	upload->fleet = fleet;
	upload->push = *push;
	upload->run_id = push->reply->envelope.metadata.run_id;
	upload->set = push->reply->objects ? object_set_ref(push->reply->objects) : NULL;
	r = prepare(upload);
	if (!r)
		r = send_announcement(upload);
	if (!r)
		take_pointer(&upload);
	return r;
}
