#include "common/loop/log_watch.h"

#include "common/base/cleanup.h"

#include <stddef.h>
#include <stdlib.h>

struct log_watch {
	struct loop *loop;
	struct log *log;
	struct watch *watch; /* NULL: nothing waits */
};

static void can_write(void *arg, int ready)
{
	struct log_watch *log_watch = arg;

	(void)ready;
	if (log_flush(log_watch->log))
		return;
	watch_free(log_watch->watch);
	log_watch->watch = NULL;
}

static void some_waits(void *arg)
{
	struct log_watch *log_watch = arg;

	if (!log_watch->watch)
		log_watch->watch = watch_new(log_watch->loop, log_descriptor(log_watch->log),
			WATCH_WRITE, can_write, log_watch);
}

struct log_watch *log_watch_new(struct loop *loop, struct log *log)
{
	struct log_watch *log_watch = calloc(1, sizeof *log_watch);

	if (!log_watch)
		return NULL;
	*log_watch = (struct log_watch){.loop = loop, .log = log};
	log_keep(log, LOG_KEEP_BYTES, some_waits, log_watch);
	return log_watch;
}

void log_watch_free(struct log_watch *log_watch)
{
	if (!log_watch)
		return;
	log_keep(log_watch->log, 0, NULL, NULL);
	watch_free(log_watch->watch);
	free(log_watch);
}
