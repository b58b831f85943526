#include "zygote_rig.h"

#include "common/launch/agent_internal.h"
#include "common/launch/memory_pressure.h"

#include <signal.h>

/* The bridge, with an app that says which process it is in, below whom, and what it has. */
static const char bridge[] =
	"import importlib.util, os, socket, sys\n"
	"spec = importlib.util.spec_from_file_location('bridge', '" BRIDGE "/__init__.py')\n"
	"sys.modules['bridge'] = importlib.util.module_from_spec(spec)\n"
	"from bridge import zygote\n"
	"start = os.environ.pop('FLWR_APP_ZYGOTE', None)\n"
	"sock = socket.socket(fileno=int(os.environ.pop('FLWR_APP_FD')))\n"
	"load_app = globals().get('load_app')\n"
	"fork = zygote.serve(sock, start, load, load_app) if start else None\n"
	"if fork and load_app:\n"
	"    fork.load_app('/nowhere', 'a', '1', 'h')\n"
	"sock = fork.socket if fork else sock\n"
	"with open(f'/proc/{os.getppid()}/comm') as file:\n"
	"    parent = file.read().strip()\n"
	"has = 'fractions' in sys.modules\n"
	"user = os.getresuid()[2]\n"
	"ahead = fork.preloaded.result if fork and fork.preloaded else None\n"
	"sock.send(f'pid={os.getpid()} parent={parent} fractions={has} fork={bool(fork)} user={user}. ahead={ahead}.'.encode())\n"
	"import fractions\n"
	"if not fork and 'waits' in globals():\n"
	"    sock.recv(1)\n"
	"if fork:\n"
	"    fork.replied()\n";

/* ---- memory ---- */

const char *short_group;
void (*short_fn)(void *arg);
void *short_arg;
unsigned watched;

struct memory_pressure *__wrap_memory_pressure_new(
	struct loop *loop, const char *group, void (*fn)(void *arg), void *arg);
void __wrap_memory_pressure_free(struct memory_pressure *pressure);

struct memory_pressure *__wrap_memory_pressure_new(
	struct loop *loop, const char *group, void (*fn)(void *arg), void *arg)
{
	assert_non_null(loop);
	short_group = group;
	short_fn = fn;
	short_arg = arg;
	watched++;
	return (struct memory_pressure *)&watched;
}

void __wrap_memory_pressure_free(struct memory_pressure *pressure)
{
	if (pressure)
		watched--;
}

/* ---- messages ---- */

void keeper_init(struct keeper *keeper, struct rig *rig, const char *load)
{
	keeper_init_with(keeper, rig, load, false);
}

void keeper_init_with(struct keeper *keeper, struct rig *rig, const char *load, bool installs)
{
	char text[4096];

	snprintf(text, sizeof text, "import os, socket\n%s%s", load, bridge);
	script_new(keeper->script, text);
	rig->launch = (struct launch_options){.python = "/usr/bin/python3",
		.log_level = LOG_LEVEL_DEBUG,
		.installs_dependencies = installs,
		.app_exit_grace_ms = 300};
	rig->paths = (struct launch_paths){.worker = (char *)LAUNCH_HELPER,
		.start = (char *)APP_START,
		.bridge = keeper->script};
	watched = 0;
	/* What is due later is held, and made due by the test. */
	rig_long_waits = false;
	assert_int_equal(agent_new(rig->loop, rig->log,
				 &(struct agent_options){.launch = &rig->launch,
					 .paths = &rig->paths,
					 .warm_idle_ms = IDLE_MS,
					 .warm_python = true},
				 &keeper->agent),
		0);
}

void keeper_free(struct keeper *keeper)
{
	agent_free(keeper->agent);
	unlink(keeper->script);
	assert_int_equal(watched, 0);
}

struct worker_process *begin(
	struct keeper *keeper, const char *name, uint64_t behaviour, struct seen *seen)
{
	return worker_begin(keeper->agent, name, behaviour, seen);
}

void message(struct rig *rig, struct keeper *keeper, const char *name)
{
	message_of(rig, keeper, name, 4);
}

void message_of(struct rig *rig, struct keeper *keeper, const char *name, uint64_t behaviour)
{
	struct seen seen;
	char ended[64];

	begin(keeper, name, behaviour, &seen);
	rig_until(rig, &seen.gone);
	assert_int_equal(seen.end.kind, PROCESS_EXITED);
	assert_int_equal(seen.end.value, 0);
	snprintf(ended, sizeof ended, " %s out: app ended kind=0 value=0", name);
	assert_int_equal(rig_log_count(rig, ended), 1);
}

bool said(struct rig *rig, const char *name, const char *what)
{
	char start[64];
	const char *line, *end, *found;

	snprintf(start, sizeof start, " %s out: app said ", name);
	line = strstr(rig_log(rig), start);
	assert_non_null(line);
	end = strchr(line, '\n');
	found = strstr(line, what);
	return found && found < end;
}

bool was_forked(struct rig *rig, const char *name)
{
	assert_true(said(rig, name, "parent=flwr-app-start"));
	return said(rig, name, "fork=True");
}

int last_of(struct rig *rig, const char *text)
{
	int pids[32];
	size_t n = rig_log_numbers(rig, text, pids, 32);

	assert_true(n > 0);
	return pids[n - 1];
}

int zygote_of(struct rig *rig)
{
	return last_of(rig, "zygote: started pid=");
}

void until_forks(struct rig *rig, unsigned n)
{
	kit_loop_until(rig->loop, rig_log_count(rig, "fork of the zygote: forked pid=") >= n);
}

/* From the last place of what in text on. */
static const char *from_last(const char *text, const char *what)
{
	const char *found = strstr(text, what), *next;

	assert_non_null(found);
	while ((next = strstr(found + 1, what)))
		found = next;
	return found;
}

void until_ready(struct rig *rig, unsigned n)
{
	static const char ready[] = ": ready";

	kit_loop_until(rig->loop, rig_log_count(rig, ready) == n);
	kit_loop_until(
		rig->loop, strstr(from_last(rig_log(rig), ready), "fork of the zygote: forked"));
}

unsigned n_taken;

int __real_zygote_use(struct zygote *zygote, const struct app_process_spec *wanted,
	const char *python, const struct app_start *start, struct sandbox_cage *cage,
	struct reason *why);
int __wrap_zygote_use(struct zygote *zygote, const struct app_process_spec *wanted,
	const char *python, const struct app_start *start, struct sandbox_cage *cage,
	struct reason *why);

int __wrap_zygote_use(struct zygote *zygote, const struct app_process_spec *wanted,
	const char *python, const struct app_start *start, struct sandbox_cage *cage,
	struct reason *why)
{
	int r = __real_zygote_use(zygote, wanted, python, start, cage, why);

	n_taken += r == 0;
	return r;
}

void warm_up(struct rig *rig, struct keeper *keeper, const char *load)
{
	keeper_init(keeper, rig, load);
	message(rig, keeper, "1");
	assert_false(was_forked(rig, "1"));
	until_forks(rig, 1);
}

int stop_fork_ahead(struct rig *rig)
{
	int child = last_of(rig, "fork of the zygote: forked pid=");

	kit_loop_until(rig->loop, getsid(child) == child);
	assert_int_equal(kill(-child, SIGSTOP), 0);
	return child;
}
