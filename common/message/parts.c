#include "common/message/parts.h"

#include "common/objects/object_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SMALL_BYTES 256 /* of a piece that is put together with others */

static int append_small(struct slices *out, const struct slices *piece)
{
	int r = 0;

	for (size_t i = 0; i < piece->n && r == 0; i++)
		r = slices_append_small(out, piece->v[i].data, piece->v[i].len);
	return r;
}

int part_take(struct slices *pieces, size_t n, struct slices *out)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = n > 1 && pieces[i].bytes <= SMALL_BYTES ? append_small(out, &pieces[i])
							    : slices_move(out, &pieces[i]);
	return r;
}

int wanted_take(char *const *texts, size_t n, struct object_id **out, size_t *n_out)
{
	struct object_id *wanted;

	*out = NULL;
	*n_out = 0;
	if (n == 0)
		return 0;
	if (n > OBJECT_TREE_OBJECTS_MAX)
		return -EMSGSIZE;
	wanted = reallocarray(NULL, n, sizeof *wanted);
	if (!wanted)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (!object_id_parse(texts[i], strlen(texts[i]), &wanted[i])) {
			free(wanted);
			return -EBADMSG;
		}
	}
	*out = wanted;
	*n_out = n;
	return 0;
}
