/*
 * peer: who has connected. Knows no connection.
 */
#ifndef FLWR_LISTEN_PEER_H
#define FLWR_LISTEN_PEER_H

#include "common/service/service.h"

#include <sys/socket.h>

/* Put into *peer what is known of the other end of fd, which was accepted from address: its words
 * for log lines; of a unix socket the process and its user. */
void peer_describe(int fd, const struct sockaddr_storage *address, struct peer *peer);

#endif
