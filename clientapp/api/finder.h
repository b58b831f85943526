/*
 * finder: the carrier to a SuperNode whose release nobody has told. It is gRPC, unless the
 * SuperNode speaks HTTP only: when gRPC finds nobody, and GET /health an answer in HTTP/1.1, gRPC
 * is tried once more, on a new connection, since the SuperNode may have started in between and
 * speak both. Main thread.
 */
#ifndef FLWR_API_FINDER_H
#define FLWR_API_FINDER_H

#include "clientapp/api/carrier.h"

struct finder;

/* Another carrier than before is there: make the call again, at once. found false: nobody answers
 * in another way; try again later. */
typedef void finder_looked_fn(void *arg, bool found);

/* options are those of its carriers, but for kind; address is copied, the rest borrowed. http NULL,
 * or a unix socket: gRPC only. 0, -EINVAL (address), -ENOMEM. */
int finder_new(const struct carrier_options *options, finder_looked_fn *looked, void *arg,
	struct finder **out);

/* The one to call by now; borrowed until finder_look(). */
struct carrier *finder_carrier(const struct finder *finder);
enum carrier_kind finder_kind(const struct finder *finder);

/*
 * A call by the carrier has ended with OUTCOME_UNAVAILABLE: look who is there. looked() comes, from
 * inside or later. Calls that are out may end with OUTCOME_CANCELLED. Not while it looks.
 */
void finder_look(struct finder *finder);

/* A call was answered: whoever is there speaks what the carrier does. A look that is out ends, and
 * looked() does not come. */
void finder_settle(struct finder *finder);

/* No callback comes afterwards. NULL is fine. */
void finder_free(struct finder *finder);

#endif
