#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

int rig_setup(void **state)
{
	struct rig *rig = calloc(1, sizeof *rig);

	if (!rig || loop_new(&rig->loop) < 0)
		return -1;
	rig->log_fd = memfd_create("log", MFD_CLOEXEC);
	rig->log = log_new(rig->log_fd, "test", LOG_LEVEL_DEBUG);
	*state = rig;
	return rig->log_fd < 0 || !rig->log ? -1 : 0;
}

int rig_teardown(void **state)
{
	struct rig *rig = *state;

	log_free(rig->log);
	loop_free(rig->loop);
	close(rig->log_fd);
	free(rig);
	return 0;
}

const char *rig_log(struct rig *rig)
{
	ssize_t n = pread(rig->log_fd, rig->text, sizeof rig->text - 1, 0);

	assert_true(n >= 0);
	rig->text[n] = '\0';
	return rig->text;
}

static void rig_step(struct rig *rig, int64_t end_ms)
{
	if (clock_now_ms() >= end_ms) {
		print_error("%s", rig_log(rig));
		fail_msg("what was waited for did not happen");
	}
	loop_step(rig->loop, 100);
}

void rig_until(struct rig *rig, const bool *flag)
{
	int64_t end_ms = clock_now_ms() + RIG_WAIT_MS;

	while (!*flag)
		rig_step(rig, end_ms);
}

void rig_until_log(struct rig *rig, const char *text)
{
	int64_t end_ms = clock_now_ms() + RIG_WAIT_MS;

	while (!strstr(rig_log(rig), text))
		rig_step(rig, end_ms);
}

unsigned rig_log_count(struct rig *rig, const char *text)
{
	unsigned n = 0;

	for (const char *at = strstr(rig_log(rig), text); at; at = strstr(at + 1, text))
		n++;
	return n;
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

static void seen_ended(void *arg, struct process *process, const struct process_end *end)
{
	struct seen *seen = arg;

	assert_non_null(process);
	assert_false(seen->ended);
	seen->ended = true;
	seen->ended_ms = clock_now_ms();
	seen->end = *end;
}

static void seen_gone(void *arg, struct process *process)
{
	struct seen *seen = arg;

	assert_non_null(process);
	assert_true(seen->ended);
	assert_false(seen->gone);
	seen->gone = true;
	seen->gone_ms = clock_now_ms();
}

const struct process_ops seen_ops = {.ended = seen_ended, .gone = seen_gone};

bool pid_exists(int pid)
{
	return kill(pid, 0) == 0 || errno != ESRCH;
}

void pidfd_until_end(int pidfd)
{
	struct pollfd wanted = {.fd = pidfd, .events = POLLIN};

	assert_int_equal(poll(&wanted, 1, RIG_WAIT_MS), 1);
}
