/*
 * bundle: verifies a FAB that came from the SuperLink and reads its manifest, on the io thread.
 * Called from the main thread.
 */
#ifndef FLWR_SUPERVISOR_BUNDLE_H
#define FLWR_SUPERVISOR_BUNDLE_H

#include "common/fab/fab.h"
#include "common/fab/trusted.h"
#include "common/loop/loop.h"

/*
 * refused is NULL, and content and manifest may be taken over; or it is the sentence that says why
 * the FAB is of no use.
 */
typedef void bundle_fn(void *arg, uint64_t run_id, struct slices *content,
	struct manifest *manifest, const char *refused);

/*
 * Check content (taken over, empty afterwards, on failure too) against hash, for run_id, and that
 * one of the trusted (borrowed; NULL: no signature is needed) has signed it, as verifications
 * (taken over) say; done is called later, once, unless this fails. 0; -errno.
 */
int bundle_check(struct loop *loop, const struct trusted *trusted, uint64_t run_id,
	const char *hash, struct slices *content, struct value_map *verifications, bundle_fn *done,
	void *arg);

#endif
