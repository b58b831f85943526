#include "common/app/checked_fab.h"

#include <stdlib.h>

void manifest_done(struct manifest *manifest)
{
	free(manifest->publisher);
	free(manifest->name);
	free(manifest->version);
	free(manifest->clientapp);
	free(manifest->fab_id);
	value_map_done(&manifest->config);
	*manifest = (struct manifest){0};
}

void checked_fab_done(struct checked_fab *fab)
{
	slices_done(&fab->content);
	manifest_done(&fab->manifest);
}
