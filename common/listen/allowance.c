#include "common/listen/allowance.h"

#include <sys/ioctl.h>
#include <sys/socket.h>

#define SMALL_BUFFER_BYTES (16 << 10)
#define LARGE_BUFFER_BYTES (1 << 20)

void debt_add(struct debt *debt, double more, double allowed_s, int64_t now_ms)
{
	debt->amount -= (double)(now_ms - debt->at_ms) * allowed_s / 1000;
	debt->at_ms = now_ms;
	if (debt->amount < 0)
		debt->amount = 0;
	debt->amount += more;
}

/* How much debt a connection may have now. */
static double debt_max(const struct debt *all)
{
	return all->amount > ALLOWANCE_ALL_BYTES ? ALLOWANCE_SMALL_BYTES : ALLOWANCE_BYTES;
}

void allowance_begin(struct allowance *allowance, int fd, int64_t now_ms)
{
	int bytes = SMALL_BUFFER_BYTES;

	allowance->debt.at_ms = now_ms;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

void allowance_lift(struct allowance *allowance, int fd)
{
	int bytes = LARGE_BUFFER_BYTES, unlocked = 0;

	if (allowance->lifted)
		return;
	allowance->lifted = true;
	/* The second, of Linux 5.14 and later, has the kernel find the size again. */
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
	(void)setsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &unlocked, sizeof unlocked);
}

void allowance_event(struct allowance *allowance, int fd)
{
	int waiting = 0;

	if (ioctl(fd, FIONREAD, &waiting))
		return;
	/* When not more wait than before, the server has read, and these came since; it may also
	 * have read some that were not seen here. */
	if (waiting > allowance->waiting)
		allowance->received += (uint64_t)(waiting - allowance->waiting);
	else
		allowance->received += waiting > 0 ? (uint64_t)waiting : 1;
	allowance->waiting = waiting;
}

bool allowance_owed(const struct allowance *allowance, const struct debt *all, int64_t now_ms)
{
	struct debt own = allowance->debt, others = *all;

	debt_add(&own, 0, ALLOWANCE_BYTES_S, now_ms);
	debt_add(&others, 0, ALLOWANCE_ALL_BYTES_S, now_ms);
	return own.amount > debt_max(&others);
}

bool allowance_exceeded(struct allowance *allowance, struct debt *all, int64_t now_ms)
{
	double more = (double)(allowance->received - allowance->seen);

	allowance->seen = allowance->received;
	debt_add(&allowance->debt, more, ALLOWANCE_BYTES_S, now_ms);
	debt_add(all, more, ALLOWANCE_ALL_BYTES_S, now_ms);
	/* Peers that are held back, not cut off, owe more and more: others need not wait for hours.
	 */
	if (all->amount > 2 * ALLOWANCE_ALL_BYTES)
		all->amount = 2 * ALLOWANCE_ALL_BYTES;
	return allowance_owed(allowance, all, now_ms);
}

void allowance_forgive(struct allowance *allowance)
{
	allowance->seen = allowance->received;
}
