/*
 * guest: how much a TCP connection may send whose peer has shown no token. gRPC takes in what comes
 * before it asks anybody, at up to a thousand times its size; so this is looked at as bytes come.
 * Main thread. Knows no server.
 */
#ifndef FLWR_LISTEN_GUEST_H
#define FLWR_LISTEN_GUEST_H

#include <stdbool.h>
#include <stdint.h>

/* At once and a second, of one connection: a content that waits for its admission is 64 KiB. */
#define GUEST_BYTES   (128 << 10)
#define GUEST_BYTES_S (32 << 10)
/* The same of all; when they have spent it, each is held to what questions need. */
#define GUESTS_BYTES      (512 << 10)
#define GUESTS_BYTES_S    (128 << 10)
#define GUEST_SMALL_BYTES (8 << 10)

/* Embedded, zero-initialised: bytes that came, less those that time has allowed. */
struct guest_debt {
	double bytes;
	int64_t at_ms;
};

struct guest {
	struct guest_debt debt;
	uint64_t received; /* on its connection, when it was looked at last */
};

/* The kernel takes in little for fd, so that gRPC, which reads all that is there, does not read
 * megabytes before anybody looks. */
void guest_begin(struct guest *guest, int fd, int64_t now_ms);
/* It is no guest's any more, or has something to bring: the kernel's own limits hold again. */
void guest_welcome(int fd);

/* Has guest sent too much by now? all: what all guests of the address have sent. false for sockets
 * that are not TCP. */
bool guest_sends_too_much(struct guest *guest, struct guest_debt *all, int fd, int64_t now_ms);

/* What came since the last look was asked for. */
void guest_forgive(struct guest *guest, int fd);

/* End the connection of fd, so that nothing more is read of it, also by other descriptors. */
void guest_cut(int fd);

#endif
