/*
 * process: one process that we started, with everything it starts in its turn: own session, pidfd,
 * output by lines, stop by TERM, grace and KILL, reaped with its process group and its orphans.
 * Main thread. Knows nothing about messages.
 */
#ifndef FLWR_LAUNCH_PROCESS_H
#define FLWR_LAUNCH_PROCESS_H

#include "common/base/log.h"
#include "common/base/reason.h"
#include "common/loop/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define WORKER_GRACE_MS    3000 /* from TERM to KILL */
#define PROCESS_TAIL_BYTES 4096 /* of the last lines of stderr */
#define PROCESS_TAIL_LINES 20
#define PROCESS_LINE_BYTES 65536 /* longer lines are cut in pieces */
#define PROCESS_FD         3     /* the number under which a started process finds its descriptor */

enum process_end_kind {
	PROCESS_EXITED,     /* value is the exit status */
	PROCESS_KILLED,     /* value is the signal */
	PROCESS_NOT_STARTED /* value is the errno; why says what was not found */
};

enum process_stop {
	PROCESS_NOT_STOPPED,
	PROCESS_STOPPED /* by process_stop() or process_kill() */
};

/* How a process ended: all that is known of it. */
struct process_end {
	enum process_end_kind kind;
	int value;
	enum process_stop stop;
	bool out_of_memory; /* killed by SIGKILL that was not ours, and the kernel's count of OOM
			       kills had risen; the owner sets it, too: in the app's group */
	bool over_memory_limit; /* set by the owner: it needed more than --worker-memory, and was
				   killed for that */
	bool never_ready; /* set by the owner: it ended (or was ended) before its first sign of life
			   */
	struct reason why; /* NOT_STARTED */
	char tail[PROCESS_TAIL_BYTES +
		  1]; /* last lines of stderr, NUL-terminated, UTF-8 (bad bytes replaced) */
};

/*
 * Every process that one program starts: one set a program, because a child that is not in it and
 * younger than it is taken for an orphan, and killed when a process of the set has ended.
 */
struct process_set;
struct process;

struct process_ops {
	/*
	 * The process itself has ended; its group has been killed. What it answered before may
	 * still be on its way in sockets. Called once, from the loop, within milliseconds of the
	 * end. May not free the process.
	 */
	void (*ended)(void *arg, struct process *process, const struct process_end *end);
	/* After ended: reaped, its group and orphans too, output read to its end or given up (1 s).
	 * It is freed after this call. */
	void (*gone)(void *arg, struct process *process);
};

struct process_spec {
	const char *name;        /* for log lines: "worker 7", "app 7" */
	const char *const *argv; /* argv[0] is an absolute path; ends in NULL */
	const char *const
		*env; /* "NAME=value" to set beside the inherited ones; ends in NULL; may be NULL */
	/* Lists "NAME,PREFIX*" of what to leave out; each ends in NULL and may be NULL. What a
	 * service manager tells this program alone always is left out (environment.h). */
	const char *const *env_drop, *const *env_hide;
	const char *const *env_keep; /* lists of what is inherited at all; NULL: all is */
	int fd;                      /* handed in as PROCESS_FD; borrowed; -1: none */
	bool inherits_output;        /* stdout and stderr are ours, not lines in the log */
	bool logs;                   /* its stderr is a log of ours: lines keep their levels */
	bool forks; /* children of ours that appear in its session are its forks, not orphans, until
		       they are adopted or have ended */
	const struct process_ops *ops;
	void *arg;
};

/*
 * Makes this program a subreaper, so that orphans of what it starts come to it. 0 or -errno. As PID
 * 1 of a container other orphans are reaped as well.
 */
int process_set_new(struct loop *loop, struct log *log, struct process_set **out);
/* Kills and reaps what is left, at once (blocks some milliseconds; no event comes). Not from inside
 * a callback. */
void process_set_free(struct process_set *set);
/* Number of processes not yet gone. */
unsigned process_set_count(const struct process_set *set);

/*
 * Start a process by posix_spawn: own session, default signals, empty mask, stdin /dev/null, stdout
 * and stderr to lines in the log, no other descriptors. 0: *out is valid until gone(). -errno: not
 * started, no event will come; why says what and why.
 */
int process_start(struct process_set *set, const struct process_spec *spec, struct process **out,
	struct reason *why);

/*
 * A process that another one of the set forks, on our behalf: all but the fork. 0: *out, and the
 * ends of its stdout and stderr, which are the caller's; -errno. Of the spec argv, env, fd and
 * forks have no meaning.
 */
int process_prepare(struct process_set *set, const struct process_spec *spec, struct process **out,
	int *out_fd, int *err_fd);
/*
 * It has been forked: pid is it. 0: it is as if it was started by process_start(), once it leads
 * its own session; -ECHILD: pid is no child of this program, or another process of the set, and
 * -errno: process_discard() is due.
 */
int process_adopt(struct process *process, pid_t pid);
/* One that was not adopted: free it. No event comes. NULL is fine. */
void process_discard(struct process *process);

pid_t process_pid(const struct process *process);

/* The process, which has done nothing so far, begins its work: from now on it has this name in log
 * lines, and only the kernel's OOM kills from now on may be its own. 0 or -ENOMEM. */
int process_begin_as(struct process *process, const char *name);

/* A process_filter: true: the line is not logged. topic is as given. */
typedef bool process_filter_fn(void *arg, uint64_t topic, const char *line, size_t len);
/* Ask filter about each line that the process writes to its stderr from now on. arg must live as
 * long as the process. */
void process_filter(struct process *process, process_filter_fn *filter, void *arg, uint64_t topic);

/* TERM and CONT to its group; KILL after grace_ms. Again with a shorter grace: the shorter one
 * counts. */
void process_stop(struct process *process, int64_t grace_ms);
/* KILL to its group, now. */
void process_kill(struct process *process);

/* Write what it has printed into the log now, also what was held because it prints much. */
void process_flush(struct process *process);

#endif
