#include "common/listen/share.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define FAMILY_SHIFT 60
#define HASH         0x9e3779b97f4a7c15ull
#define HASH_SHIFT   56

/* No address of IPv6 that is given out begins with these four bits. */
enum { PLACE_V4 = 1, PLACE_USER = 4 };

static uint64_t place_of(const struct sockaddr_storage *address, uid_t user)
{
	const struct sockaddr_in6 *v6 = (const void *)address;
	const struct sockaddr_in *v4 = (const void *)address;
	uint64_t place = 0;
	uint32_t mapped;

	if (address->ss_family == AF_INET)
		return (uint64_t)PLACE_V4 << FAMILY_SHIFT | v4->sin_addr.s_addr;
	if (address->ss_family != AF_INET6)
		return (uint64_t)PLACE_USER << FAMILY_SHIFT | user;
	if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
		memcpy(&mapped, v6->sin6_addr.s6_addr + 12, sizeof mapped);
		return (uint64_t)PLACE_V4 << FAMILY_SHIFT | mapped;
	}
	for (int i = 0; i < 8; i++)
		place = place << 8 | v6->sin6_addr.s6_addr[i];
	return place;
}

struct share *share_take(struct shares *shares, const struct sockaddr_storage *address, uid_t user)
{
	const uint64_t place = place_of(address, user);
	const uint64_t bucket = place * HASH >> HASH_SHIFT;
	struct share *share;

	LIST_FOREACH(share, &shares->buckets[bucket], link)
	if (share->place == place)
		break;
	if (!share) {
		share = calloc(1, sizeof *share);
		if (!share)
			return NULL;
		share->place = place;
		LIST_INSERT_HEAD(&shares->buckets[bucket], share, link);
	}
	share->connections++;
	return share;
}

void share_drop(struct share *share)
{
	if (!share || --share->connections > 0)
		return;
	LIST_REMOVE(share, link);
	free(share);
}

unsigned shares_most(const struct shares *shares)
{
	unsigned most = 0;
	const struct share *share;

	for (size_t i = 0; i < SHARE_BUCKETS; i++)
		LIST_FOREACH(share, &shares->buckets[i], link)
	if (share->connections > most)
		most = share->connections;
	return most;
}
