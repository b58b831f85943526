#include "common/launch/leases.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"

#include <assert.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define VARIABLE       "CUDA_VISIBLE_DEVICES"
#define ASK_MS         10000 /* for nvidia-smi, which starts the driver first */
#define LEASES_MAX     1024
#define TEXT_MAX       4096
#define VALUE_ALPHABET "-_.:/" /* beside letters and digits: indices, UUIDs, MIG instances */

struct leases {
	char **settings;
	bool *taken;
	unsigned n;
};

static int leases_add(struct leases *leases, const char *value, size_t len)
{
	char *setting;

	if (asprintf(&setting, VARIABLE "=%.*s", (int)len, value) < 0)
		return -ENOMEM;
	leases->settings[leases->n++] = setting;
	return 0;
}

static bool is_value(const char *value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)value[i]) && !strchr(VALUE_ALPHABET, value[i]))
			return false;
	return len > 0;
}

static int leases_read(struct leases *leases, const char *text, struct reason *why)
{
	int r = 0;

	for (; r == 0; text++) {
		size_t len = strcspn(text, ",");

		if (!is_value(text, len))
			return reason_code(why, -EINVAL,
				"--gpu-slots must be auto, or values of " VARIABLE
				" with commas between them, as 0,1");
		if (leases->n == LEASES_MAX)
			return reason_code(
				why, -EINVAL, "--gpu-slots has more than %d values", LEASES_MAX);
		r = leases_add(leases, text, len);
		text += len;
		if (!*text)
			break;
	}
	return r;
}

/* ---- auto ---- */

static unsigned count_in_driver(const char *driver_dir)
{
	auto_(closedir_at_exit) DIR *gpus = opendir(driver_dir);
	struct dirent *entry;
	unsigned n = 0;

	while (gpus && (entry = readdir(gpus)))
		n += entry->d_name[0] != '.';
	return n;
}

/* Lines from fd until its end, or until the time is over. */
static unsigned count_lines(int fd)
{
	int64_t end_ms = clock_now_ms() + ASK_MS;
	struct pollfd wanted = {.fd = fd, .events = POLLIN};
	char piece[512];
	unsigned n = 0;

	for (;;) {
		int64_t left_ms = end_ms - clock_now_ms();
		ssize_t got;

		if (left_ms <= 0 || poll(&wanted, 1, (int)left_ms) <= 0)
			return 0;
		got = read(fd, piece, sizeof piece);
		if (got <= 0)
			return n;
		for (ssize_t i = 0; i < got; i++)
			n += piece[i] == '\n';
	}
}

/* Start "nvidia-smi -L", which prints a line for each GPU. */
static int start_asking(int out_fd, pid_t *pid_out)
{
	char *const argv[] = {(char *)"nvidia-smi", (char *)"-L", NULL};
	posix_spawn_file_actions_t actions;
	int r = posix_spawn_file_actions_init(&actions);

	if (r)
		return -r;
	r = posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
	if (r == 0)
		r = posix_spawn_file_actions_addopen(
			&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	if (r == 0)
		r = posix_spawnp(pid_out, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

static unsigned count_by_asking(void)
{
	int ends[2], status = 0;
	unsigned n;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return 0;
	auto_(close_at_exit) int read_end = ends[0];
	auto_(close_at_exit) int write_end = ends[1];
	if (start_asking(write_end, &pid))
		return 0;
	close_fd(&write_end);
	n = count_lines(read_end);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	/* It says on stdout, too, that there is no driver. */
	return WIFEXITED(status) && WEXITSTATUS(status) ? 0 : n;
}

static int leases_find(struct leases *leases, const char *driver_dir, struct reason *why)
{
	const char *own = getenv(VARIABLE);
	unsigned n;
	int r = 0;

	if (own && *own)
		return leases_read(leases, own, why);
	n = count_in_driver(driver_dir);
	if (n == 0)
		n = count_by_asking();
	if (n == 0)
		return reason_code(why, -ENODEV,
			"--gpu-slots auto: there is no GPU of NVIDIA's here (neither %s nor nvidia-smi has one): name the slots, or leave it out",
			driver_dir);
	for (unsigned i = 0; r == 0 && i < n && i < LEASES_MAX; i++) {
		char value[16];

		snprintf(value, sizeof value, "%u", i);
		r = leases_add(leases, value, strlen(value));
	}
	return r;
}

/* ---- all of it ---- */

static void leases_free_at_exit(struct leases **leases)
{
	leases_free(*leases);
}

int leases_new(const char *text, const char *driver_dir, struct leases **out, struct reason *why)
{
	auto_(leases_free_at_exit) struct leases *leases = calloc(1, sizeof *leases);
	int r;

	if (leases) {
		leases->settings = calloc(LEASES_MAX, sizeof *leases->settings);
		leases->taken = calloc(LEASES_MAX, sizeof *leases->taken);
	}
	if (!leases || !leases->settings || !leases->taken)
		return reason_code(why, -ENOMEM, "no memory");
	r = strcmp(text, "auto") == 0 ? leases_find(leases, driver_dir, why)
				      : leases_read(leases, text, why);
	if (r == -ENOMEM)
		reason_set(why, "no memory");
	if (r == 0)
		*out = take_pointer(&leases);
	return r;
}

void leases_free(struct leases *leases)
{
	if (!leases)
		return;
	for (unsigned i = 0; leases->settings && i < leases->n; i++)
		free(leases->settings[i]);
	free(leases->settings);
	free(leases->taken);
	free(leases);
}

unsigned leases_count(const struct leases *leases)
{
	return leases->n;
}

int lease_take(struct leases *leases)
{
	for (unsigned i = 0; i < leases->n; i++) {
		if (!leases->taken[i]) {
			leases->taken[i] = true;
			return (int)i;
		}
	}
	return LEASE_NONE;
}

void lease_give_back(struct leases *leases, int lease)
{
	if (lease == LEASE_NONE)
		return;
	assert(leases->taken[lease]);
	leases->taken[lease] = false;
}

const char *lease_setting(const struct leases *leases, int lease)
{
	return leases->settings[lease];
}

void leases_tell(const struct leases *leases, struct log *log)
{
	char text[TEXT_MAX] = "";
	size_t len = 0;

	for (unsigned i = 0; i < leases->n && len < sizeof text - 1; i++) {
		int more = snprintf(text + len, sizeof text - len, "%s%s", i ? " " : "",
			strchr(leases->settings[i], '=') + 1);

		len += more > 0 ? (size_t)more : 0;
	}
	log_info(log, "each worker has a GPU slot of its own (" VARIABLE "): %s", text);
}
