#include "supernode/listen/guest.h"

#include "common/rpc/traffic.h"

#include <sys/socket.h>

#define GUEST_BUFFER_BYTES (16 << 10)
#define HOST_BUFFER_BYTES  (1 << 20)

void guest_begin(struct guest *guest, int fd, int64_t now_ms)
{
	int bytes = GUEST_BUFFER_BYTES;

	guest->debt.at_ms = now_ms;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

void guest_welcome(int fd)
{
	int bytes = HOST_BUFFER_BYTES, unlocked = 0;

	/* The second, of Linux 5.14 and later, has the kernel find the size again. */
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
	(void)setsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &unlocked, sizeof unlocked);
}

static void debt_add(struct guest_debt *debt, double bytes, double bytes_s, int64_t now_ms)
{
	debt->bytes -= (double)(now_ms - debt->at_ms) * bytes_s / 1000;
	debt->at_ms = now_ms;
	if (debt->bytes < 0)
		debt->bytes = 0;
	debt->bytes += bytes;
}

bool guest_sends_too_much(struct guest *guest, struct guest_debt *all, int fd, int64_t now_ms)
{
	struct traffic traffic;
	double more;

	if (!traffic_of(fd, &traffic))
		return false;
	more = (double)(traffic.received - guest->received);
	guest->received = traffic.received;
	debt_add(&guest->debt, more, GUEST_BYTES_S, now_ms);
	debt_add(all, more, GUESTS_BYTES_S, now_ms);
	return guest->debt.bytes > GUEST_BYTES ||
	       (all->bytes > GUESTS_BYTES && guest->debt.bytes > GUEST_SMALL_BYTES);
}

void guest_forgive(struct guest *guest, int fd)
{
	struct traffic traffic;

	if (traffic_of(fd, &traffic))
		guest->received = traffic.received;
}

void guest_cut(int fd)
{
	struct sockaddr nobody = {.sa_family = AF_UNSPEC};

	/* Of TCP this drops what is waiting to be read, which shutdown() does not. */
	if (connect(fd, &nobody, sizeof nobody))
		shutdown(fd, SHUT_RDWR);
}
