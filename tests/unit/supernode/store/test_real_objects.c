/*
 * Objects and trees against the newest release of the real package: its ids, its order, its bytes.
 */
#include "common/wire/wire.h"
#include "kit/loop.h"
#include "kit/vectors.h"
#include "supernode/store/object_store.h"

#define OBJECTS_MAX 1000

/* A message as the script describes it. */
struct message {
	struct slices objects[OBJECTS_MAX];
	struct object_id *children[OBJECTS_MAX];
	size_t n_children[OBJECTS_MAX];
	size_t n;
	struct object_id *order;
	size_t n_order;
};

static struct object_id *ids_dup(const uint8_t *data, size_t len, size_t *n_out)
{
	struct object_id *ids = malloc(len + 1);

	assert_non_null(ids);
	assert_int_equal(len % OBJECT_ID_BYTES, 0);
	memcpy(ids, data, len);
	*n_out = len / OBJECT_ID_BYTES;
	return ids;
}

static void message_done(struct message *message)
{
	for (size_t i = 0; i < message->n; i++) {
		slices_done(&message->objects[i]);
		free(message->children[i]);
	}
	free(message->order);
	*message = (struct message){0};
}

/* Check that object_make() makes the same object from its parts. */
static void check_make(const struct slices *object, const struct object_head *head)
{
	auto_(slices_done) struct slices body = {0}, made = {0};
	struct object_id id, hash;

	assert_int_equal(
		slices_append_range(&body, object, head->body_offset, head->body_bytes), 0);
	assert_int_equal(object_make(&(struct object_parts){head->type, head->children,
					     head->n_children, &body},
				 &made, &id),
		0);
	assert_true(slices_equal(&made, object));
	assert_int_equal(object_hash(object, &hash), 0);
	assert_true(object_id_equal(&hash, &id));
}

static void check_object(const struct message *message, size_t i, const struct object_tree *tree)
{
	const struct object_node *node = &tree->v[i];
	const struct object_id *children = message->children[i];
	auto_(object_head_done) struct object_head head = {0};
	struct reason why = {0};
	struct object_id id;

	if (object_head_parse(&message->objects[i], &head, &why) < 0)
		fail_msg("%s", why.text);
	check_make(&message->objects[i], &head);
	assert_int_equal(object_hash(&message->objects[i], &id), 0);
	assert_true(object_id_equal(&id, &node->id));
	assert_true(object_id_equal(&id, &message->order[i]));
	assert_int_equal(head.n_children, message->n_children[i]);
	assert_int_equal(node->n_children, message->n_children[i]);
	for (size_t j = 0; j < head.n_children; j++) {
		assert_true(object_id_equal(&children[j], &head.children[j]));
		assert_true(object_id_equal(&children[j], &tree->v[node->children[j]].id));
	}
}

/* The tree made anew of its objects, children first. */
static void check_encode(const struct object_tree *tree)
{
	struct slices made[OBJECTS_MAX] = {0};

	for (size_t i = 0; i < tree->n; i++) {
		struct slices children[64] = {0};
		const struct object_node *node = &tree->v[i];

		assert_in_range(node->n_children, 0, ARRAY_LEN(children));
		for (uint32_t j = 0; j < node->n_children; j++)
			slices_append_refs(&children[j], &made[node->children[j]]);
		assert_int_equal(
			object_tree_encode(&node->id, children, node->n_children, &made[i]), 0);
		for (uint32_t j = 0; j < node->n_children; j++)
			slices_done(&children[j]);
	}
	assert_true(slices_equal(&made[tree->n - 1], &tree->bytes));
	for (size_t i = 0; i < tree->n; i++)
		slices_done(&made[i]);
}

struct putting {
	size_t n_done;
};

static void on_done(void *arg, size_t index, int r, const struct reason *why)
{
	struct putting *putting = arg;

	if (r < 0)
		fail_msg("%s", why->text);
	putting->n_done++;
}

/* All of it in a set, half of it in a file. */
static void check_set(const struct message *message, struct object_tree *tree)
{
	struct putting putting = {0};
	struct object_set *set;
	struct spool *spool;
	struct loop *loop;

	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(spool_new(loop, "/tmp", 3000, &spool), 0);
	assert_int_equal(object_set_new(spool, tree, &set), 0);
	for (size_t i = 0; i < message->n; i++) {
		struct slices content = {0};

		slices_append_refs(&content, &message->objects[i]);
		assert_int_equal(object_set_put(set, i, &content, on_done, &putting), 0);
	}
	kit_loop_until(loop, putting.n_done == message->n);
	assert_int_equal(object_set_missing(set), 0);
	for (size_t i = 0; i < message->n; i++) {
		auto_(slices_done) struct slices got = {0};

		assert_int_equal(object_set_get(set, i, &got), 0);
		assert_true(slices_equal(&got, &message->objects[i]));
	}
	object_set_unref(set);
	spool_free(spool);
	loop_free(loop);
}

static void check_tree(const struct message *message, const struct vectors *vectors)
{
	auto_(slices_done) struct slices cut = vector_cut(vectors->data, vectors->len, 30);
	struct object_tree tree, again;
	struct reason why = {0};

	if (object_tree_decode(&vectors->bytes, &tree, &why) < 0)
		fail_msg("%s", why.text);
	assert_int_equal(object_tree_decode(&cut, &again, NULL), 0);
	assert_int_equal(tree.n, message->n);
	assert_int_equal(again.n, message->n);
	assert_int_equal(message->n_order, message->n);
	for (size_t i = 0; i < message->n; i++) {
		check_object(message, i, &tree);
		check_object(message, i, &again);
	}
	check_encode(&tree);
	check_set(message, &tree);
	object_tree_done(&tree);
	object_tree_done(&again);
}

static void real_objects(void **state)
{
	struct message message = {0};
	struct vectors vectors;
	unsigned n_trees = 0;

	vectors_start(&vectors, KIT_NEWEST, FLWR_TEST_DIR "/gen_objects.py");
	while (vectors_next(&vectors)) {
		if (strcmp(vectors.name, "object") == 0) {
			assert_in_range(message.n, 0, OBJECTS_MAX - 1);
			message.objects[message.n] = vector_cut(vectors.data, vectors.len, 700);
		} else if (strcmp(vectors.name, "children") == 0) {
			message.children[message.n] =
				ids_dup(vectors.data, vectors.len, &message.n_children[message.n]);
			message.n++;
		} else if (strcmp(vectors.name, "order") == 0) {
			message.order = ids_dup(vectors.data, vectors.len, &message.n_order);
		} else {
			check_tree(&message, &vectors);
			message_done(&message);
			n_trees++;
		}
	}
	assert_int_equal(n_trees, 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(real_objects)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
