/*
 * bundle: a FAB's entries one after the other, unpacked by libarchive, which stays inside this
 * file. One thread; knows no file system.
 */
#ifndef FLWR_FAB_BUNDLE_H
#define FLWR_FAB_BUNDLE_H

#include "common/base/text.h"
#include "common/fab/directory.h"

#define BUNDLE_CONTENT   ".info/CONTENT"
#define BUNDLE_PYPROJECT "pyproject.toml"

struct bundle;

/*
 * Open the zip in content (borrowed until bundle_free()) and check its directory
 * (directory_read()). Not positioned: bundle_rewind() comes first. 0, -EBADMSG or -ELIBACC (there
 * is no libarchive) with a sentence, -ENOMEM. The caller owns *out. One thread at a time.
 */
int bundle_open(const struct slices *content, struct bundle **out, struct reason *why);
void bundle_free(struct bundle **bundle);

/* Load libarchive ahead of the first bundle, which says so if that fails. */
void bundle_prepare(void);

/* The directory with all entries; borrowed. */
const struct directory *bundle_directory(const struct bundle *bundle);

/* Go before the first entry. 0 or -ENOMEM, -EBADMSG with a sentence. */
int bundle_rewind(struct bundle *bundle, struct reason *why);

/* Go to the next entry, borrowed. 0; 1 there is none; -EBADMSG with a sentence; -ENOMEM. */
int bundle_next(struct bundle *bundle, const struct directory_entry **out, struct reason *why);

/*
 * The next piece of this entry's bytes, borrowed until the next call. 0; 1 at its end, and all the
 * bytes announced were there and right; -EBADMSG with a sentence, also for more bytes than
 * announced; -ENOMEM.
 */
int bundle_block(struct bundle *bundle, const void **data_out, size_t *len_out, struct reason *why);

/*
 * Append all of the entry of that name to *out; rewinds. 0; -EBADMSG when there is none or it is
 * over max_bytes (before memory is taken) or damaged, with a sentence; -ENOMEM. On failure *out may
 * have some of it.
 */
int bundle_read(struct bundle *bundle, const char *name, uint64_t max_bytes, struct text *out,
	struct reason *why);

#endif
