/*
 * object_tree: a tree is read level by level on a short stack. An object is finished when its
 * message ends: its children are finished then, and have their places.
 */
#include "common/objects/object_tree.h"

#include "common/base/array.h"
#include "common/base/cleanup.h"
#include "common/wire/wire.h"
#include "numbers.h"

#include <errno.h>
#include <string.h>

#define ALLOWANCE_BYTES 1024 /* of an object: its head, its id and name in its parent */

/* An object whose message is being read. */
struct level {
	struct wire_reader reader;
	struct object_id id; /* what was read last */
	bool has_id;
	size_t first; /* of its children in pending */
};

struct tree_decoding {
	struct object_tree tree;
	size_t cap; /* of tree.v */
	struct level levels[OBJECT_TREE_DEPTH_MAX];
	size_t depth;
	/* Children of what is being read: places in tree.v. */
	uint32_t *pending;
	size_t n_pending, pending_cap;
	uint32_t n_seen; /* objects finished, the same one counted again */
	struct reason *why;
};

static void decoding_done(struct tree_decoding *decoding)
{
	object_tree_done(&decoding->tree);
	free(decoding->pending);
}

static int tree_broken(struct tree_decoding *decoding)
{
	return reason_code(decoding->why, -EBADMSG, "the object tree cannot be read");
}

static int tree_bad_id(struct tree_decoding *decoding)
{
	return reason_code(decoding->why, -EBADMSG, "the object tree has an id that is none");
}

static int read_id(
	struct tree_decoding *decoding, struct level *level, const struct wire_field *field)
{
	auto_(free_at_exit) char *text = NULL;
	size_t len;
	int r = wire_bytes(&level->reader, field, OBJECT_ID_TEXT_BYTES - 1, &text, &len);

	if (r == -ENOMEM)
		return r;
	if (r < 0 || !object_id_parse(text, len, &level->id))
		return tree_bad_id(decoding);
	level->has_id = true;
	return 0;
}

static int enter_child(
	struct tree_decoding *decoding, const struct level *parent, const struct wire_field *field)
{
	struct level *level = &decoding->levels[decoding->depth];

	if (field->type != WIRE_BYTES)
		return tree_broken(decoding);
	if (decoding->depth == OBJECT_TREE_DEPTH_MAX)
		return reason_code(decoding->why, -EMSGSIZE,
			"the object tree is deeper than %d objects", OBJECT_TREE_DEPTH_MAX);
	*level = (struct level){.first = decoding->n_pending};
	wire_reader_enter(&level->reader, &parent->reader, field);
	decoding->depth++;
	return 0;
}

/* Keep each child of the object that ends once, at the end of pending. Their number. */
static size_t fold_children(struct tree_decoding *decoding, size_t first)
{
	size_t n = first;

	decoding->n_seen++;
	for (size_t i = first; i < decoding->n_pending; i++) {
		struct object_node *child = &decoding->tree.v[decoding->pending[i]];

		if (child->mark == decoding->n_seen)
			continue;
		child->mark = decoding->n_seen;
		decoding->pending[n++] = decoding->pending[i];
	}
	return n - first;
}

static int add_node(struct tree_decoding *decoding, const struct object_id *id,
	const uint32_t *children, size_t n_children)
{
	struct object_tree *tree = &decoding->tree;
	struct object_node node = {.id = *id, .n_children = (uint32_t)n_children};
	int r;

	if (tree->n == OBJECT_TREE_OBJECTS_MAX)
		return reason_code(decoding->why, -EMSGSIZE,
			"the object tree has more than %d objects", OBJECT_TREE_OBJECTS_MAX);
	if (n_children > OBJECT_CHILDREN_MAX)
		return reason_code(decoding->why, -EMSGSIZE,
			"the object tree has an object with %zu children, more than %d", n_children,
			OBJECT_CHILDREN_MAX);
	r = array_reserve(&tree->v, &decoding->cap, tree->n, 1, sizeof *tree->v);
	if (r < 0)
		return r;
	if (n_children > 0) {
		node.children = reallocarray(NULL, n_children, sizeof *children);
		if (!node.children)
			return -ENOMEM;
		memcpy(node.children, children, n_children * sizeof *children);
	}
	tree->v[tree->n++] = node; /* the tree's, whatever comes now */
	return object_index_add(&tree->index, tree->v, (uint32_t)tree->n - 1);
}

/*
 * Finish an object whose message has ended. An object that was there before must have the same
 * children. Where all have, none is below itself: it would have to be as deep as a part of it.
 */
static int finish_object(struct tree_decoding *decoding, const struct level *level)
{
	const struct object_tree *tree = &decoding->tree;
	char text[OBJECT_ID_TEXT_BYTES];
	size_t n = fold_children(decoding, level->first);
	const uint32_t *children = n ? decoding->pending + level->first : NULL;
	ptrdiff_t at;
	int r;

	if (!level->has_id)
		return tree_bad_id(decoding);
	at = object_index_find(&tree->index, tree->v, &level->id);
	if (at < 0) {
		r = add_node(decoding, &level->id, children, n);
		at = (ptrdiff_t)tree->n - 1;
		if (r < 0)
			return r;
	} else if (tree->v[at].n_children != n ||
		   (n && memcmp(tree->v[at].children, children, n * sizeof *children) != 0)) {
		object_id_format(&level->id, text);
		return reason_code(decoding->why, -EBADMSG,
			"the object tree names different children of object %s", text);
	}
	decoding->n_pending = level->first;
	r = array_reserve(&decoding->pending, &decoding->pending_cap, decoding->n_pending, 1,
		sizeof *decoding->pending);
	if (r < 0)
		return r;
	decoding->pending[decoding->n_pending++] = (uint32_t)at;
	decoding->depth--;
	return 0;
}

/* Read a field, or the end, of the innermost object. */
static int decode_step(struct tree_decoding *decoding)
{
	struct level *level = &decoding->levels[decoding->depth - 1];
	struct wire_field field;
	int r = wire_next(&level->reader, &field);

	if (r < 0)
		return tree_broken(decoding);
	if (r == 0)
		return finish_object(decoding, level);
	if (field.number == NUMBER_OBJECT_TREE_OBJECT_ID)
		return read_id(decoding, level, &field);
	if (field.number == NUMBER_OBJECT_TREE_CHILDREN)
		return enter_child(decoding, level, &field);
	return 0;
}

int object_tree_decode(const struct slices *bytes, struct object_tree *out, struct reason *why)
{
	auto_(decoding_done) struct tree_decoding decoding = {.why = why, .depth = 1};
	int r = 0;

	if (bytes->bytes > OBJECT_TREE_BYTES_MAX)
		return reason_code(why, -EMSGSIZE, "the object tree has %zu bytes, more than %d",
			bytes->bytes, OBJECT_TREE_BYTES_MAX);
	wire_reader_init(&decoding.levels[0].reader, bytes);
	while (r == 0 && decoding.depth > 0)
		r = decode_step(&decoding);
	if (r == 0)
		r = slices_append_refs(&decoding.tree.bytes, bytes);
	if (r < 0)
		return r;
	*out = decoding.tree;
	decoding.tree = (struct object_tree){0};
	return 0;
}

void object_tree_done(struct object_tree *tree)
{
	for (size_t i = 0; i < tree->n; i++)
		free(tree->v[i].children);
	free(tree->v);
	slices_done(&tree->bytes);
	object_index_done(&tree->index);
	*tree = (struct object_tree){0};
}

uint64_t object_tree_bytes_max(const struct object_tree *tree, uint64_t content_bytes)
{
	uint64_t more = content_bytes / 4 + ALLOWANCE_BYTES * (tree->n + 1);

	return content_bytes > UINT64_MAX - more ? UINT64_MAX : content_bytes + more;
}

ptrdiff_t object_tree_find(const struct object_tree *tree, const struct object_id *id)
{
	return object_index_find(&tree->index, tree->v, id);
}

int object_tree_first_child(const struct object_tree *tree, struct slices *out)
{
	return wire_first_bytes(&tree->bytes, NUMBER_OBJECT_TREE_CHILDREN, out);
}

int object_tree_encode(const struct object_id *id, const struct slices *children, size_t n_children,
	struct slices *out)
{
	struct wire_writer writer = {0};
	char text[OBJECT_ID_TEXT_BYTES];

	object_id_format(id, text);
	wire_put_string(&writer, NUMBER_OBJECT_TREE_OBJECT_ID, text);
	for (size_t i = 0; i < n_children; i++)
		wire_put_refs(&writer, NUMBER_OBJECT_TREE_CHILDREN, &children[i]);
	return wire_writer_take(&writer, out);
}
