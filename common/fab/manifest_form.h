/*
 * manifest_form: a manifest as bytes, from the process that reads it out of a bundle to the
 * SuperNode. One thread; pure.
 */
#ifndef FLWR_FAB_MANIFEST_FORM_H
#define FLWR_FAB_MANIFEST_FORM_H

#include "common/base/text.h"
#include "common/fab/fab.h"

/* Bytes of an answer: a manifest's at most, with room for the lengths in between. */
#define MANIFEST_FORM_MAX_BYTES (4U << 20)

/* Append the manifest, or (NULL) the sentence that says why there is none. 0 or -ENOMEM. */
int manifest_form_write(const struct manifest *manifest, const char *refused, struct text *out);

/*
 * Read what was written; the writer is trusted with nothing. 0: *out is the caller's. -EBADMSG with
 * a sentence: the writer's, or that it wrote nothing of this form. -ENOMEM.
 */
int manifest_form_read(const void *bytes, size_t len, struct manifest *out, struct reason *why);

#endif
