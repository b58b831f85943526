/*
 * log: a log whose lines a test can read. Main thread. A log that cannot be made or read fails the
 * test.
 */
#ifndef FLWR_KIT_LOG_H
#define FLWR_KIT_LOG_H

#include "common/base/log.h"
#include "kit/test.h"

struct kit_log {
	struct log *log;
	int fd;
	char *text; /* what kit_log_text() returned last */
	size_t room;
};

/* name as for log_new(). */
void kit_log_init(struct kit_log *log, const char *name, enum log_level level);
void kit_log_done(struct kit_log *log);

/* Everything that was written since kit_log_init() or kit_log_clear(). Borrowed; the same
 * place until more was written and looked at. */
const char *kit_log_text(struct kit_log *log);

/* How often text is in it. */
unsigned kit_log_count(struct kit_log *log, const char *text);

/* Forget what was written. */
void kit_log_clear(struct kit_log *log);

/* Assert that exactly text was written, and forget it. */
void kit_log_expect(struct kit_log *log, const char *text);

#endif
