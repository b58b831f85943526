#include "supernode/listen/allowance.h"

#include "common/rpc/traffic.h"

#include <sys/socket.h>

#define SMALL_BUFFER_BYTES (16 << 10)
#define LARGE_BUFFER_BYTES (1 << 20)

void allowance_begin(struct allowance *allowance, int fd, int64_t now_ms)
{
	int bytes = SMALL_BUFFER_BYTES;

	allowance->debt.at_ms = now_ms;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

void allowance_lift(int fd)
{
	int bytes = LARGE_BUFFER_BYTES, unlocked = 0;

	/* The second, of Linux 5.14 and later, has the kernel find the size again. */
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
	(void)setsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &unlocked, sizeof unlocked);
}

static void debt_add(struct debt *debt, double bytes, double bytes_s, int64_t now_ms)
{
	debt->bytes -= (double)(now_ms - debt->at_ms) * bytes_s / 1000;
	debt->at_ms = now_ms;
	if (debt->bytes < 0)
		debt->bytes = 0;
	debt->bytes += bytes;
}

bool allowance_exceeded(struct allowance *allowance, struct debt *all, int fd, int64_t now_ms)
{
	struct traffic traffic;
	double more;

	if (!traffic_of(fd, &traffic))
		return false;
	more = (double)(traffic.received - allowance->received);
	allowance->received = traffic.received;
	debt_add(&allowance->debt, more, ALLOWANCE_BYTES_S, now_ms);
	debt_add(all, more, ALLOWANCE_ALL_BYTES_S, now_ms);
	return allowance->debt.bytes > ALLOWANCE_BYTES ||
	       (all->bytes > ALLOWANCE_ALL_BYTES && allowance->debt.bytes > ALLOWANCE_SMALL_BYTES);
}

void allowance_forgive(struct allowance *allowance, int fd)
{
	struct traffic traffic;

	if (traffic_of(fd, &traffic))
		allowance->received = traffic.received;
}
