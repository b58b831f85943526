/*
 * manifest: an app's pyproject.toml, as struct manifest of fab.h. One thread; pure.
 */
#ifndef FLWR_FAB_MANIFEST_H
#define FLWR_FAB_MANIFEST_H

#include "common/fab/bundle.h"
#include "common/fab/fab.h"

/* Parse len bytes of TOML. 0; -EBADMSG with a sentence that names the key; -ENOMEM. The caller owns
 * *out. */
int manifest_parse(const char *text, size_t len, struct manifest *out, struct reason *why);

/* Read it out of a bundle, at most FAB_PYPROJECT_MAX_BYTES. As above; rewinds the bundle. */
int manifest_read(struct bundle *bundle, struct manifest *out, struct reason *why);

/* Check that publisher, name and version can be part of a directory's name, and that fab_id is
 * theirs. 0; -EBADMSG with a sentence. */
int manifest_check_names(const struct manifest *manifest, struct reason *why);

/* The name of the app's directory: "publisher.name.version." and so many digits of hash.
 * malloc()ed; NULL on no memory. */
char *manifest_directory(const struct manifest *manifest, const char *hash, int digits);

#endif
