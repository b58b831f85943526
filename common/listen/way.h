/*
 * way: one direction of a relay: bytes that one socket has sent and the other one does not take
 * yet, or may not. Main thread. Knows no protocol.
 */
#ifndef FLWR_LISTEN_WAY_H
#define FLWR_LISTEN_WAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Zero-initialised: no bytes wait. */
struct way {
	uint8_t *v; /* NULL: none wait */
	size_t at, n;
	size_t passed; /* up to here, by the guard */
};

/* Nothing waits any more. */
void way_clear(struct way *way);

/* Keep the rest of n bytes, those that wait or others when none do: sent of them were sent, passed
 * may be. 0 or -ENOMEM. */
int way_keep(struct way *way, const uint8_t *bytes, size_t n, size_t sent, size_t passed);

/* Send bytes without blocking: so many of the n have gone; -errno: the other side is gone. */
ssize_t way_send(int fd, const uint8_t *bytes, size_t n);

/* Has the other side of fd ended, or half of it? */
bool way_has_hung_up(int fd);
/* Is it known that the whole has ended? Of TCP a reset tells, or both ends. */
bool way_is_gone(int fd);

#endif
