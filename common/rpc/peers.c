/*
 * peers: a table by descriptor number, in which a number rests for a while before it means another
 * connection.
 */
#include "common/rpc/internal/peers.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/number.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* A number rests far longer than a finished tag takes through the queue's thread to the main
 * thread. */
#define PEERS_REST_MS 1000

static int peers_grow(struct peers *peers, size_t n)
{
	struct peer_slot *v;
	size_t cap = peers->n ? peers->n : 64;

	while (cap < n)
		cap *= 2;
	if (cap == peers->n)
		return 0;
	v = reallocarray(peers->v, cap, sizeof *v);
	if (!v)
		return -ENOMEM;
	memset(v + peers->n, 0, (cap - peers->n) * sizeof *v);
	peers->v = v;
	peers->n = cap;
	return 0;
}

static bool number_free(const struct peers *peers, size_t number, int64_t now_ms)
{
	if (number >= peers->n)
		return true;
	return !peers->v[number].peer && peers->v[number].free_at_ms <= now_ms;
}

/* The lowest number, from on, from which on all are free. */
static size_t first_above(const struct peers *peers, size_t from, int64_t now_ms)
{
	size_t number = from > peers->n ? from : peers->n;

	while (number > from && number_free(peers, number - 1, now_ms))
		number--;
	return number;
}

/*
 * Move *fd to a number that nobody's calls name. The table tells the first one; when other
 * descriptors of the program have taken that, there is one above all that rest: two system calls at
 * most, however many rest.
 */
static int renumber(const struct peers *peers, int *fd, int64_t now_ms)
{
	auto_(close_at_exit) int other = -1;
	size_t number = (size_t)*fd;

	if (number_free(peers, number, now_ms))
		return 0;
	while (!number_free(peers, number, now_ms))
		number++;
	other = fcntl(*fd, F_DUPFD_CLOEXEC, (int)number);
	if (other >= 0 && !number_free(peers, (size_t)other, now_ms)) {
		close_fd(&other);
		other = fcntl(*fd, F_DUPFD_CLOEXEC, (int)first_above(peers, number, now_ms));
	}
	if (other < 0)
		/* fcntl() says EINVAL of a number above the limit. */
		return -EMFILE;
	close(*fd);
	*fd = take_fd(&other);
	return 0;
}

int peers_add(struct peers *peers, int *fd, const struct peer *peer, int64_t now_ms)
{
	int r = renumber(peers, fd, now_ms);

	if (r == 0)
		r = peers_grow(peers, (size_t)*fd + 1);
	if (r == 0)
		peers->v[*fd].peer = peer;
	return r;
}

const struct peer *peers_find(const struct peers *peers, const char *text)
{
	uint64_t fd;

	if (strncmp(text, "fd:", 3) != 0 || number_u64(text + 3, &fd) < 0 || fd >= peers->n)
		return NULL;
	return peers->v[fd].peer;
}

void peers_gone(struct peers *peers, const struct peer *peer, int64_t now_ms)
{
	for (size_t i = 0; i < peers->n; i++) {
		if (peers->v[i].peer == peer)
			peers->v[i] = (struct peer_slot){
				.free_at_ms = clock_after(now_ms, PEERS_REST_MS)};
	}
}

void peers_done(struct peers *peers)
{
	free(peers->v);
	*peers = (struct peers){0};
}
