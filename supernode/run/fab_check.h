/*
 * fab_check: verifies FABs that came from the SuperLink, and has their manifests read. Size, hash
 * and signature are compared here, on the io thread; no parser of a bundle runs in this process: a
 * child that may crash (flwr-read-manifest) reads the manifest. Main thread.
 */
#ifndef FLWR_RUN_FAB_CHECK_H
#define FLWR_RUN_FAB_CHECK_H

#include "common/base/log.h"
#include "common/fab/fab.h"
#include "common/fab/trusted.h"
#include "common/launch/process.h"
#include "common/loop/loop.h"

struct fab_checks;

struct fab_checks_options {
	struct process_set *processes; /* borrowed: for the children */
	const struct trusted *trusted; /* borrowed; NULL: no signature is needed */
	const char *reader_path;       /* of flwr-read-manifest */
};

/*
 * The end of a check. refused is NULL, and the parts of fab may be taken over; or it is the
 * sentence that says why the FAB is of no use.
 */
typedef void fab_check_fn(void *arg, uint64_t run_id, struct checked_fab *fab, const char *refused);

/* Strings are copied. 0 or -ENOMEM. */
int fab_checks_new(struct loop *loop, struct log *log, const struct fab_checks_options *options,
	struct fab_checks **out);

/* A FAB as it came. */
struct unchecked_fab {
	const char *hash; /* that it should have; borrowed */
	struct slices content;
	struct value_map verifications; /* who says to have signed it */
};

/*
 * Check the FAB of run_id (content and verifications are taken over, empty afterwards, content on
 * failure too) against its hash, and that one of the trusted has signed it; done is called later,
 * once, unless this fails. 0; -errno.
 */
int fab_checks_start(struct fab_checks *checks, uint64_t run_id, struct unchecked_fab *fab,
	fab_check_fn *done, void *arg);

/* End the checks under way as soon as can be; done() comes for each. */
void fab_checks_stop(struct fab_checks *checks);

/* Checks under way: what they borrow must live so long. */
unsigned fab_checks_count(const struct fab_checks *checks);

/* Do what fab_checks_stop() does, and run the loop until no check is left. NULL is fine. */
void fab_checks_free(struct fab_checks *checks);

#endif
