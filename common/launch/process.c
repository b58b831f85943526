#include "common/launch/process.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/launch/oom.h"
#include "common/launch/orphan.h"
#include "common/launch/output.h"
#include "common/launch/spawn.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/wait.h>

#define OUTPUT_WAIT_MS  1000  /* for the end of the output after the end of the process */
#define ORPHAN_WAIT_MS  2000  /* for what was killed and does not die */
#define ORPHAN_STEP_MS  64    /* longest pause between two looks, within that time */
#define ORPHAN_LATER_MS 1000  /* and after it */
#define ORPHAN_IDLE_MS  10000 /* as PID 1: nothing else tells of orphans of other processes */

struct process_set {
	struct loop *loop;
	struct log *log;
	LIST_HEAD(, process) processes;
	unsigned count;
	struct oom_source oom;
	uint64_t born_ticks;
	struct timer *orphan_timer;
	bool hunting;        /* somebody ended whose orphans are not all gone */
	int64_t hunt_end_ms; /* when it stops to be urgent */
	int64_t pause_ms;
};

struct process {
	struct process_set *set;
	LIST_ENTRY(process) link;
	bool linked;
	char *name;
	const struct process_ops *ops;
	void *arg;
	pid_t pid;
	int pidfd;
	struct watch *watch;
	struct timer *kill_timer;
	struct timer *output_timer;
	int64_t kill_at_ms; /* CLOCK_NEVER: not stopped */
	enum process_stop stop;
	uint64_t oom_before;
	bool reaped;
	bool output_over; /* read to its end or given up */
	bool forks;
	int64_t orphans_until_ms;
	struct output out;
	struct output err;
	struct output_flow flow;
	struct output_tail tail;
};

static void set_remove(struct process *process)
{
	if (!process->linked)
		return;
	LIST_REMOVE(process, link);
	process->linked = false;
	process->set->count--;
}

/* Half-built ones too. What runs in it is not touched. */
static void process_free(struct process *process)
{
	if (!process)
		return;
	set_remove(process);
	output_close(&process->out);
	output_close(&process->err);
	output_flow_done(&process->flow);
	watch_free(process->watch);
	timer_free(process->kill_timer);
	timer_free(process->output_timer);
	close_fd(&process->pidfd);
	free(process->name);
	free(process);
}

static void process_free_at_exit(struct process **process)
{
	process_free(*process);
}

static bool set_has(const struct process_set *set, pid_t pid)
{
	struct process *process;

	LIST_FOREACH(process, &set->processes, link)
	if (process->pid == pid && !process->reaped)
		return true;
	return false;
}

/* Is it a live fork of a process of the set, still in that one's session? */
static bool set_expects(const struct process_set *set, pid_t pid)
{
	siginfo_t info = {.si_pid = 0};
	pid_t session = getsid(pid);
	struct process *process;

	LIST_FOREACH(process, &set->processes, link)
	if (process->forks && process->pid == session && !process->reaped)
		return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
		       info.si_pid == 0;
	return false;
}

static bool set_knows(void *arg, pid_t pid)
{
	return set_has(arg, pid) || set_expects(arg, pid);
}

/* ---- after the end ---- */

/* Tell of those that are gone. One at a time from the start: the callee may start and stop others.
 */
static void set_settle(struct process_set *set)
{
	int64_t now_ms = clock_now_ms();
	struct process *process = LIST_FIRST(&set->processes);

	while (process) {
		bool alone = !set->hunting || now_ms >= process->orphans_until_ms;

		if (!process->reaped || !process->output_over || !alone) {
			process = LIST_NEXT(process, link);
			continue;
		}
		if (set->hunting)
			log_warn(set->log,
				"%s: something that it started was killed and does not end",
				process->name);
		/* Out of the set first: what the callee starts may lead here again. */
		set_remove(process);
		process->ops->gone(process->arg, process);
		process_free(process);
		process = LIST_FIRST(&set->processes);
	}
}

static void set_hunt(void *arg)
{
	struct process_set *set = arg;
	int64_t now_ms = clock_now_ms();
	enum orphan_kill how = ORPHAN_LEAVE;
	pid_t left;
	int r;

	if (set->hunting)
		how = set->pause_ms < ORPHAN_STEP_MS ? ORPHAN_KILL : ORPHAN_KILL_BELOW;
	r = orphan_sweep(set->born_ticks, how, set_knows, set, &left);
	set->hunting = r != 0 && set->hunting;
	if (set->hunting) {
		timer_set(set->orphan_timer,
			now_ms + (now_ms < set->hunt_end_ms ? set->pause_ms : ORPHAN_LATER_MS));
		if (set->pause_ms < ORPHAN_STEP_MS)
			set->pause_ms *= 2;
	} else {
		timer_set(set->orphan_timer, getpid() == 1 ? now_ms + ORPHAN_IDLE_MS : CLOCK_NEVER);
	}
	set_settle(set);
}

static void hunt_begin(struct process_set *set)
{
	set->hunting = true;
	set->hunt_end_ms = clock_now_ms() + ORPHAN_WAIT_MS;
	set->pause_ms = 1;
	set_hunt(set);
}

static void output_closed(void *arg)
{
	struct process *process = arg;

	if (process->out.fd >= 0 || process->err.fd >= 0)
		return;
	process->output_over = true;
	set_settle(process->set);
}

/* Somebody who got away holds the pipes: what it writes is no longer this process's. */
static void output_late(void *arg)
{
	struct process *process = arg;

	output_close(&process->out);
	output_close(&process->err);
	output_closed(process);
}

/* ---- the end ---- */

static void end_fill(const struct process *process, const siginfo_t *info, struct process_end *end)
{
	*end = (struct process_end){
		.kind = info->si_code == CLD_EXITED ? PROCESS_EXITED : PROCESS_KILLED,
		.value = info->si_status,
		.stop = process->stop};
	if (end->kind == PROCESS_KILLED && end->value == SIGKILL &&
		end->stop == PROCESS_NOT_STOPPED)
		end->out_of_memory = oom_count(&process->set->oom) > process->oom_before;
	output_tail_text(&process->tail, end->tail);
}

static void process_ended(void *arg, int ready)
{
	struct process *process = arg;
	siginfo_t info = {.si_pid = 0};
	struct process_end end;

	(void)ready;
	if (waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
		info.si_pid != process->pid)
		return;
	watch_free(process->watch);
	process->watch = NULL;
	timer_set(process->kill_timer, CLOCK_NEVER);
	/* The zombie still holds the number of its group. */
	kill(-process->pid, SIGKILL);
	process_flush(process);
	output_end_line(&process->out);
	output_end_line(&process->err);
	end_fill(process, &info, &end);
	process->ops->ended(process->arg, process, &end);
	waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED | WNOHANG);
	process->reaped = true;
	process->orphans_until_ms = clock_now_ms() + ORPHAN_WAIT_MS;
	timer_set(process->output_timer, clock_now_ms() + OUTPUT_WAIT_MS);
	hunt_begin(process->set);
}

static void kill_late(void *arg)
{
	struct process *process = arg;

	log_debug(process->set->log, "%s: still there after its grace time, killing it",
		process->name);
	process_kill(process);
}

void process_stop(struct process *process, int64_t grace_ms)
{
	int64_t at_ms = clock_after(clock_now_ms(), grace_ms);

	if (!process->watch) /* it has ended */
		return;
	if (process->stop == PROCESS_NOT_STOPPED) {
		process->stop = PROCESS_STOPPED;
		kill(-process->pid, SIGTERM);
		kill(-process->pid, SIGCONT);
	}
	if (at_ms >= process->kill_at_ms)
		return;
	process->kill_at_ms = at_ms;
	timer_set(process->kill_timer, at_ms);
}

void process_kill(struct process *process)
{
	if (!process->watch)
		return;
	process->stop = PROCESS_STOPPED;
	kill(-process->pid, SIGKILL);
	/* One that was adopted a moment ago may not lead its group yet. */
	kill(process->pid, SIGKILL);
}

void process_flush(struct process *process)
{
	output_drain(&process->out);
	output_drain(&process->err);
	output_flow_flush(&process->flow);
}

pid_t process_pid(const struct process *process)
{
	return process->pid;
}

int process_begin_as(struct process *process, const char *name)
{
	char *copy = strdup(name);

	if (!copy)
		return -ENOMEM;
	free(process->name);
	process->name = copy;
	process->flow.name = copy;
	process->oom_before = oom_count(&process->set->oom);
	return 0;
}

void process_filter(struct process *process, process_filter_fn *filter, void *arg, uint64_t topic)
{
	process->err.filter = filter;
	process->err.filter_arg = arg;
	process->err.topic = topic;
}

/* ---- the start ---- */

static void output_prepare(struct process *process, struct output *output, const char *label)
{
	*output = (struct output){.flow = &process->flow,
		.label = label,
		.closed = output_closed,
		.arg = process,
		.fd = -1};
}

static struct process *process_new(struct process_set *set, const struct process_spec *spec)
{
	auto_(process_free_at_exit) struct process *process = calloc(1, sizeof *process);

	if (!process)
		return NULL;
	process->set = set;
	process->ops = spec->ops;
	process->arg = spec->arg;
	process->forks = spec->forks;
	process->pidfd = -1;
	process->kill_at_ms = CLOCK_NEVER;
	process->out.fd = -1;
	process->err.fd = -1;
	process->name = strdup(spec->name);
	process->kill_timer = timer_new(set->loop, kill_late, process);
	process->output_timer = timer_new(set->loop, output_late, process);
	if (!process->name || !process->kill_timer || !process->output_timer ||
		output_flow_init(&process->flow, set->loop, set->log, process->name))
		return NULL;
	output_prepare(process, &process->out, "out");
	output_prepare(process, &process->err, "err");
	process->out.kind = OUTPUT_OUT;
	process->err.kind = OUTPUT_ERR;
	process->err.tail = &process->tail;
	process->err.levels = spec->logs;
	return take_pointer(&process);
}

/* A pipe whose reading end goes to output; the other is the caller's. 0 or -errno. */
static int pipe_open(struct output *output, struct loop *loop, int *write_end_out)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	auto_(close_at_exit) int read_end = ends[0];
	auto_(close_at_exit) int write_end = ends[1];
	int r = output_open(output, loop, read_end);
	if (r < 0)
		return r;
	take_fd(&read_end);
	*write_end_out = take_fd(&write_end);
	return 0;
}

/* Open stdout and stderr of the process. 0 or -errno. */
static int output_begin(
	struct process *process, const struct process_spec *spec, int *out_fd, int *err_fd)
{
	struct loop *loop = process->set->loop;
	int r;

	if (!spec->inherits_output) {
		r = pipe_open(&process->out, loop, out_fd);
		return r ? r : pipe_open(&process->err, loop, err_fd);
	}
	process->output_over = true;
	*out_fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
	*err_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	return *out_fd < 0 || *err_fd < 0 ? -errno : 0;
}

static int process_watch(struct process *process)
{
	process->pidfd = pidfd_open(process->pid, 0);
	if (process->pidfd < 0)
		return -errno;
	process->watch =
		watch_new(process->set->loop, process->pidfd, WATCH_READ, process_ended, process);
	return process->watch ? 0 : -ENOMEM;
}

static void set_add(struct process_set *set, struct process *process)
{
	LIST_INSERT_HEAD(&set->processes, process, link);
	process->linked = true;
	set->count++;
}

int process_start(struct process_set *set, const struct process_spec *spec, struct process **out,
	struct reason *why)
{
	auto_(process_free_at_exit) struct process *process = process_new(set, spec);
	auto_(close_at_exit) int out_fd = -1;
	auto_(close_at_exit) int err_fd = -1;

	assert(spec->argv[0][0] == '/');
	if (!process)
		return reason_code(why, -ENOMEM, "no memory to start %s", spec->argv[0]);
	int r = output_begin(process, spec, &out_fd, &err_fd);
	if (r < 0)
		return reason_code(
			why, r, "no pipe for the output of %s: %s", spec->argv[0], strerror(-r));
	process->oom_before = oom_count(&set->oom);
	r = spawn(spec, out_fd, err_fd, &process->pid, why);
	if (r < 0)
		return r;
	r = process_watch(process);
	if (r < 0) {
		/* Unknown to the table it is an orphan like others. */
		kill(-process->pid, SIGKILL);
		hunt_begin(set);
		return reason_code(why, r, "cannot watch %s: %s", spec->argv[0], strerror(-r));
	}
	set_add(set, process);
	log_debug(set->log, "%s: started pid=%d", process->name, (int)process->pid);
	*out = take_pointer(&process);
	return 0;
}

/* ---- forked by another one ---- */

int process_prepare(struct process_set *set, const struct process_spec *spec, struct process **out,
	int *out_fd, int *err_fd)
{
	auto_(process_free_at_exit) struct process *process = process_new(set, spec);
	auto_(close_at_exit) int its_out = -1;
	auto_(close_at_exit) int its_err = -1;
	int r = process ? output_begin(process, spec, &its_out, &its_err) : -ENOMEM;

	if (r < 0)
		return r;
	process->oom_before = oom_count(&set->oom);
	*out_fd = take_fd(&its_out);
	*err_fd = take_fd(&its_err);
	*out = take_pointer(&process);
	return 0;
}

int process_adopt(struct process *process, pid_t pid)
{
	siginfo_t info;
	int r;

	if (set_has(process->set, pid))
		return -ECHILD;
	process->pid = pid;
	r = process_watch(process);
	if (r < 0)
		return r;
	if (waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
		return -errno;
	set_add(process->set, process);
	log_debug(process->set->log, "%s: forked pid=%d", process->name, (int)pid);
	return 0;
}

void process_discard(struct process *process)
{
	process_free(process);
}

/* ---- the set ---- */

static void set_free_at_exit(struct process_set **set)
{
	if (*set)
		process_set_free(*set);
}

/* The kernel would reap children itself, and forget how they ended, while SIGCHLD is ignored, as it
 * may be by inheritance. */
static int children_keep(void)
{
	struct sigaction action;

	if (sigaction(SIGCHLD, NULL, &action) < 0)
		return -errno;
	if (action.sa_handler != SIG_IGN && !(action.sa_flags & SA_NOCLDWAIT))
		return 0;
	if (action.sa_handler == SIG_IGN)
		action.sa_handler = SIG_DFL;
	action.sa_flags &= ~SA_NOCLDWAIT;
	return sigaction(SIGCHLD, &action, NULL) < 0 ? -errno : 0;
}

int process_set_new(struct loop *loop, struct log *log, struct process_set **out)
{
	auto_(set_free_at_exit) struct process_set *set = calloc(1, sizeof *set);
	int r;

	if (!set)
		return -ENOMEM;
	set->loop = loop;
	set->log = log;
	set->born_ticks = orphan_ticks_now();
	oom_source_init(&set->oom);
	set->orphan_timer = timer_new(loop, set_hunt, set);
	if (!set->orphan_timer)
		return -ENOMEM;
	r = children_keep();
	if (r < 0)
		return r;
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return -errno;
	if (getpid() == 1)
		timer_set(set->orphan_timer, clock_now_ms() + ORPHAN_IDLE_MS);
	*out = take_pointer(&set);
	return 0;
}

unsigned process_set_count(const struct process_set *set)
{
	return set->count;
}

/* Wait for the end of pid, at most until end_ms. pidfd: -1 when it has none. */
static void wait_short(int pidfd, int64_t end_ms)
{
	struct pollfd wanted = {.fd = pidfd, .events = POLLIN};
	int64_t left_ms = end_ms - clock_now_ms();

	if (left_ms > 0)
		poll(&wanted, 1, pidfd < 0 ? 1 : (int)left_ms);
}

static void orphans_end(struct process_set *set, int64_t end_ms)
{
	while (clock_now_ms() < end_ms) {
		pid_t left = 0;

		if (orphan_sweep(set->born_ticks, ORPHAN_KILL, set_knows, set, &left) == 0)
			return;
		auto_(close_at_exit) int pidfd = left > 0 ? pidfd_open(left, 0) : -1;
		wait_short(pidfd, end_ms);
	}
}

void process_set_free(struct process_set *set)
{
	int64_t end_ms = clock_now_ms() + OUTPUT_WAIT_MS;
	struct process *process;
	siginfo_t info;

	if (!set)
		return;
	LIST_FOREACH(process, &set->processes, link)
	if (!process->reaped) {
		kill(-process->pid, SIGKILL);
		kill(process->pid, SIGKILL);
	}
	LIST_FOREACH(process, &set->processes, link)
	{
		if (process->reaped)
			continue;
		wait_short(process->pidfd, end_ms);
		output_drain(&process->out);
		output_drain(&process->err);
		if (waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED | WNOHANG) == 0)
			process->reaped = true;
	}
	if (!LIST_EMPTY(&set->processes) || set->hunting)
		orphans_end(set, end_ms);
	while ((process = LIST_FIRST(&set->processes)))
		process_free(process);
	oom_source_done(&set->oom);
	timer_free(set->orphan_timer);
	free(set);
}
