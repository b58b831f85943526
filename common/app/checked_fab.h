/*
 * checked_fab: an app as its checked bundle (FAB) describes it. Any thread; pure: what unpacks and
 * parses bundles is in common/fab.
 */
#ifndef FLWR_APP_CHECKED_FAB_H
#define FLWR_APP_CHECKED_FAB_H

#include "common/base/slice.h"
#include "common/base/value.h"

#define FAB_RECEIVED_MAX_BYTES (64ULL << 20) /* a larger FAB is not taken */

/* An app by its pyproject.toml. Strings are owned, never NULL once read, UTF-8. */
struct manifest {
	char *publisher; /* tool.flwr.app.publisher */
	char *name;      /* project.name */
	char *version;   /* project.version */
	char *clientapp; /* tool.flwr.app.components.clientapp, "package.module:attribute" */
	char *fab_id;    /* publisher "/" name */
	struct value_map config; /* tool.flwr.app.config, flattened with dots */
};

/* Frees what it owns; it is empty afterwards. */
void manifest_done(struct manifest *manifest);

/* A FAB that was checked; empty but for its hash when it was refused. */
struct checked_fab {
	const char *hash; /* the one that was compared; borrowed */
	struct slices content;
	struct manifest manifest;
};

/* Frees content and manifest. */
void checked_fab_done(struct checked_fab *fab);

#endif
