#include "common/base/below.h"

#include "common/base/cleanup.h"
#include "common/base/process_mark.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>

#define PASSES    8
#define DEPTH_MAX 65536
#define STOP_BIT  (1ULL << (SIGSTOP - 1))

struct below {
	below_chosen_fn *chosen;
	void *arg;
};

/* What /proc says of a process. */
struct facts {
	char text[4096];
	char state; /* as the kernel writes it */
	pid_t parent;
	bool stops; /* it has stopped, or will before it does anything more: it forks no more */
};

/* What stands behind a name of a line of text; "": there is none. */
static const char *value_of(const char *text, const char *name)
{
	const char *found = strstr(text, name);

	return found ? found + strlen(name) : "";
}

static bool facts_read(pid_t pid, struct facts *out)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	auto_(close_at_exit) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out->text, sizeof out->text - 1);
	if (n <= 0)
		return false;
	out->text[n] = '\0';
	out->state = *value_of(out->text, "\nState:\t");
	out->parent = (pid_t)strtol(value_of(out->text, "\nPPid:\t"), NULL, 10);
	out->stops = out->state == 'T' || out->state == 't' ||
		     (strtoull(value_of(out->text, "\nShdPnd:\t"), NULL, 16) & STOP_BIT);
	return true;
}

static bool is_dead(char state)
{
	return !state || state == 'Z' || state == 'X';
}

/* Is a process whose parent is this one below a chosen child, or pid itself one? */
static bool is_below(const struct below *below, pid_t pid, pid_t parent)
{
	const pid_t self = getpid();
	uint64_t start;

	for (int depth = 0; parent != self && depth < DEPTH_MAX; depth++) {
		pid = parent;
		if (pid <= 1 || process_stat(pid, &parent, &start) < 0)
			return false;
	}
	return parent == self && below->chosen(below->arg, pid);
}

/* false: it is no concern of the signal. */
static bool send(const struct below *below, pid_t pid, int signal)
{
	/* First of all: the number may go to another process any time, this does not. */
	auto_(close_at_exit) int pidfd = pidfd_open(pid, 0);
	struct facts facts;

	return pidfd >= 0 && facts_read(pid, &facts) && !is_dead(facts.state) &&
	       !(signal == SIGSTOP && facts.stops) && is_below(below, pid, facts.parent) &&
	       pidfd_send_signal(pidfd, signal, NULL, 0) == 0;
}

/* Returns to how many. */
static unsigned send_all(const struct below *below, int signal)
{
	auto_(closedir_at_exit) DIR *proc = opendir("/proc");
	struct dirent *entry;
	unsigned sent = 0;

	while (proc && (entry = readdir(proc))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (pid > 0 && send(below, pid, signal))
			sent++;
	}
	return sent;
}

void below_end(below_chosen_fn *chosen, void *arg)
{
	const struct below below = {.chosen = chosen, .arg = arg};

	for (int pass = 0; pass < PASSES && send_all(&below, SIGSTOP) > 0; pass++)
		continue;
	send_all(&below, SIGKILL);
}
