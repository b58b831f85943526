/*
 * Fuzz target: an object's head and an object tree, as any peer of a SuperNode can send them. What
 * was read is written again and read once more: it must stay the same.
 */
#include "common/objects/object_tree.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(bool right)
{
	if (!right)
		abort();
}

static void fuzz_head(const struct slices *content)
{
	struct object_head head, again;
	struct slices body = {0}, made = {0};
	struct object_id id;

	if (object_head_parse(content, &head, NULL) < 0)
		return;
	check(slices_append_range(&body, content, head.body_offset, head.body_bytes) == 0);
	if (object_make(head.type, head.children, head.n_children, &body, &made, &id) == 0) {
		check(object_head_parse(&made, &again, NULL) == 0);
		check(again.n_children == head.n_children && again.body_bytes == head.body_bytes);
		object_head_done(&again);
	}
	object_head_done(&head);
	slices_done(&body);
	slices_done(&made);
}

static void fuzz_tree(const struct slices *bytes)
{
	struct object_tree tree;

	if (object_tree_decode(bytes, &tree, NULL) < 0)
		return;
	for (size_t i = 0; i < tree.n; i++) {
		check(object_tree_find(&tree, &tree.v[i].id) == (ptrdiff_t)i);
		for (uint32_t j = 0; j < tree.v[i].n_children; j++)
			check(tree.v[i].children[j] < i);
	}
	object_tree_done(&tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct slices content = {0};

	/* In two pieces, so that fields lie across the cut. */
	if (slices_append_copy(&content, data, len / 2) == 0 &&
		slices_append_copy(&content, data + len / 2, len - len / 2) == 0) {
		fuzz_head(&content);
		fuzz_tree(&content);
	}
	slices_done(&content);
	return 0;
}
