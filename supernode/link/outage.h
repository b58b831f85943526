/*
 * outage: log lines about a SuperLink that does not answer: few, however many callers try. Main
 * thread. Knows no transport.
 */
#ifndef FLWR_LINK_OUTAGE_H
#define FLWR_LINK_OUTAGE_H

#include "supernode/link/link.h"

struct outage {
	uint64_t number;   /* of this outage, or of the next one */
	unsigned failing;  /* callers whose last try failed */
	unsigned failures; /* not yet mentioned in a line */
	int64_t since_ms;
	int64_t line_ms; /* of the last warning */
	bool said;       /* a warning was written about this outage */
};

/* The tries of one caller, embedded: of a call, or of joining as a whole. */
struct tries {
	struct retry retry;
	int64_t started_ms; /* of the last try */
	uint64_t outage;    /* number of the outage in which it failed */
};

void outage_init(struct outage *outage);

void tries_init(struct tries *tries);
/* A try of method begins. */
void tries_begin(struct tries *tries, int64_t now_ms);
/*
 * The try failed. The time of the next one, which the log tells; CLOCK_NEVER: the tries are used
 * up. endless: they never are, and the time is counted from the beginning of the try, because a
 * time-out has waited long enough already.
 */
int64_t tries_failed(struct link *link, struct tries *tries, bool endless, const char *method,
	const struct transport_result *result);
/* The SuperLink answered: the next failure is the first one. */
void tries_worked(struct link *link, struct tries *tries);
/* The caller does not try any more. */
void tries_left(struct link *link, struct tries *tries);

/* Over for all callers; answered: the SuperLink speaks again, which is worth a line. */
void outage_end(struct link *link, bool answered);

#endif
