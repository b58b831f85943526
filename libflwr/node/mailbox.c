#include "libflwr/node/mailbox.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "libflwr/node/task.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

int mailbox_init(struct mailbox *mailbox)
{
	*mailbox = (struct mailbox){.fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK)};
	if (mailbox->fd < 0)
		return -errno;
	pthread_mutex_init(&mailbox->lock, NULL);
	pthread_cond_init(&mailbox->changed, NULL);
	mailbox->last_line = &mailbox->mail.lines;
	return 0;
}

void mailbox_done(struct mailbox *mailbox)
{
	close_fd(&mailbox->fd);
	pthread_cond_destroy(&mailbox->changed);
	pthread_mutex_destroy(&mailbox->lock);
}

void mailbox_wake(const struct mailbox *mailbox)
{
	const uint64_t one = 1;

	/* A counter that is full is readable, too. */
	while (write(mailbox->fd, &one, sizeof one) < 0 && errno == EINTR) {
	}
}

static void unlock_changed(struct mailbox *mailbox)
{
	pthread_cond_signal(&mailbox->changed);
	pthread_mutex_unlock(&mailbox->lock);
	mailbox_wake(mailbox);
}

void mailbox_line(struct mailbox *mailbox, int level, const char *text)
{
	const size_t size = strlen(text) + 1;
	struct mail_line *line = malloc(sizeof *line + size);

	pthread_mutex_lock(&mailbox->lock);
	if (line && mailbox->lines < MAILBOX_LINES && !mailbox->mail.dropped) {
		*line = (struct mail_line){.level = level, .time_s = clock_wall_s()};
		memcpy(line->text, text, size);
		*mailbox->last_line = line;
		mailbox->last_line = &line->next;
		mailbox->lines++;
		line = NULL;
	} else {
		mailbox->mail.dropped++;
	}
	unlock_changed(mailbox);
	free(line);
}

void mailbox_task(struct mailbox *mailbox, struct task *task)
{
	pthread_mutex_lock(&mailbox->lock);
	assert(!mailbox->mail.task);
	mailbox->mail.task = task;
	unlock_changed(mailbox);
}

struct task *mailbox_take_task(struct mailbox *mailbox)
{
	struct task *task;

	pthread_mutex_lock(&mailbox->lock);
	task = take_pointer(&mailbox->mail.task);
	pthread_mutex_unlock(&mailbox->lock);
	return task;
}

void mailbox_over(struct mailbox *mailbox, struct task_part *part)
{
	pthread_mutex_lock(&mailbox->lock);
	part->next = mailbox->mail.over;
	mailbox->mail.over = part;
	/* The mailbox may be gone as soon as the lock is: its owner waits for this part. */
	pthread_cond_signal(&mailbox->changed);
	mailbox_wake(mailbox);
	pthread_mutex_unlock(&mailbox->lock);
}

void mailbox_end(struct mailbox *mailbox, int result, const char *sentence)
{
	pthread_mutex_lock(&mailbox->lock);
	mailbox->mail.ended = true;
	mailbox->mail.result = result;
	reason_set(&mailbox->mail.sentence, "%s", sentence);
	unlock_changed(mailbox);
}

void mailbox_gone(struct mailbox *mailbox)
{
	pthread_mutex_lock(&mailbox->lock);
	mailbox->gone = true;
	pthread_cond_signal(&mailbox->changed);
	pthread_mutex_unlock(&mailbox->lock);
}

void mailbox_count_task(struct mailbox *mailbox, int difference)
{
	pthread_mutex_lock(&mailbox->lock);
	mailbox->tasks += (unsigned)difference;
	pthread_mutex_unlock(&mailbox->lock);
}

static struct mail_line *take_lines(struct mailbox *mailbox, unsigned *dropped_out)
{
	struct mail_line *lines = mailbox->mail.lines;

	*dropped_out = mailbox->mail.dropped;
	mailbox->mail.lines = NULL;
	mailbox->mail.dropped = 0;
	mailbox->last_line = &mailbox->mail.lines;
	mailbox->lines = 0;
	return lines;
}

struct mail_line *mailbox_take_lines(struct mailbox *mailbox, unsigned *dropped_out)
{
	struct mail_line *lines;

	pthread_mutex_lock(&mailbox->lock);
	lines = take_lines(mailbox, dropped_out);
	pthread_mutex_unlock(&mailbox->lock);
	return lines;
}

void mailbox_take(struct mailbox *mailbox, struct mail *out)
{
	uint64_t count;

	/* The counter is read before the mail is taken: what is put in between makes it readable
	 * again. */
	while (read(mailbox->fd, &count, sizeof count) < 0 && errno == EINTR) {
	}
	pthread_mutex_lock(&mailbox->lock);
	*out = mailbox->mail;
	out->lines = take_lines(mailbox, &out->dropped);
	mailbox->mail = (struct mail){0};
	pthread_mutex_unlock(&mailbox->lock);
}

bool mailbox_wait_over(struct mailbox *mailbox, bool session)
{
	bool left;

	pthread_mutex_lock(&mailbox->lock);
	while ((session && !mailbox->gone) ||
		(mailbox->tasks > 0 && !mailbox->mail.over && !mailbox->mail.task))
		pthread_cond_wait(&mailbox->changed, &mailbox->lock);
	left = mailbox->tasks > 0;
	pthread_mutex_unlock(&mailbox->lock);
	return left;
}
