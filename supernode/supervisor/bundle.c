#include "supernode/supervisor/bundle.h"

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

struct bundles {
	struct loop *loop;
	struct log *log;
	struct process_set *processes;
	const struct trusted *trusted;
	char *reader_path;
	struct bundle *first;
	unsigned count;
	bool stopping;
};

/* One check. */
struct bundle {
	struct bundle *next;
	struct bundles *bundles;
	struct job job;
	uint64_t run_id;
	char hash[SHA256_HEX_BYTES];
	struct slices content;
	struct value_map verifications;
	struct manifest manifest;
	struct reason why;
	int result;
	bundle_fn *done;
	void *arg;
	int file; /* the bundle for the child, in memory */
	int socket;
	struct process *reader;
	struct watch *watch;
	struct timer *late;
	struct text answer;
	bool too_late;
	bool too_much;
};

static void bundle_free(struct bundle *bundle)
{
	if (bundle->watch)
		watch_free(bundle->watch);
	if (bundle->late)
		timer_free(bundle->late);
	close_fd(&bundle->file);
	close_fd(&bundle->socket);
	text_done(&bundle->answer);
	slices_done(&bundle->content);
	value_map_done(&bundle->verifications);
	manifest_done(&bundle->manifest);
	free(bundle);
}

/* Tell how it ended, and forget it. */
static void finish(struct bundle *bundle)
{
	struct bundle **at = &bundle->bundles->first;

	while (*at != bundle)
		at = &(*at)->next;
	*at = bundle->next;
	bundle->bundles->count--;
	if (bundle->result && !bundle->why.text[0])
		reason_set(&bundle->why, "the FAB cannot be read: %s", strerror(-bundle->result));
	bundle->done(bundle->arg, bundle->run_id, bundle->hash, &bundle->content, &bundle->manifest,
		bundle->result ? bundle->why.text : NULL);
	bundle_free(bundle);
}

/* ---- on the io thread ---- */

static int check_signature(struct bundle *bundle)
{
	unsigned char sum[SHA256_BYTES];

	int r = sha256_from_hex(bundle->hash, sum);

	return r ? r
		 : trusted_check(
			   bundle->bundles->trusted, sum, &bundle->verifications, &bundle->why);
}

static int make_file(struct bundle *bundle)
{
	int r;

	bundle->file = memfd_new("flwr-bundle");
	if (bundle->file < 0)
		return bundle->file;
	r = fd_pwrite_slices(bundle->file, &bundle->content, 0);
	return r == 0 && fcntl(bundle->file, F_ADD_SEALS, SEALS) < 0 ? -errno : r;
}

static void bundle_run(struct job *job)
{
	struct bundle *bundle = container_of(job, struct bundle, job);
	const struct fab_limits limits = fab_limits_default();

	bundle->result = fab_check_hash(&bundle->content, bundle->hash, &limits, &bundle->why);
	if (bundle->result == 0 && bundle->bundles->trusted)
		bundle->result = check_signature(bundle);
	if (bundle->result == 0)
		bundle->result = make_file(bundle);
}

/* ---- the child ---- */

/* All that is there of its answer. */
static void take_answer(void *arg, int ready)
{
	struct bundle *bundle = arg;
	char piece[PIECE_BYTES];
	ssize_t n;

	(void)ready;
	while ((n = recv(bundle->socket, piece, sizeof piece, MSG_DONTWAIT)) > 0) {
		if ((size_t)n > MANIFEST_FORM_MAX_BYTES - bundle->answer.len ||
			text_add(&bundle->answer, piece, (size_t)n) < 0) {
			bundle->too_much = true;
			break;
		}
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	watch_free(bundle->watch);
	bundle->watch = NULL;
	if (bundle->too_much)
		process_kill(bundle->reader);
}

static void reader_late(void *arg)
{
	struct bundle *bundle = arg;

	bundle->too_late = true;
	process_kill(bundle->reader);
}

/* What is told of a manifest that the child has not read. */
static int not_read(struct bundle *bundle, const char *cause)
{
	return reason_code(
		&bundle->why, -EBADMSG, "the FAB's pyproject.toml could not be read: %s", cause);
}

static void reader_ended(void *arg, struct process *process, const struct process_end *end)
{
	struct bundle *bundle = arg;
	struct reason why = {0};
	char how[128], cause[192];

	(void)process;
	timer_set(bundle->late, CLOCK_NEVER);
	if (bundle->watch)
		take_answer(bundle, WATCH_READ);
	end_describe(end, how, sizeof how);
	snprintf(cause, sizeof cause, "the program that reads it was %s%s", how,
		end->out_of_memory ? ", out of memory" : "");
	if (bundle->bundles->stopping)
		bundle->result = not_read(bundle, "the SuperNode was stopped");
	else if (bundle->too_late)
		bundle->result = not_read(bundle, "it took longer than 30 s");
	else if (bundle->too_much)
		bundle->result = not_read(bundle, "there is too much in it");
	else if (end->kind == PROCESS_KILLED && end->value == SIGXCPU)
		bundle->result = not_read(bundle, "it took too much time");
	else if (end->kind == PROCESS_KILLED)
		bundle->result = not_read(bundle, cause);
	else if (end->kind != PROCESS_EXITED || end->value != 0)
		bundle->result = not_read(bundle, "the program that reads it failed");
	else
		bundle->result = manifest_form_read(
			bundle->answer.data, bundle->answer.len, &bundle->manifest, &why);
	if (why.text[0])
		bundle->why = why;
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

static int start_reader(struct bundle *bundle, struct reason *why)
{
	struct bundles *bundles = bundle->bundles;
	const char *const argv[] = {bundles->reader_path, NULL};
	struct process_spec spec = {.name = "bundle reader", .argv = argv, .logs = true};
	int ends[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	bundle->socket = ends[0];
	auto_(close_at_exit) int theirs = ends[1];
	spec.fd = theirs;
	bundle->late = timer_new(bundles->loop, reader_late, bundle);
	bundle->watch = watch_new(bundles->loop, bundle->socket, WATCH_READ, take_answer, bundle);
	if (!bundle->late || !bundle->watch)
		return -ENOMEM;
	r = send_file(bundle->socket, bundle->file);
	if (r == 0)
		r = process_start(
			bundles->processes, &spec, &reader_events, bundle, &bundle->reader, why);
	if (r == 0)
		timer_set(bundle->late, clock_after(clock_now_ms(), READ_MS));
	close_fd(&bundle->file);
	return r;
}

static void bundle_done(struct job *job)
{
	struct bundle *bundle = container_of(job, struct bundle, job);
	struct reason why = {0};
	int r;

	if (bundle->result == 0 && bundle->bundles->stopping)
		bundle->result = not_read(bundle, "the SuperNode was stopped");
	if (bundle->result) {
		finish(bundle);
		return;
	}
	r = start_reader(bundle, &why);
	if (r == 0)
		return;
	log_error(bundle->bundles->log, "no FAB can be read: %s",
		why.text[0] ? why.text : strerror(-r));
	bundle->result =
		not_read(bundle, "the SuperNode could not start the program that reads it");
	finish(bundle);
}

/* ---- life ---- */

int bundles_new(struct loop *loop, struct log *log, const struct bundles_options *options,
	struct bundles **out)
{
	struct bundles *bundles = calloc(1, sizeof *bundles);

	if (!bundles)
		return -ENOMEM;
	*bundles = (struct bundles){.loop = loop,
		.log = log,
		.processes = options->processes,
		.trusted = options->trusted,
		.reader_path = strdup(options->reader_path)};
	if (!bundles->reader_path) {
		free(bundles);
		return -ENOMEM;
	}
	*out = bundles;
	return 0;
}

int bundles_check(struct bundles *bundles, uint64_t run_id, const char *hash,
	struct slices *content, struct value_map *verifications, bundle_fn *done, void *arg)
{
	struct bundle *bundle = calloc(1, sizeof *bundle);
	int r;

	if (!bundle) {
		slices_done(content);
		return -ENOMEM;
	}
	bundle->bundles = bundles;
	bundle->job = (struct job){.run = bundle_run, .done = bundle_done};
	bundle->run_id = run_id;
	bundle->verifications = *verifications;
	*verifications = (struct value_map){0};
	snprintf(bundle->hash, sizeof bundle->hash, "%s", hash);
	bundle->done = done;
	bundle->arg = arg;
	bundle->file = bundle->socket = -1;
	r = slices_move(&bundle->content, content);
	if (r == 0)
		r = loop_job(bundles->loop, &bundle->job);
	if (r) {
		slices_done(content);
		bundle_free(bundle);
		return r;
	}
	bundle->next = bundles->first;
	bundles->first = bundle;
	bundles->count++;
	return 0;
}

void bundles_stop(struct bundles *bundles)
{
	bundles->stopping = true;
	for (struct bundle *bundle = bundles->first; bundle; bundle = bundle->next)
		if (bundle->reader)
			process_kill(bundle->reader);
}

unsigned bundles_count(const struct bundles *bundles)
{
	return bundles->count;
}

void bundles_free(struct bundles *bundles)
{
	if (!bundles)
		return;
	bundles_stop(bundles);
	while (bundles->count)
		loop_step(bundles->loop, 1000);
	free(bundles->reader_path);
	free(bundles);
}
