/*
 * Fuzz target: an object's head and an object tree, as any peer of a SuperNode can send them. What
 * was read is written again and read once more: it must stay the same.
 */
#include "fuzz.h"

#include "common/objects/object_tree.h"

FUZZ_MEMORY(512, 32);

static void fuzz_head(const struct slices *content)
{
	auto_(slices_done) struct slices body = {0}, made = {0};
	struct object_head head, again;
	struct object_id id;

	if (object_head_parse(content, &head, NULL) < 0)
		return;
	CHECK(slices_append_range(&body, content, head.body_offset, head.body_bytes) == 0);
	CHECK(object_make(&(struct object_parts){head.type, head.children, head.n_children, &body},
		      &made, &id) == 0);
	CHECK(object_head_parse(&made, &again, NULL) == 0);
	CHECK(again.n_children == head.n_children && again.body_bytes == head.body_bytes);
	object_head_done(&again);
	object_head_done(&head);
}

/* Children come first: a reader that follows the order needs no recursion. */
static void fuzz_tree(const struct slices *bytes)
{
	struct object_tree tree;

	if (object_tree_decode(bytes, &tree, NULL) < 0)
		return;
	CHECK(tree.n > 0 && tree.n <= OBJECT_TREE_OBJECTS_MAX);
	for (size_t i = 0; i < tree.n; i++) {
		CHECK(object_tree_find(&tree, &tree.v[i].id) == (ptrdiff_t)i);
		for (uint32_t j = 0; j < tree.v[i].n_children; j++)
			CHECK(tree.v[i].children[j] < i);
	}
	object_tree_done(&tree);
}

void fuzz(const uint8_t *data, size_t len)
{
	auto_(slices_done) struct slices content = fuzz_cut(data, len, len / 2);

	fuzz_head(&content);
	fuzz_tree(&content);
}
