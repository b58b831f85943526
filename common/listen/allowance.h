/*
 * allowance: how much a connection may send for which nobody vouches. gRPC takes in what comes
 * before it asks anybody, at up to a thousand times its size; so this is looked at as bytes come.
 * Main thread. Knows no server.
 */
#ifndef FLWR_LISTEN_ALLOWANCE_H
#define FLWR_LISTEN_ALLOWANCE_H

#include <stdbool.h>
#include <stdint.h>

/* At once and a second, of one connection: a content that waits for its admission is 64 KiB. */
#define ALLOWANCE_BYTES   (128 << 10)
#define ALLOWANCE_BYTES_S (32 << 10)
/* The same of all; when they have spent it, each is held to what questions need. */
#define ALLOWANCE_ALL_BYTES   (512 << 10)
#define ALLOWANCE_ALL_BYTES_S (128 << 10)
#define ALLOWANCE_SMALL_BYTES (8 << 10)

/* Embedded, zero-initialised: bytes, or calls, less those that time has allowed. */
struct debt {
	double amount;
	int64_t at_ms;
};

/* Embedded, zero-initialised: of one connection. */
struct allowance {
	struct debt debt;
	uint64_t received; /* bytes; their owner counts them, or allowance_event() */
	uint64_t seen;     /* of these, at the last look */
	int waiting;       /* in the socket, at the last event */
	bool lifted;
};

/* The debt less what time has allowed, and more. */
void debt_add(struct debt *debt, double more, double allowed_s, int64_t now_ms);

/* fd was just accepted. The kernel takes in little for it, so that gRPC, which reads all that is
 * there, does not read megabytes before anybody looks. */
void allowance_begin(struct allowance *allowance, int fd, int64_t now_ms);
/* Somebody vouches for fd, or it has something to bring: the kernel's own limits hold again. */
void allowance_lift(struct allowance *allowance, int fd);

/* Bytes came on fd, which somebody else reads: received becomes an estimate from what waits in it
 * each time that some come. */
void allowance_event(struct allowance *allowance, int fd);

/* Was more received than is allowed by now? all: what all such connections of the address have
 * sent. */
bool allowance_exceeded(struct allowance *allowance, struct debt *all, int64_t now_ms);

/* Is more owed still, at now_ms, than is allowed? */
bool allowance_owed(const struct allowance *allowance, const struct debt *all, int64_t now_ms);

/* Bytes that came since the last look were asked for. */
void allowance_forgive(struct allowance *allowance);

#endif
