/*
 * manifest: what a pyproject.toml says of an app (struct manifest of fab.h). One thread; pure.
 */
#ifndef FLWR_FAB_MANIFEST_H
#define FLWR_FAB_MANIFEST_H

#include "common/fab/bundle.h"
#include "common/fab/fab.h"

/* Digits of a FAB's hash in the name of its directory. */
#define MANIFEST_HASH_DIGITS 8

/* Parse len bytes of TOML. 0; -EBADMSG with a sentence that names the key; -ENOMEM. The caller owns
 * *out. */
int manifest_parse(const char *text, size_t len, struct manifest *out, struct reason *why);

/* Read it out of a bundle, at most FAB_PYPROJECT_MAX_BYTES. As above; rewinds the bundle. */
int manifest_read(struct bundle *bundle, struct manifest *out, struct reason *why);

/* The name of the app's directory: "publisher.name.version.hash8". malloc()ed; NULL on no memory.
 */
char *manifest_directory(const struct manifest *manifest, const char *hash);

#endif
