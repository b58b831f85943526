#include "common/base/progress.h"

#include "common/base/clock.h"

#define MIB (1024.0 * 1024.0)

void progress_begin(struct progress *progress, const char *what, uint64_t send_bytes)
{
	*progress = (struct progress){.what = what, .total = send_bytes};
}

static void say(const struct progress *progress, struct log *log, uint64_t bytes, double rate)
{
	double share = (double)bytes / (double)(progress->total ? progress->total : 1);

	if (progress->total < PROGRESS_BYTES)
		log_progress(log, "receiving %s: %.1f MiB so far, %.1f MiB/s", progress->what,
			(double)bytes / MIB, rate / MIB);
	else
		log_progress(log, "sending %s: %.1f of %.1f MiB, %.0f %%, %.1f MiB/s",
			progress->what, (double)bytes / MIB, (double)progress->total / MIB,
			100 * (share < 1 ? share : 1), rate / MIB);
}

void progress_count(struct progress *progress, struct log *log, uint64_t sent, uint64_t received)
{
	int64_t gap_ms = log_on_terminal(log) ? PROGRESS_TICK_MS : PROGRESS_LINE_MS;
	int64_t now_ms = clock_now_ms();
	uint64_t count = progress->total < PROGRESS_BYTES ? received : sent;
	uint64_t moved;

	if (!progress->based || count < progress->base) {
		progress->based = true;
		progress->base = progress->said = count;
		progress->said_ms = now_ms;
		return;
	}
	moved = count - progress->said;
	if (now_ms - progress->said_ms < gap_ms || count - progress->base < PROGRESS_BYTES)
		return;
	say(progress, log, count - progress->base,
		(double)moved * 1000 / (double)(now_ms - progress->said_ms));
	progress->said = count;
	progress->said_ms = now_ms;
}
