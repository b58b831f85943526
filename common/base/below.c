#include "common/base/below.h"

#include "common/base/cleanup.h"
#include "common/base/process_mark.h"

#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <time.h>

#define PASSES     8
#define PASSES_MIN 4  /* these are made even when the time is over: a bomb needs about so many */
#define BOUND_MS   50 /* no other pass of SIGSTOP begins later */
#define ROOM_FIRST 1024

enum answer { UNKNOWN, NOT_BELOW, BELOW };

/* A process that was seen. Its number and the time of its start name it for ever. */
struct seen {
	pid_t pid; /* 0: this place of the table is free */
	pid_t parent;
	uint64_t start;
	enum answer answer;
	bool told; /* a signal was sent to it */
};

struct below {
	below_chosen_fn *chosen;
	void *arg;
	pid_t self;
	struct seen *table; /* a hash table by pid */
	size_t room;        /* a power of two; 0: there is no table yet */
	size_t n;
};

static void below_done(struct below *below)
{
	free(below->table);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The place of pid in the table, or the free one where it goes. The table has a free place. */
static struct seen *place_of(const struct below *below, pid_t pid)
{
	size_t at = (size_t)pid & (below->room - 1);

	while (below->table[at].pid && below->table[at].pid != pid)
		at = (at + 1) & (below->room - 1);
	return &below->table[at];
}

/* Make sure that half of the table is free. false: there is no memory. */
static bool table_grow(struct below *below)
{
	struct below grown = *below;

	if (below->n < below->room / 2)
		return true;
	grown.room = below->room ? below->room * 2 : ROOM_FIRST;
	grown.table = calloc(grown.room, sizeof *grown.table);
	if (!grown.table)
		return false;
	for (size_t i = 0; i < below->room; i++)
		if (below->table[i].pid)
			*place_of(&grown, below->table[i].pid) = below->table[i];
	free(below->table);
	*below = grown;
	return true;
}

/* Read what process has this number now. The result is valid until the next call. NULL: there is
 * no such process, or no memory. */
static struct seen *look(struct below *below, pid_t pid)
{
	struct seen *seen;
	uint64_t start;
	pid_t parent;

	if (process_stat(pid, &parent, &start) < 0 || !table_grow(below))
		return NULL;
	seen = place_of(below, pid);
	if (!seen->pid)
		below->n++;
	if (!seen->pid || seen->start != start)
		*seen = (struct seen){.pid = pid, .start = start};
	seen->parent = parent;
	return seen;
}

/*
 * Is this process, as look() has just found it, below a chosen child, or one itself? A process
 * that was below stays below, so each answer is found once: all processes together cost as many
 * reads as there are. seen is not valid afterwards.
 */
static bool is_below(struct below *below, struct seen *seen)
{
	pid_t at = seen->pid;
	enum answer answer;

	while (!seen->answer && seen->parent != below->self && seen->parent > 1) {
		uint64_t start = seen->start;

		/* The parent is read after its child, and started before it: so it had its number
		 * when the child was read. Another process that got the number later is younger. */
		seen = look(below, seen->parent);
		if (!seen || seen->start > start)
			return false;
	}
	answer = seen->answer;
	if (!answer)
		answer = seen->parent == below->self && below->chosen(below->arg, seen->pid)
				 ? BELOW
				 : NOT_BELOW;
	for (; at > 1 && at != below->self; at = seen->parent) {
		seen = place_of(below, at);
		if (!seen->pid || seen->answer)
			break;
		seen->answer = answer;
	}
	return answer == BELOW;
}

/* Send the signal to this process, if it is below. Returns whether it is the first one for it. */
static bool send(struct below *below, pid_t pid, int signal)
{
	/* First of all: the number may go to another process any time, this does not. */
	auto_(close_at_exit) int pidfd = pidfd_open(pid, 0);
	struct seen *seen = pidfd < 0 ? NULL : look(below, pid);
	bool first;

	if (!seen || !is_below(below, seen) || pidfd_send_signal(pidfd, signal, NULL, 0) < 0)
		return false;
	seen = place_of(below, pid);
	first = !seen->told;
	seen->told = true;
	return first;
}

/* Returns how many processes have got the signal that had got none before. */
static unsigned send_all(struct below *below, int signal)
{
	auto_(closedir_at_exit) DIR *proc = opendir("/proc");
	struct dirent *entry;
	unsigned first = 0;

	while (proc && (entry = readdir(proc))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (pid > 0 && pid != below->self && send(below, pid, signal))
			first++;
	}
	return first;
}

/* On a busy machine a bomb's processes have nearly all of the processor's time. Go before them,
 * where this program has the right to (CAP_SYS_NICE). Returns whether this thread does now. */
static bool go_first(void)
{
	const struct sched_param first = {.sched_priority = 1};

	return sched_getscheduler(0) == SCHED_OTHER && sched_setscheduler(0, SCHED_RR, &first) == 0;
}

static void go_as_before(void)
{
	const struct sched_param usual = {.sched_priority = 0};

	(void)sched_setscheduler(0, SCHED_OTHER, &usual);
}

void below_end(below_chosen_fn *chosen, void *arg)
{
	auto_(below_done) struct below below = {.chosen = chosen, .arg = arg, .self = getpid()};
	const int64_t end_ms = now_ms() + BOUND_MS;
	const bool first = go_first();

	/* A process that has got SIGSTOP forks no more: a pass that finds no other one has stopped
	 * all. A process that is dying never stops, which does not matter. */
	for (int pass = 0; pass < PASSES && send_all(&below, SIGSTOP) > 0; pass++)
		if (pass + 1 >= PASSES_MIN && now_ms() >= end_ms)
			break;
	send_all(&below, SIGKILL);
	if (first)
		go_as_before();
}
