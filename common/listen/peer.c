#include "common/listen/peer.h"

#include "common/listen/address.h"

#include <stdio.h>

void peer_describe(int fd, const struct sockaddr_storage *address, struct peer *peer)
{
	struct ucred credentials = {0};
	socklen_t len = sizeof credentials;

	if (address->ss_family != AF_UNIX) {
		address_text(address, peer->text, sizeof peer->text);
		return;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &len) == 0) {
		peer->pid = credentials.pid;
		peer->uid = credentials.uid;
	}
	/* In another container's namespace it has no number here: 0. */
	snprintf(peer->text, sizeof peer->text, "pid %d, uid %u", (int)peer->pid,
		(unsigned)peer->uid);
}
