#include "common/launch/end.h"

#include "common/message/envelope.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const char *const role_names[] = {
	[END_WORKER] = "The worker that ran the ClientApp",
	[END_APP] = "The process that ran the ClientApp",
};

/* "signal 9 (SIGKILL)" */
static void signal_describe(int signal, char *text, size_t bytes)
{
	const char *name = sigabbrev_np(signal);

	if (name)
		snprintf(text, bytes, "signal %d (SIG%s)", signal, name);
	else
		snprintf(text, bytes, "signal %d", signal);
}

static void how_describe(const struct process_end *end, char *text, size_t bytes)
{
	char signal[64];

	if (end->kind == PROCESS_EXITED) {
		snprintf(text, bytes, "exited with status %d", end->value);
		return;
	}
	signal_describe(end->value, signal, sizeof signal);
	snprintf(text, bytes, "killed by %s", signal);
}

void end_describe(const struct process_end *end, char *text, size_t bytes)
{
	char how[128];

	if (end->kind == PROCESS_NOT_STARTED) {
		snprintf(text, bytes, "could not be started: %s",
			end->why.text[0] ? end->why.text : strerror(end->value));
		return;
	}
	how_describe(end, how, sizeof how);
	snprintf(text, bytes, "%s%s%s%s", how,
		end->over_memory_limit ? ", over --worker-memory"
		: end->out_of_memory   ? ", out of memory"
				       : "",
		end->stop == PROCESS_STOPPED ? ", stopped by us" : "",
		end->never_ready ? ", never started to work" : "");
}

/* The reason of a worker names paths of this machine and stays here; that of an app is written for
 * the reader of the reply. */
static void not_started_add(enum end_role role, const struct process_end *end, struct text *reason)
{
	const char *cause =
		role == END_APP && end->why.text[0] ? end->why.text : strerror(end->value);

	if (role == END_WORKER)
		text_printf(reason, "%s could not be started: %s", role_names[role], cause);
	else
		text_printf(reason,
			"An exception was raised when attempting to load `ClientApp`: %s", cause);
}

int end_error(
	enum end_role role, const struct process_end *end, bool with_stderr, struct text *reason)
{
	char how[128];

	if (end->kind == PROCESS_NOT_STARTED) {
		not_started_add(role, end, reason);
		return ERROR_CODE_LOAD_CLIENT_APP;
	}
	how_describe(end, how, sizeof how);
	text_printf(reason, "%s %s%s%s%s.", role_names[role],
		end->kind == PROCESS_KILLED ? "was " : "", how,
		end->over_memory_limit
			? ": it needed more memory than it may have (--worker-memory)"
		: end->out_of_memory ? ": the node ran out of memory"
				     : "",
		end->stop == PROCESS_STOPPED ? ", because the node stopped it" : "");
	if (end->never_ready)
		text_printf(reason, " It never started to work.");
	if (with_stderr && end->tail[0])
		text_printf(reason, "\nLast lines of its stderr:\n%s", end->tail);
	return ERROR_CODE_CLIENT_APP_CRASHED;
}

void end_as(const struct process_end *end)
{
	/* The program has left its core already, if it leaves one. */
	const struct rlimit none = {0};
	sigset_t set;

	if (end->kind == PROCESS_EXITED)
		_exit(end->value);
	setrlimit(RLIMIT_CORE, &none);
	signal(end->value, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, end->value);
	raise(end->value);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	_exit(128 + end->value);
}
