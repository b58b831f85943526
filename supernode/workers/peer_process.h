/*
 * peer_process: which process on this machine is at the other end of a connection. Any thread;
 * reads /proc, which takes some milliseconds.
 */
#ifndef FLWR_WORKERS_PEER_PROCESS_H
#define FLWR_WORKERS_PEER_PROCESS_H

/*
 * A pidfd of the process that holds the other end of the connected socket fd (unix, or TCP over
 * loopback); the caller's. said: what it says of itself, with a mark (process_mark.h) or without;
 * believed for a connection over loopback. -ESRCH: none that can be seen from here: another
 * machine, another container, another user's.
 */
int peer_process_open(int fd, const char *said);

#endif
