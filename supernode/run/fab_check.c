#include "supernode/run/fab_check.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/files.h"
#include "common/base/sha256.h"
#include "common/fab/manifest_form.h"
#include "common/launch/end.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define READ_MS     30000 /* for reading a manifest, which takes milliseconds */
#define PIECE_BYTES 16384
#define SEALS       (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

struct fab_checks {
	struct loop *loop;
	struct log *log;
	struct process_set *processes;
	const struct trusted *trusted;
	char *reader_path;
	struct fab_check *first;
	unsigned count;
	bool stopping;
};

struct fab_check {
	struct fab_check *next;
	struct fab_checks *checks;
	struct job job;
	uint64_t run_id;
	char hash[SHA256_HEX_BYTES];
	struct checked_fab fab;
	struct value_map verifications;
	struct reason why;
	int result;
	fab_check_fn *done;
	void *arg;
	int file; /* the FAB for the child, in memory */
	int socket;
	struct process *reader;
	struct watch *watch;
	struct timer *late;
	struct text answer;
	bool too_late;
	bool too_much;
};

static void check_free(struct fab_check *check)
{
	if (check->watch)
		watch_free(check->watch);
	if (check->late)
		timer_free(check->late);
	close_fd(&check->file);
	close_fd(&check->socket);
	text_done(&check->answer);
	value_map_done(&check->verifications);
	checked_fab_done(&check->fab);
	free(check);
}

/* Tell how it ended, and forget it. */
static void finish(struct fab_check *check)
{
	struct fab_check **at = &check->checks->first;

	while (*at != check)
		at = &(*at)->next;
	*at = check->next;
	check->checks->count--;
	if (check->result && !check->why.text[0])
		reason_set(&check->why, "the FAB cannot be read: %s", strerror(-check->result));
	check->fab.hash = check->hash;
	check->done(check->arg, check->run_id, &check->fab, check->result ? check->why.text : NULL);
	check_free(check);
}

/* ---- on the io thread ---- */

static int check_signature(struct fab_check *check)
{
	unsigned char sum[SHA256_BYTES];

	int r = sha256_from_hex(check->hash, sum);

	return r ? r
		 : trusted_check(check->checks->trusted, sum, &check->verifications, &check->why);
}

static int make_file(struct fab_check *check)
{
	int r;

	check->file = memfd_new("flwr-fab");
	if (check->file < 0)
		return check->file;
	r = fd_pwrite_slices(check->file, &check->fab.content, 0);
	return r == 0 && fcntl(check->file, F_ADD_SEALS, SEALS) < 0 ? -errno : r;
}

static void check_run(struct job *job)
{
	struct fab_check *check = container_of(job, struct fab_check, job);
	const struct fab_limits limits = fab_limits_default();

	check->result = fab_check_hash(&check->fab.content, check->hash, &limits, &check->why);
	if (check->result == 0 && check->checks->trusted)
		check->result = check_signature(check);
	if (check->result == 0)
		check->result = make_file(check);
}

/* ---- the child ---- */

/* Take what is there of the child's answer. */
static void take_answer(void *arg, int ready)
{
	struct fab_check *check = arg;
	char piece[PIECE_BYTES];
	ssize_t n;

	(void)ready;
	while ((n = recv(check->socket, piece, sizeof piece, MSG_DONTWAIT)) > 0) {
		if ((size_t)n > MANIFEST_FORM_MAX_BYTES - check->answer.len ||
			text_add(&check->answer, piece, (size_t)n) < 0) {
			check->too_much = true;
			break;
		}
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	watch_free(check->watch);
	check->watch = NULL;
	if (check->too_much)
		process_kill(check->reader);
}

static void reader_late(void *arg)
{
	struct fab_check *check = arg;

	check->too_late = true;
	process_kill(check->reader);
}

/* Say why the child has not read the manifest. */
static int not_read(struct fab_check *check, const char *cause)
{
	return reason_code(
		&check->why, -EBADMSG, "the FAB's pyproject.toml could not be read: %s", cause);
}

static void reader_ended(void *arg, struct process *process, const struct process_end *end)
{
	struct fab_check *check = arg;
	struct reason why = {0};
	char how[128], cause[192];

	(void)process;
	timer_set(check->late, CLOCK_NEVER);
	if (check->watch)
		take_answer(check, WATCH_READ);
	end_describe(end, how, sizeof how);
	snprintf(cause, sizeof cause, "the program that reads it was %s%s", how,
		end->out_of_memory ? ", out of memory" : "");
	if (check->checks->stopping)
		check->result = not_read(check, "the SuperNode was stopped");
	else if (check->too_late)
		check->result = not_read(check, "it took longer than 30 s");
	else if (check->too_much)
		check->result = not_read(check, "there is too much in it");
	else if (end->kind == PROCESS_KILLED && end->value == SIGXCPU)
		check->result = not_read(check, "it took too much time");
	else if (end->kind == PROCESS_KILLED)
		check->result = not_read(check, cause);
	else if (end->kind != PROCESS_EXITED || end->value != 0)
		check->result = not_read(check, "the program that reads it failed");
	else
		check->result = manifest_form_read(
			check->answer.data, check->answer.len, &check->fab.manifest, &why);
	if (why.text[0])
		check->why = why;
}

static void reader_gone(void *arg, struct process *process)
{
	(void)process;
	finish(arg);
}

static const struct process_ops reader_events = {.ended = reader_ended, .gone = reader_gone};

static int send_file(int socket, int file)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} space = {.bytes = {0}};
	char byte = 0;
	struct iovec piece = {&byte, 1};
	struct msghdr message = {.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = space.bytes,
		.msg_controllen = sizeof space.bytes};
	struct cmsghdr *with = CMSG_FIRSTHDR(&message);

	with->cmsg_level = SOL_SOCKET;
	with->cmsg_type = SCM_RIGHTS;
	with->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(with), &file, sizeof(int));
	return sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

static int start_reader(struct fab_check *check, struct reason *why)
{
	struct fab_checks *checks = check->checks;
	const char *const argv[] = {checks->reader_path, NULL};
	struct process_spec spec = {.name = "bundle reader",
		.argv = argv,
		.logs = true,
		.ops = &reader_events,
		.arg = check};
	int ends[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	check->socket = ends[0];
	auto_(close_at_exit) int theirs = ends[1];
	spec.fd = theirs;
	check->late = timer_new(checks->loop, reader_late, check);
	check->watch = watch_new(checks->loop, check->socket, WATCH_READ, take_answer, check);
	if (!check->late || !check->watch)
		return -ENOMEM;
	r = send_file(check->socket, check->file);
	if (r == 0)
		r = process_start(checks->processes, &spec, &check->reader, why);
	if (r == 0)
		timer_set(check->late, clock_after(clock_now_ms(), READ_MS));
	close_fd(&check->file);
	return r;
}

static void check_done(struct job *job)
{
	struct fab_check *check = container_of(job, struct fab_check, job);
	struct reason why = {0};
	int r;

	if (check->result == 0 && check->checks->stopping)
		check->result = not_read(check, "the SuperNode was stopped");
	if (check->result) {
		finish(check);
		return;
	}
	r = start_reader(check, &why);
	if (r == 0)
		return;
	log_error(check->checks->log, "no FAB can be read: %s",
		why.text[0] ? why.text : strerror(-r));
	check->result = not_read(check, "the SuperNode could not start the program that reads it");
	finish(check);
}

/* ---- life ---- */

int fab_checks_new(struct loop *loop, struct log *log, const struct fab_checks_options *options,
	struct fab_checks **out)
{
	struct fab_checks *checks = calloc(1, sizeof *checks);

	if (!checks)
		return -ENOMEM;
	*checks = (struct fab_checks){.loop = loop,
		.log = log,
		.processes = options->processes,
		.trusted = options->trusted,
		.reader_path = strdup(options->reader_path)};
	if (!checks->reader_path) {
		free(checks);
		return -ENOMEM;
	}
	*out = checks;
	return 0;
}

int fab_checks_start(struct fab_checks *checks, uint64_t run_id, struct unchecked_fab *fab,
	fab_check_fn *done, void *arg)
{
	struct fab_check *check = calloc(1, sizeof *check);
	int r;

	if (!check) {
		slices_done(&fab->content);
		return -ENOMEM;
	}
	check->checks = checks;
	check->job = (struct job){.run = check_run, .done = check_done};
	check->run_id = run_id;
	check->verifications = fab->verifications;
	fab->verifications = (struct value_map){0};
	snprintf(check->hash, sizeof check->hash, "%s", fab->hash);
	check->done = done;
	check->arg = arg;
	check->file = check->socket = -1;
	r = slices_move(&check->fab.content, &fab->content);
	if (r == 0)
		r = loop_job(checks->loop, &check->job);
	if (r) {
		slices_done(&fab->content);
		check_free(check);
		return r;
	}
	check->next = checks->first;
	checks->first = check;
	checks->count++;
	return 0;
}

void fab_checks_stop(struct fab_checks *checks)
{
	checks->stopping = true;
	for (struct fab_check *check = checks->first; check; check = check->next)
		if (check->reader)
			process_kill(check->reader);
}

unsigned fab_checks_count(const struct fab_checks *checks)
{
	return checks->count;
}

void fab_checks_free(struct fab_checks *checks)
{
	if (!checks)
		return;
	fab_checks_stop(checks);
	while (checks->count)
		loop_step(checks->loop, 1000);
	free(checks->reader_path);
	free(checks);
}
