/*
 * A Python script as the other end: it prints lines "name value", and ends with its stdin.
 */
#ifndef FLWR_TEST_HTTP_PEER_H
#define FLWR_TEST_HTTP_PEER_H

#include <stdio.h>
#include <sys/types.h>

struct peer {
	pid_t pid;
	FILE *file;
};

/* With the python that the environment names in variable; skips the test when there is none. */
void peer_start(struct peer *peer, const char *variable, const char *script);
/* The next line must be "name value". */
void peer_read(struct peer *peer, const char *name, char *value, size_t value_bytes);
void peer_stop(struct peer *peer);

#endif
