#include "rig.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>

#define HELD_MAX 16

/* Those that were held back, the last one at the end. */
static struct {
	struct timer *timer;
	int64_t ms; /* how long it would have waited */
} held[HELD_MAX];
static size_t n_held;

int rig_setup(void **state)
{
	struct rig *rig = calloc(1, sizeof *rig);

	if (!rig || loop_new(&rig->loop) < 0)
		return -1;
	kit_log_init(&rig->lines, "test", LOG_LEVEL_DEBUG);
	rig->log = rig->lines.log;
	rig->log_fd = rig->lines.fd;
	rig_long_waits = true;
	rig_ahead_ms = 0;
	n_held = 0;
	*state = rig;
	return 0;
}

int rig_teardown(void **state)
{
	struct rig *rig = *state;

	kit_log_done(&rig->lines);
	loop_free(rig->loop);
	free(rig);
	return 0;
}

/* ---- timers ---- */

bool rig_long_waits;
int64_t rig_ahead_ms;
static void held_remove(size_t at)
{
	n_held--;
	memmove(&held[at], &held[at + 1], (n_held - at) * sizeof held[0]);
}

static void held_forget(const struct timer *timer)
{
	for (size_t i = 0; i < n_held; i++)
		if (held[i].timer == timer) {
			held_remove(i);
			return;
		}
}

int64_t __real_clock_now_ms(void);
int64_t __wrap_clock_now_ms(void);

int64_t __wrap_clock_now_ms(void)
{
	return __real_clock_now_ms() + rig_ahead_ms;
}

void __real_timer_set(struct timer *timer, int64_t at_ms);
void __wrap_timer_set(struct timer *timer, int64_t at_ms);

void __wrap_timer_set(struct timer *timer, int64_t at_ms)
{
	int64_t wait_ms = at_ms - clock_now_ms();

	held_forget(timer);
	if (!rig_long_waits && at_ms != CLOCK_NEVER && wait_ms > RIG_LONG_MS) {
		assert_true(n_held < HELD_MAX);
		held[n_held].timer = timer;
		held[n_held++].ms = wait_ms;
		at_ms = CLOCK_NEVER;
	}
	__real_timer_set(timer, at_ms == CLOCK_NEVER ? at_ms : at_ms - rig_ahead_ms);
}

void __real_timer_free(struct timer *timer);
void __wrap_timer_free(struct timer *timer);

void __wrap_timer_free(struct timer *timer)
{
	held_forget(timer);
	__real_timer_free(timer);
}

int64_t rig_wait_over(void)
{
	return rig_wait_over_within(0, INT64_MAX);
}

int64_t rig_wait_over_within(int64_t least_ms, int64_t most_ms)
{
	for (size_t i = n_held; i-- > 0;) {
		struct timer *timer = held[i].timer;
		int64_t ms = held[i].ms;

		if (ms < least_ms || ms > most_ms)
			continue;
		held_remove(i);
		__real_timer_set(timer, 0);
		return ms;
	}
	fail_msg("no timer was held back for so long");
	return 0;
}

size_t rig_held_within(int64_t least_ms, int64_t most_ms)
{
	size_t n = 0;

	for (size_t i = 0; i < n_held; i++)
		n += held[i].ms >= least_ms && held[i].ms <= most_ms;
	return n;
}

/* ---- the log ---- */

const char *rig_log(struct rig *rig)
{
	return kit_log_text(&rig->lines);
}

void rig_until(struct rig *rig, const bool *flag)
{
	kit_loop_until(rig->loop, *flag);
}

void rig_until_log(struct rig *rig, const char *text)
{
	kit_loop_until(rig->loop, strstr(rig_log(rig), text));
}

unsigned rig_log_count(struct rig *rig, const char *text)
{
	return kit_log_count(&rig->lines, text);
}

size_t rig_log_numbers(struct rig *rig, const char *text, int *out, size_t max)
{
	size_t n = 0;

	for (const char *at = strstr(rig_log(rig), text); at && n < max; at = strstr(at + 1, text))
		out[n++] = (int)strtol(at + strlen(text), NULL, 10);
	return n;
}

struct agent *agent_of(struct rig *rig, const char *worker, const char *python, const char *script)
{
	struct agent *agent;

	rig->launch = (struct launch_options){
		.python = python, .log_level = LOG_LEVEL_DEBUG, .app_exit_grace_ms = 300};
	rig->paths = (struct launch_paths){
		.worker = (char *)worker, .start = (char *)APP_START, .bridge = (char *)script};
	assert_int_equal(
		agent_new(rig->loop, rig->log,
			&(struct agent_options){.launch = &rig->launch, .paths = &rig->paths},
			&agent),
		0);
	return agent;
}

void script_new(char path[64], const char *text)
{
	int fd;

	strncpy(path, "/tmp/flwr-test-script-XXXXXX", 64);
	fd = mkostemp(path, O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_return_code(fchmod(fd, 0700), errno);
	close(fd);
}

static void note_ended(struct seen *seen, const void *what, const struct process_end *end)
{
	assert_non_null(what);
	assert_false(seen->ended);
	seen->ended = true;
	seen->ended_ms = clock_now_ms();
	seen->end = *end;
}

static void note_gone(struct seen *seen, const void *what)
{
	assert_non_null(what);
	assert_true(seen->ended);
	assert_false(seen->gone);
	seen->gone = true;
	seen->gone_ms = clock_now_ms();
}

static void seen_ended(void *arg, struct process *process, const struct process_end *end)
{
	note_ended(arg, process, end);
}

static void seen_gone(void *arg, struct process *process)
{
	note_gone(arg, process);
}

const struct process_ops seen_ops = {.ended = seen_ended, .gone = seen_gone};

static void worker_seen_ended(
	void *arg, struct worker_process *worker, const struct process_end *end)
{
	note_ended(arg, worker, end);
	assert_true(worker_process_pid(worker) > 1);
}

static void worker_seen_gone(void *arg, struct worker_process *worker)
{
	note_gone(arg, worker);
}

const struct worker_process_ops worker_seen_ops = {
	.ended = worker_seen_ended, .gone = worker_seen_gone};

struct worker_process *worker_begin(
	struct agent *agent, const char *name, uint64_t behaviour, struct seen *seen)
{
	const struct control_start start = {.token = behaviour,
		.address = (char *)"unix:/nowhere",
		.flwr_home = (char *)"/home/of/it",
		.log_level = LOG_LEVEL_WARN};
	struct worker_process *worker = NULL;
	struct reason why = {.text = ""};

	*seen = (struct seen){0};
	if (agent_start_worker(agent,
		    &(struct worker_process_spec){
			    .name = name, .start = &start, .ops = &worker_seen_ops, .arg = seen},
		    &worker, &why) < 0)
		fail_msg("%s", why.text);
	return worker;
}

bool pid_exists(int pid)
{
	return kill(pid, 0) == 0 || errno != ESRCH;
}

bool pid_sleeps(int pid)
{
	char path[32], state = '?';
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%*d (%*[^)]) %c", &state), 1);
	fclose(file);
	return state == 'S';
}

void pidfd_until_end(int pidfd)
{
	struct pollfd wanted = {.fd = pidfd, .events = POLLIN};

	assert_int_equal(poll(&wanted, 1, RIG_WAIT_MS), 1);
}
