/*
 * What an app is granted in the strict cage: all that Python and its packages need of the machine,
 * nothing of its data; a home, a directory for temporary files and a working directory of its run;
 * some of the environment.
 */
#include "common/launch/sandbox_internal.h"
#include "common/launch/sandbox_options.h"

#include "common/base/cleanup.h"
#include "common/base/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ABI_PORTS  4 /* Landlock knows of TCP's ports */
#define RUNS_START "runs-"
#define RUNS_BYTES 11 /* with six random letters */
#define RUNS_TRIES 8
/* multiprocessing makes sockets of such names in TMPDIR. */
#define PYTHON_SOCKET "/pymp-xxxxxxxx/listener-xxxxxxxx"
#define SWEEP_MAX     200 /* files that are removed in one go, and levels of directories */
#define REFILLED_MAX  50  /* goes in which a directory has got a new file */

/* Not all of /etc: what an administrator keeps there is data. */
static const char *const readable[] = {"/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin",
	"/sbin", "/proc", "/sys", "/etc/OpenCL", "/etc/alternatives", "/etc/ca-certificates",
	"/etc/crypto-policies", "/etc/fonts", "/etc/gai.conf", "/etc/group", "/etc/host.conf",
	"/etc/hosts", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime",
	"/etc/locale.alias", "/etc/machine-id", "/etc/mime.types", "/etc/nsswitch.conf",
	"/etc/nvidia", "/etc/os-release", "/etc/passwd", "/etc/pki/ca-trust", "/etc/pki/tls/certs",
	"/etc/protocols", "/etc/resolv.conf", "/etc/services", "/etc/ssl/certs",
	"/etc/ssl/openssl.cnf", "/etc/timezone"};

/* Patterns of the files in /dev that apps get. */
static const char *const devices[] = {
	"null", "zero", "full", "random", "urandom", "nvidia*", "kfd", "dri"};

static const char *const kept[] = {
	"PATH,LANG,LANGUAGE,LC_*,TZ,VIRTUAL_ENV,PYTHON*,LD_LIBRARY_PATH,SSL_CERT_FILE,SSL_CERT_DIR",
	"CUDA_*,NVIDIA_*,NCCL_*,CUBLAS_*,HIP_*,ROCR_*,HSA_*,OMP_*,GOMP_*,KMP_*,MKL_*,OPENBLAS_*,NUMEXPR_*,VECLIB_*"};

/* ---- files ---- */

static int grant_real(struct text *rules, const char *word, const char *path)
{
	auto_(free_at_exit) char *real = path ? realpath(path, NULL) : NULL;

	if (!path)
		return -ENOMEM;
	return real ? sandbox_rule(rules, word, real) : 0;
}

/* The right to write lets an app use the ioctls of a device, too. */
static int grant_devices(const struct sandbox *sandbox, struct text *rules)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(devices) && r == 0; i++) {
		auto_(free_at_exit) char *pattern = path_join(sandbox->dev, devices[i]);
		glob_t found = {0};

		if (!pattern)
			return -ENOMEM;
		glob(pattern, 0, NULL, &found);
		for (size_t k = 0; k < found.gl_pathc && r == 0; k++)
			r = grant_real(rules, "write", found.gl_pathv[k]);
		globfree(&found);
	}
	return r;
}

static int grant_system(const struct sandbox *sandbox, struct text *rules)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(readable) && r == 0; i++)
		r = grant_real(rules, "read", readable[i]);
	if (r == 0)
		r = grant_devices(sandbox, rules);
	if (r || access("/dev/shm", F_OK) < 0)
		return r;
	return sandbox_rule(rules, sandbox->mounts ? "fresh" : "write", "/dev/shm");
}

/* path without its last levels; malloc()ed, "" for the root, NULL on no memory. */
static char *above(const char *path, int levels)
{
	char *copy = strdup(path);

	while (copy && levels-- > 0) {
		char *slash = strrchr(copy, '/');

		if (slash)
			*slash = '\0';
	}
	return copy;
}

static bool has(const char *dir, const char *pattern)
{
	auto_(free_at_exit) char *whole = path_join(dir, pattern);
	glob_t found = {0};
	bool is_there = whole && glob(whole, 0, NULL, &found) == 0;

	globfree(&found);
	return is_there;
}

/* A virtual environment, and the Python that it was made of. */
static int grant_python(struct text *rules, const char *interpreter)
{
	auto_(free_at_exit) char *environment = above(interpreter, 2);
	auto_(free_at_exit) char *real = realpath(interpreter, NULL);
	auto_(free_at_exit) char *installed = real ? above(real, 2) : NULL;
	int r = environment ? 0 : -ENOMEM;

	if (r == 0 && has(environment, "pyvenv.cfg"))
		r = grant_real(rules, "read", environment);
	if (r == 0 && real)
		r = sandbox_rule(rules, "read", real);
	if (r == 0 && installed && *installed && has(installed, "lib*/python3*"))
		r = grant_real(rules, "read", installed);
	return r;
}

/* The zygote of a run executes and loads these files. */
static int grant_start(struct text *rules, const char *start)
{
	auto_(free_at_exit) char *dir = NULL;
	auto_(free_at_exit) char *cage = NULL;
	int r;

	if (!start)
		return 0;
	dir = above(start, 1);
	cage = dir ? path_join(dir, "flwr-cage.so") : NULL;
	r = grant_real(rules, "read", start);
	return r ? r : grant_real(rules, "read", cage);
}

/* Our own files that an app process needs. */
static int grant_ours(struct text *rules, const struct sandbox_app *app)
{
	auto_(free_at_exit) char *bridge = realpath(app->bridge, NULL);
	auto_(free_at_exit) char *links = above(app->bridge, 1);
	auto_(free_at_exit) char *files = bridge ? above(bridge, 1) : NULL;
	auto_(free_at_exit) char *prefix = above(app->host, 3);
	auto_(free_at_exit) char *libraries = prefix ? path_join(prefix, "lib") : NULL;
	int r = 0;

	if (app->interpreter) {
		r = grant_real(rules, "read", links);
		if (r == 0 && files)
			r = sandbox_rule(rules, "read", files);
		return r ? r : grant_start(rules, app->start);
	}
	r = grant_real(rules, "read", app->host);
	if (r == 0)
		r = grant_real(rules, "read", libraries);
	return r || !app->file ? r : grant_real(rules, "read", app->file);
}

static int grant_data(const struct sandbox *sandbox, struct text *rules, struct reason *why)
{
	int r = 0;

	for (const char *const *each = sandbox->launch->data_dir.v; r == 0 && *each; each++) {
		auto_(free_at_exit) char *path = NULL;
		bool writable;

		r = sandbox_data_dir(*each, &path, &writable, why);
		if (r == 0)
			r = sandbox_rule(rules, writable ? "write" : "read", path);
	}
	return r;
}

static int grant_network(const struct sandbox *sandbox, struct text *rules, struct reason *why)
{
	const char *network = sandbox->launch->app_network;
	auto_(free_at_exit) char *ports = NULL;
	int r = sandbox_ports(network, &ports, why);

	return r || !network ? r : sandbox_rule(rules, "network", ports ? ports : network);
}

/* ---- directories of the runs ---- */

/* A directory of the apps' user below parent, made if it is not there. */
static int make_dir(const struct sandbox *sandbox, const char *parent, const char *name, char **out)
{
	struct stat st;
	char *path = path_join(parent, name);

	*out = path;
	if (!path)
		return -ENOMEM;
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	/* The app owns what is above: it may have put a link there. */
	if (lstat(path, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	if (st.st_uid != sandbox->uid && lchown(path, sandbox->uid, sandbox->gid) < 0)
		return -errno;
	return 0;
}

static char *setting(const char *name, const char *value)
{
	char *text;

	return asprintf(&text, "%s=%s", name, value) < 0 ? NULL : text;
}

/* Add a malloc()ed setting, or NULL. */
static int add_setting(struct sandbox_cage *out, char *text)
{
	char **at = out->env;

	while (*at)
		at++;
	*at = text;
	return text ? 0 : -ENOMEM;
}

int sandbox_strict_env(const struct sandbox *sandbox, struct sandbox_cage *out)
{
	int r = add_setting(out, strdup("PYTHONNOUSERSITE=1"));

	/* Names are asked for over TCP, the only thing that there is. */
	if (r == 0)
		r = add_setting(out, strdup("RES_OPTIONS=use-vc"));
	for (const char *const *each = sandbox->launch->app_env.v; r == 0 && *each; each++)
		if (strchr(*each, '='))
			r = add_setting(out, strdup(*each));
	out->env_keep = sandbox->keep;
	return r;
}

/* The directory of a run; malloc()ed; NULL on no memory. */
static char *run_dir(const struct sandbox *sandbox, uint64_t run_id)
{
	char name[24];

	snprintf(name, sizeof name, "%" PRIu64, run_id);
	return path_join(sandbox->runs, name);
}

/* Where a run's directory waits to be removed, by its number; as run_dir(). */
static char *ended_dir(const struct sandbox *sandbox, unsigned number)
{
	char name[32];

	snprintf(name, sizeof name, "ended-%u", number);
	return path_join(sandbox->runs, name);
}

void sandbox_strict_run_ended(struct sandbox *sandbox, uint64_t run_id)
{
	auto_(free_at_exit) char *run = run_dir(sandbox, run_id);
	auto_(free_at_exit) char *ended = ended_dir(sandbox, sandbox->n_ended);

	if (run && ended && rename(run, ended) == 0)
		sandbox->n_ended++;
}

bool sandbox_sweep(struct sandbox *sandbox)
{
	auto_(free_at_exit) char *ended = NULL;
	int r = -ENOMEM;

	if (!sandbox || sandbox->n_swept == sandbox->n_ended)
		return false;
	ended = ended_dir(sandbox, sandbox->n_swept);
	if (ended)
		r = dir_remove_some(ended, SWEEP_MAX);
	/* -ENOTEMPTY: a process of the run, which was killed just now, has made a file meanwhile. A
	 * directory that cannot be removed stays until the program ends. */
	if (r == 1 || (r == -ENOTEMPTY && ++sandbox->n_refilled < REFILLED_MAX))
		return true;
	sandbox->n_refilled = 0;
	sandbox->n_swept++;
	return sandbox->n_swept != sandbox->n_ended;
}

static int add_run(const struct sandbox *sandbox, uint64_t run_id, struct text *rules,
	struct sandbox_cage *out)
{
	auto_(free_at_exit) char *run = run_dir(sandbox, run_id);
	auto_(free_at_exit) char *home = NULL;
	auto_(free_at_exit) char *temporary = NULL;
	int r = run ? 0 : -ENOMEM;

	/* Ours: the app can neither remove nor exchange what is in it. */
	if (r == 0 && mkdir(run, 0711) < 0 && errno != EEXIST)
		r = -errno;
	if (r == 0 && chmod(run, 0711) < 0)
		r = -errno;
	if (r == 0)
		r = make_dir(sandbox, run, "home", &home);
	if (r == 0)
		r = make_dir(sandbox, run, "tmp", &temporary);
	if (r == 0)
		r = make_dir(sandbox, run, "work", &out->directory);
	if (r == 0)
		r = sandbox_rule(rules, "write", home);
	if (r == 0)
		r = sandbox_rule(rules, "write", temporary);
	if (r == 0)
		r = sandbox_rule(rules, "write", out->directory);
	if (r == 0)
		r = add_setting(out, setting("HOME", home));
	if (r == 0)
		r = add_setting(out, setting("TMPDIR", temporary));
	return r ? r : sandbox_strict_env(sandbox, out);
}

int sandbox_strict(const struct sandbox *sandbox, const struct sandbox_app *app, struct text *rules,
	struct sandbox_cage *out, struct reason *why)
{
	int r = sandbox_rule(rules, "strict", "");

	if (r == 0)
		r = grant_system(sandbox, rules);
	if (r == 0)
		r = grant_ours(rules, app);
	if (r == 0 && app->interpreter)
		r = grant_python(rules, app->interpreter);
	if (r == 0)
		r = grant_data(sandbox, rules, why);
	if (r == 0 && app->writable)
		r = grant_real(rules, "write", app->writable);
	if (r == 0)
		r = grant_network(sandbox, rules, why);
	if (r == 0)
		r = add_run(sandbox, app->run_id, rules, out);
	return r;
}

/* ---- start and end ---- */

/* The descriptor of the directory, locked; -errno. */
static int lock_runs(const char *path)
{
	auto_(close_at_exit) int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	return st.st_uid == geteuid() ? take_fd(&fd) : -EPERM;
}

/* Remove what programs have left that were killed. */
static void sweep(const char *flwr_home)
{
	auto_(closedir_at_exit) DIR *dir = opendir(flwr_home);
	struct dirent *item;

	while (dir && (item = readdir(dir))) {
		auto_(free_at_exit) char *path = NULL;
		auto_(close_at_exit) int lock = -1;

		if (strncmp(item->d_name, RUNS_START, strlen(RUNS_START)) != 0 ||
			strlen(item->d_name) != RUNS_BYTES)
			continue;
		path = path_join(flwr_home, item->d_name);
		lock = path ? lock_runs(path) : -1;
		if (lock >= 0)
			dir_remove(path);
	}
}

static int make_runs(struct sandbox *sandbox)
{
	auto_(free_at_exit) char *home = NULL;
	int r = dir_make(sandbox->flwr_home, 0755);

	home = r == 0 ? realpath(sandbox->flwr_home, NULL) : NULL;
	if (!home)
		return r ? r : -errno;
	sweep(home);
	/* Somebody who sweeps may be faster. */
	for (int i = 0; i < RUNS_TRIES; i++) {
		auto_(free_at_exit) char *path = path_join(home, RUNS_START "XXXXXX");

		if (!path)
			return -ENOMEM;
		if (!mkdtemp(path))
			return -errno;
		sandbox->runs_lock = lock_runs(path);
		if (sandbox->runs_lock < 0)
			continue;
		sandbox->runs = take_pointer(&path);
		return fchmod(sandbox->runs_lock, 0711) < 0 ? -errno : 0;
	}
	return -EBUSY;
}

int sandbox_strict_new(struct sandbox *sandbox, struct reason *why)
{
	auto_(free_at_exit) char *ports = NULL;
	size_t n = 0;
	int r = sandbox_ports(sandbox->launch->app_network, &ports, why);

	if (r)
		return r;
	if (ports && sandbox->abi < ABI_PORTS)
		return reason_code(why, -EINVAL,
			"--app-network with ports needs Landlock's ABI %d (Linux 6.7), and this kernel has %d: give --app-network all, or leave it out",
			ABI_PORTS, sandbox->abi);
	for (; n < ARRAY_LEN(kept); n++)
		sandbox->keep[n] = kept[n];
	for (const char *const *each = sandbox->launch->app_env.v; *each; each++)
		if (!strchr(*each, '='))
			sandbox->keep[n++] = *each;
	r = make_runs(sandbox);
	return r ? reason_code(why, r, "--sandbox strict: no directory for the runs below %s: %s",
			   sandbox->flwr_home, strerror(-r))
		 : 0;
}

void sandbox_strict_tell(const struct sandbox *sandbox, struct log *log)
{
	static const char below[] = "/18446744073709551615/tmp" PYTHON_SOCKET;
	static const char runs[] = "/" RUNS_START "XXXXXX";
	size_t most = sizeof(((struct sockaddr_un *)NULL)->sun_path) - sizeof below - strlen(runs);

	if (sandbox->runs && strlen(sandbox->runs) > most + strlen(runs))
		log_info(log,
			"apps that use Python's multiprocessing may fail (\"AF_UNIX path too long\"): TMPDIR of a run lies below the Flower home, whose path has more than %zu bytes",
			most);
}

void sandbox_strict_done(struct sandbox *sandbox)
{
	if (sandbox->runs)
		dir_remove(sandbox->runs);
	free(sandbox->runs);
	if (sandbox->runs_lock >= 0)
		close(sandbox->runs_lock);
}
