/*
 * A program with libflwr in it that looks whether it is still as it was, driven by
 * tests/system/test_library.py: library-host ADDRESS TRANSPORT FILE. It writes to FILE what was
 * different in its method, and at the end; one line says that it is done. It has nothing of this
 * project but its public headers.
 */
#include <flwr/client.h>

#include <dirent.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATE_BYTES (1 << 18)

extern char **environ;

/* The state of the process, as lines of text. */
struct state {
	char text[STATE_BYTES];
	size_t len;
};

static struct state before, after;
static struct flwr_node *node;
static FILE *out;
static int lines;

__attribute__((format(printf, 2, 3))) static void put(struct state *state, const char *format, ...)
{
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(state->text + state->len, sizeof state->text - state->len, format, arguments);
	va_end(arguments);
	if (n < 0 || (size_t)n >= sizeof state->text - state->len)
		abort();
	state->len += (size_t)n;
}

/* Each signal's action; those of the two that the C library keeps cannot be asked for. */
static void put_signals(struct state *state)
{
	sigset_t mask;

	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	for (int number = 1; number < NSIG; number++) {
		struct sigaction action = {.sa_flags = 0};

		if (sigaction(number, NULL, &action) != 0)
			continue;
		put(state, "signal %d: %p flags %x blocked %d\n", number,
			(void *)(uintptr_t)action.sa_handler, (unsigned)action.sa_flags,
			sigismember(&mask, number));
	}
}

static void put_limits(struct state *state)
{
	for (int resource = 0; resource < RLIMIT_NLIMITS; resource++) {
		struct rlimit limit;

		if (getrlimit((__rlimit_resource_t)resource, &limit) == 0)
			put(state, "limit %d: %llu %llu\n", resource,
				(unsigned long long)limit.rlim_cur,
				(unsigned long long)limit.rlim_max);
	}
}

/* The lines of /proc/self/status that are no figures. */
static void put_status(struct state *state)
{
	static const char *const names[] = {"Umask:", "NoNewPrivs:", "Seccomp:", "SigIgn:"};
	FILE *file = fopen("/proc/self/status", "re");
	char line[512];

	while (file && fgets(line, sizeof line, file))
		for (size_t i = 0; i < sizeof names / sizeof *names; i++)
			if (strncmp(line, names[i], strlen(names[i])) == 0)
				put(state, "%s", line);
	if (file)
		fclose(file);
}

/* Processes that any thread has started, and what those that have ended have used. */
static void put_children(struct state *state)
{
	DIR *tasks = opendir("/proc/self/task");
	const struct dirent *task;
	struct rusage used;

	while (tasks && (task = readdir(tasks))) {
		char path[300], pids[256] = "";
		FILE *file;

		snprintf(path, sizeof path, "/proc/self/task/%s/children", task->d_name);
		file = task->d_name[0] == '.' ? NULL : fopen(path, "re");
		if (file && fgets(pids, sizeof pids, file))
			put(state, "children of a thread: %s\n", pids);
		if (file)
			fclose(file);
	}
	if (tasks)
		closedir(tasks);
	getrusage(RUSAGE_CHILDREN, &used);
	put(state, "children had: %ld KiB\n", used.ru_maxrss);
}

static void look(struct state *state)
{
	char cwd[4096];
	int reaper = 0, end_signal = 0;

	state->len = 0;
	put(state, "folder: %s\n", getcwd(cwd, sizeof cwd));
	put(state, "locale: %s, of the thread %d\n", setlocale(LC_ALL, NULL),
		uselocale((locale_t)0) != LC_GLOBAL_LOCALE);
	put_signals(state);
	put_limits(state);
	put_status(state);
	put_children(state);
	prctl(PR_GET_CHILD_SUBREAPER, &reaper);
	prctl(PR_GET_PDEATHSIG, &end_signal);
	put(state, "reaper %d, parent's end %d, dumpable %d, nice %d\n", reaper, end_signal,
		prctl(PR_GET_DUMPABLE), getpriority(PRIO_PROCESS, 0));
	for (char **each = environ; *each; each++)
		put(state, "variable at %p: %s\n", (void *)*each, *each);
}

/* Line by line, as far as both go. */
static void compare(const char *when)
{
	char *rest_before = strdup(before.text), *rest_after = after.text, *old = rest_before;
	char *line_before, *line_after;

	look(&after);
	do {
		line_before = strsep(&rest_before, "\n");
		line_after = strsep(&rest_after, "\n");
		if ((line_before != NULL) != (line_after != NULL) ||
			(line_before && strcmp(line_before, line_after) != 0))
			fprintf(out, "%s: %s, was: %s\n", when, line_after ? line_after : "-",
				line_before ? line_before : "-");
	} while (line_before && line_after);
	free(old);
}

/* ---- the client ---- */

static void count_line(int level, double time_s, const char *line, void *user)
{
	(void)level;
	(void)time_s;
	(void)line;
	(void)user;
	lines++;
}

static int fit(const struct flwr_ins *ins, struct flwr_res *res)
{
	compare("in the method");
	res->num_examples = 1;
	if (node)
		flwr_node_stop(node);
	return flwr_record_copy(res->parameters, ins->parameters);
}

static const struct flwr_client client = {.size = sizeof client, .fit = fit};

static int run(const struct flwr_options *options)
{
	int r;

	if (strcmp(options->transport, "grpc-bidi") == 0)
		return flwr_start_client(options);
	r = flwr_node_new(options, &node);
	if (r == 0)
		r = flwr_node_run(node);
	flwr_node_free(node);
	return r;
}

/* ---- the program ---- */

static void on_signal(int number)
{
	(void)number;
}

/* The program changes all that a library might, to values that no other program has. */
static void become_odd(void)
{
	const struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN + 3);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	sigaction(SIGHUP, &action, NULL);
	sigaction(SIGCHLD, &action, NULL);
	signal(SIGUSR2, SIG_IGN);
	umask(0137);
	setlocale(LC_ALL, "C.UTF-8");
}

int main(int argc, char **argv)
{
	const struct flwr_options options = {.size = sizeof options,
		.server_address = argc > 1 ? argv[1] : NULL,
		.transport = argc > 2 ? argv[2] : "grpc-bidi",
		.client = &client,
		.log = count_line,
		.log_level = FLWR_LOG_DEBUG};
	int r;

	if (argc != 4)
		return 2;
	become_odd();
	out = fopen(argv[3], "we");
	if (!out)
		return 2;
	look(&before);
	r = run(&options);
	compare("afterwards");
	fprintf(out, "done: %s, %s\n", flwr_result_name(r), lines > 0 ? "with lines" : "without");
	return fclose(out) == 0 && r == 0 ? 0 : 1;
}
