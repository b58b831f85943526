/*
 * launch_options: what both programs' command lines say about workers and apps, and the log. Main
 * thread, at the start; afterwards it is only read.
 */
#ifndef FLWR_LAUNCH_LAUNCH_OPTIONS_H
#define FLWR_LAUNCH_LAUNCH_OPTIONS_H

#include "common/base/log.h"
#include "common/base/options.h"

/* Part of each program's options struct. NULL: not given. */
struct launch_options {
	const char *flwr_dir; /* NULL: the usual places */
	const char *python;   /* NULL: $VIRTUAL_ENV/bin/python3, else python3 on PATH */
	const char *app_user;
	struct option_names app_env_hide;
	struct option_names native_app;   /* as native_apps.h reads them */
	struct option_names allow_native; /* "PUBLISHER/NAME" */
	const char *sandbox;   /* "node", "strict", "off"; NULL: node, where there can be a cage */
	bool app_dir_writable; /* in a cage: apps may write beside their files */
	/* The strict cage has these. */
	struct option_names data_dir;  /* "DIR", "DIR:ro", "DIR:rw" */
	const char *app_network;       /* "all" or "HOST:PORT,..."; NULL: none */
	struct option_names app_env;   /* "NAME" or "NAME=VALUE" */
	bool installs_dependencies;    /* of apps, at run time */
	const char *dependency_index;  /* a URL, a directory, "none"; NULL: the tool's own */
	int64_t dependency_timeout_ms; /* -1 before launch_options_check(): not given */
	int64_t grace_ms;              /* for the messages at work when the program is stopped */
	int64_t app_exit_grace_ms; /* for an app to end by itself when its reply was taken over */
	int64_t warm_idle_ms;      /* for a spare worker without a message; -1: not given; then the
				      program sets LAUNCH_WARM_IDLE_MS or, where there is none, 0 */
	struct option_names preload; /* lists "MODULE,MODULE"; or "none" */
	bool no_preload;             /* it is "none": no Python is warm */
	int64_t max_workers;         /* messages at work at a time */
	/* The app of each worker has these limits; 0: none. */
	uint64_t worker_memory_bytes;
	int64_t worker_cpus, worker_pids;
	const char *gpu_slots;  /* as leases.h reads them; NULL: none */
	const char *app_output; /* "log", "pass" or NULL */
	bool passes_output; /* what apps print goes to our stdout and stderr, not into the log */
	bool stderr_in_replies; /* may error replies quote the stderr of an app? */
	bool restarts;          /* the program asks its reaper to start it again when it fails */
	const char *log_level_text;
	enum log_level log_level;
};

#define LAUNCH_WARM_IDLE_MS 600000
#define LAUNCH_WORKERS_MAX  1024

extern const char *const launch_outputs[], *const launch_log_levels[], *const launch_sandboxes[];

/* Their rows. launch is the place of the struct in the program's own. */
#define LAUNCH_AT(launch, member) ((launch) + offsetof(struct launch_options, member))
#define LAUNCH_ROW_FLWR_DIR(launch)                                                                \
	ROW_PATH("flwr-dir", LAUNCH_AT(launch, flwr_dir), "DIR",                                   \
		"Apps are installed below it (default: $FLWR_HOME, else $HOME/.flwr, else $XDG_DATA_HOME/.flwr).")
#define LAUNCH_ROW_PYTHON(launch)                                                                  \
	ROW_PATH("python", LAUNCH_AT(launch, python), "PATH",                                      \
		"The interpreter that runs apps, with the flwr package installed (default: $VIRTUAL_ENV/bin/python3, else python3 on PATH).")
#define LAUNCH_ROW_APP_USER(launch)                                                                \
	ROW_TEXT("app-user", LAUNCH_AT(launch, app_user), "USER",                                  \
		"As root: apps run as this user, a name, UID or UID:GID (default: as root).")
#define LAUNCH_ROW_APP_ENV_HIDE(launch)                                                            \
	ROW_NAMES("app-env-hide", LAUNCH_AT(launch, app_env_hide), "NAMES",                        \
		"Environment variables that apps do not get; a name may end in *. Can be given several times.")
#define LAUNCH_ROW_SANDBOX(launch)                                                                 \
	ROW_CHOICE("sandbox", LAUNCH_AT(launch, sandbox), launch_sandboxes, "CAGE",                \
		"What apps can reach: node (default, where the kernel has Landlock): all but what belongs to this program, its memory, and other apps; strict: only what is named; off: what their user can.")
#define LAUNCH_ROW_APP_DIR_WRITABLE(launch)                                                        \
	ROW_FLAG("app-dir-writable", LAUNCH_AT(launch, app_dir_writable),                          \
		"In a cage apps may write beside their own files (default: that directory is read-only).")
#define LAUNCH_ROW_DATA_DIR(launch)                                                                \
	ROW_TEXTS("data-dir", LAUNCH_AT(launch, data_dir), "DIR[:ro|:rw]",                         \
		"With --sandbox strict: a directory or file that apps may read (ro, default) or write, too (rw). Can be given several times.")
#define LAUNCH_ROW_APP_NETWORK(launch)                                                             \
	ROW_TEXT("app-network", LAUNCH_AT(launch, app_network), "all|HOST:PORT,...",               \
		"With --sandbox strict: the network that apps have; with ports, TCP connections to these ports of any host (default: none).")
#define LAUNCH_ROW_APP_ENV(launch)                                                                 \
	ROW_TEXTS("app-env", LAUNCH_AT(launch, app_env), "NAME[=VALUE]",                           \
		"With --sandbox strict: an environment variable that apps get, too, of this program or with this value. Can be given several times.")
#define LAUNCH_ROW_NATIVE_APP(launch)                                                              \
	ROW_TEXTS("native-app", LAUNCH_AT(launch, native_app), "APP",                              \
		"PUBLISHER/NAME=FILE.so[:SYMBOL]: that app runs from this shared object, without Python; or a directory with files PUBLISHER/NAME.so. Can be given several times.")
#define LAUNCH_ROW_ALLOW_NATIVE(launch)                                                            \
	ROW_TEXTS("allow-native", LAUNCH_AT(launch, allow_native), "PUBLISHER/NAME",               \
		"That app may bring a shared object of its own (clientapp = \"native:FILE.so\"). Can be given several times.")
#define LAUNCH_ROW_GRACE(launch, help)                                                             \
	ROW_SECONDS("grace", LAUNCH_AT(launch, grace_ms), 0, OPTION_DAY_MS, help)
#define LAUNCH_ROW_APP_EXIT_GRACE(launch)                                                          \
	ROW_SECONDS("app-exit-grace", LAUNCH_AT(launch, app_exit_grace_ms), 0, OPTION_DAY_MS,      \
		"For an app to end by itself when its reply was taken over: its threads, exit handlers and open files (default 30).")
#define LAUNCH_ROW_WARM_IDLE(launch)                                                               \
	ROW_SECONDS("warm-idle", LAUNCH_AT(launch, warm_idle_ms), 0, OPTION_DAY_MS,                \
		"A worker that has been started ahead is kept for so long without a message; 0: none is (default 600).")
#define LAUNCH_ROW_PRELOAD(launch)                                                                 \
	ROW_TEXTS("preload", LAUNCH_AT(launch, preload), "MODULES|none",                           \
		"Python modules that the process which apps are forked from imports beside flwr, numpy and what apps have imported, with commas between; none: each app starts a Python of its own. Can be given several times.")
#define LAUNCH_ROW_MAX_WORKERS(launch, help)                                                       \
	ROW_INTEGER("max-workers", LAUNCH_AT(launch, max_workers), 1, LAUNCH_WORKERS_MAX, "N", help)
#define LAUNCH_ROW_WORKER_MEMORY(launch)                                                           \
	ROW_BYTES("worker-memory", LAUNCH_AT(launch, worker_memory_bytes), 1 << 20, INT64_MAX,     \
		"Memory that the app of each worker may use, with K, M or G (default: not limited).")
#define LAUNCH_ROW_WORKER_CPUS(launch)                                                             \
	ROW_INTEGER("worker-cpus", LAUNCH_AT(launch, worker_cpus), 1, 65536, "N",                  \
		"CPUs that the app of each worker may use (default: not limited).")
#define LAUNCH_ROW_WORKER_PIDS(launch)                                                             \
	ROW_INTEGER("worker-pids", LAUNCH_AT(launch, worker_pids), 1, 4194304, "N",                \
		"Processes and threads that the app of each worker may have (default: not limited).")
#define LAUNCH_ROW_GPU_SLOTS(launch)                                                               \
	ROW_TEXT("gpu-slots", LAUNCH_AT(launch, gpu_slots), "LIST|auto",                           \
		"Each worker has one of these GPUs for itself: values of CUDA_VISIBLE_DEVICES, as 0,1; auto: all that there are. Not more workers than these are at work.")
#define LAUNCH_ROW_APP_OUTPUT(launch)                                                              \
	ROW_CHOICE("app-output", LAUNCH_AT(launch, app_output), launch_outputs, "WAY",             \
		"What apps print: log (default) puts it into the log by lines; pass hands it through to stdout and stderr as it is.")
#define LAUNCH_ROW_STDERR_IN_REPLIES(launch)                                                       \
	ROW_FLAG("stderr-in-replies", LAUNCH_AT(launch, stderr_in_replies),                        \
		"Send an app's last lines of stderr in error replies, too.")
#define LAUNCH_ROW_NO_STDERR_IN_REPLIES(launch, help)                                              \
	ROW_OFF("no-stderr-in-replies", LAUNCH_AT(launch, stderr_in_replies), help)
#define LAUNCH_ROW_RESTART(launch)                                                                 \
	ROW_FLAG("restart", LAUNCH_AT(launch, restarts),                                           \
		"When the program crashes, is killed or gives up, it is started again, after 1 s at first and up to 60 s (default: it ends).")
#define LAUNCH_ROW_LOG_LEVEL(launch)                                                               \
	ROW_CHOICE("log-level", LAUNCH_AT(launch, log_level_text), launch_log_levels, "LEVEL",     \
		"error, warn, info or debug (default: $FLWR_LOG_LEVEL, else info).")
#define LAUNCH_ROW_DEPENDENCIES(launch)                                                            \
	ROW_FLAG("allow-runtime-dependency-installation",                                          \
		LAUNCH_AT(launch, installs_dependencies),                                          \
		"Install what an app's pyproject.toml asks for and the interpreter does not have, before its first message.")
#define LAUNCH_ROW_DEPENDENCY_INDEX(launch)                                                        \
	ROW_PATH("dependency-index", LAUNCH_AT(launch, dependency_index), "URL|DIR|none",          \
		"With it: packages come from this index alone, from the wheels in DIR, or must be there (default: as uv or pip are set up).")
#define LAUNCH_ROW_DEPENDENCY_TIMEOUT(launch)                                                      \
	ROW_SECONDS("dependency-timeout", LAUNCH_AT(launch, dependency_timeout_ms), 1000,          \
		OPTION_DAY_MS, "With it: how long an installation may take (default 600).")

/* Is --preload given, and would it do something? For programs without messages that follow. */
bool launch_options_preloads(const struct launch_options *options);

/*
 * After options_parse(): set passes_output, no_preload and log_level, look at the directory. 0;
 * -EINVAL or another -errno with a sentence.
 */
int launch_options_check(struct launch_options *options, struct reason *why);

#endif
