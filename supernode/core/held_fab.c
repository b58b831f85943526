/*
 * held_fab: FABs as workers get them, once for all runs that name the same hash.
 */
#include "supernode/core/node_internal.h"

#include "common/base/cleanup.h"

#include <errno.h>
#include <string.h>

static void held_fab_free(struct node *node, struct held_fab *fab)
{
	slices_done(&fab->bytes);
	node_release(node, &fab->reserved);
	manifest_done(&fab->manifest);
	free(fab->hash);
	free(fab);
}

struct held_fab *held_fab_ref(const struct node *node, const char *hash)
{
	for (struct held_fab *fab = node->fabs; fab; fab = fab->next) {
		if (strcmp(fab->hash, hash) == 0) {
			fab->refs++;
			return fab;
		}
	}
	return NULL;
}

int held_fab_new(
	struct node *node, struct checked_fab *checked, struct held_fab **out, struct reason *why)
{
	struct held_fab *fab;
	int r = node_reserve(node, checked->content.bytes, "the FAB", why);

	if (r < 0)
		return r;
	fab = calloc(1, sizeof *fab);
	if (!fab) {
		budget_release(node->budget, checked->content.bytes);
		return reason_code(why, -ENOMEM, "the SuperNode has no memory for the FAB");
	}
	fab->refs = 1;
	fab->reserved = checked->content.bytes;
	fab->hash = strdup(checked->hash);
	if (!fab->hash || fab_encode(checked->hash, &checked->content, &fab->bytes) < 0) {
		held_fab_free(node, fab);
		return reason_code(why, -ENOMEM, "the SuperNode has no memory for the FAB");
	}
	slices_done(&checked->content);
	fab->manifest = checked->manifest;
	checked->manifest = (struct manifest){0};
	fab->next = node->fabs;
	node->fabs = fab;
	*out = fab;
	return 0;
}

void held_fab_unref(struct node *node, struct held_fab *fab)
{
	if (!fab || --fab->refs > 0)
		return;
	for (struct held_fab **at = &node->fabs; *at; at = &(*at)->next) {
		if (*at == fab) {
			*at = fab->next;
			break;
		}
	}
	held_fab_free(node, fab);
}
