#include "supernode/core/object_set.h"

#include <assert.h>

struct object_set *object_set_ref(struct object_set *set)
{
	assert(set->refs > 0);
	set->refs++;
	return set;
}

void object_set_unref(struct object_set *set)
{
	if (!set)
		return;
	assert(set->refs > 0);
	if (--set->refs == 0)
		set->unused(set);
}

const struct object_tree *object_set_tree(const struct object_set *set)
{
	return &set->tree;
}

size_t object_set_missing(const struct object_set *set)
{
	return set->missing;
}
