/*
 * probe: what listens at the SuperLink's address, found out by one to three questions. Main thread;
 * calls back from the loop. Knows nothing of what is said afterwards.
 */
#ifndef FLWR_LINK_PROBE_H
#define FLWR_LINK_PROBE_H

#include "common/base/reason.h"
#include "common/http/http.h"

#include <stdbool.h>

#define PROBE_MAX_MS 10000 /* the whole of it */

enum probe_result {
	PROBE_GRPC,
	PROBE_HTTP,
	PROBE_ABSENT, /* it cannot be reached now: worth another try */
	PROBE_WRONG,  /* another try is of no use before somebody has acted */
	PROBE_N
};

/* May it be a SuperLink, to which a transport leads? */
static inline bool probe_answers(enum probe_result result)
{
	return result == PROBE_GRPC || result == PROBE_HTTP;
}

/* why names the step that failed and the remedy (ABSENT, WRONG); else it is empty. */
typedef void probe_done_fn(void *arg, enum probe_result result, const struct reason *why);

struct probe;

struct probe_options {
	const char *address; /* host:port */
	const char *ca_pem;  /* with TLS, which has to be right, too; NULL: plain text */
	probe_done_fn *done;
	void *arg;
};

/*
 * Ask what listens at an address. Everything is copied. done comes once, later, unless this fails:
 * 0; -EINVAL (address); -ENOMEM; -EIO. *out is valid until done.
 */
int probe_start(struct http *http, const struct probe_options *options, struct probe **out);

/* done does not come any more. NULL is fine. */
void probe_cancel(struct probe *probe);

#endif
