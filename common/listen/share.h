/*
 * share: what the connections of one address have of a door: who has most loses first where there
 * is not enough for all. An address of IPv6 is its /64, which one machine may have; at a unix
 * socket it is the user. Main thread. Knows no connection.
 */
#ifndef FLWR_LISTEN_SHARE_H
#define FLWR_LISTEN_SHARE_H

#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/types.h>

#define SHARE_BUCKETS 256

/* Others count in it. */
struct share {
	LIST_ENTRY(share) link;
	uint64_t place;       /* the address, with its family */
	unsigned connections; /* open */
	unsigned handshakes;  /* of TLS, that have not ended */
	double weight;        /* for one comparison: what is compared, summed up */
};

/* Zero-initialised: there is none. */
struct shares {
	LIST_HEAD(, share) buckets[SHARE_BUCKETS];
};

/* The share of a connection that has come from address, by user at a unix socket. NULL on no
 * memory. It is there until all that have taken it have dropped it. */
struct share *share_take(struct shares *shares, const struct sockaddr_storage *address, uid_t user);
void share_drop(struct share *share); /* NULL is fine */

/* The connections of the address that has most. */
unsigned shares_most(const struct shares *shares);

#endif
