/*
 * kept_node: one line, "<SHA-256 of the public key> <number>", written beside and renamed.
 */
#include "supernode/fleet/kept_node.h"

#include "common/base/cleanup.h"
#include "common/base/files.h"
#include "common/base/number.h"
#include "common/base/sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES 128
#define HEX_DIGITS (SHA256_HEX_BYTES - 1)

static int key_hash(const struct auth *auth, char hex[SHA256_HEX_BYTES])
{
	struct sha256 *hash = sha256_new();
	size_t len;
	const char *pem = auth_public_key(auth, &len);

	if (!hash)
		return -ENOMEM;
	sha256_add(hash, pem, len);
	sha256_hex(hash, hex);
	sha256_free(hash);
	return 0;
}

static uint64_t read_file(const char *dir, const struct auth *auth)
{
	auto_(free_at_exit) char *path = dir ? path_join(dir, KEPT_NODE_FILE) : NULL;
	auto_(free_at_exit) char *text = NULL;
	char hex[SHA256_HEX_BYTES];
	uint64_t node_id = 0;
	size_t len;

	if (!path || file_read(path, LINE_BYTES, &text, &len) || key_hash(auth, hex))
		return 0;
	text[strcspn(text, "\n")] = '\0';
	if (strncmp(text, hex, HEX_DIGITS) != 0 || text[HEX_DIGITS] != ' ' ||
		number_u64(text + HEX_DIGITS + 1, &node_id))
		return 0;
	return node_id;
}

static int forget(const char *dir)
{
	auto_(free_at_exit) char *path = path_join(dir, KEPT_NODE_FILE);

	if (!path)
		return -ENOMEM;
	return unlink(path) && errno != ENOENT ? -errno : 0;
}

static int sync_dir(const char *dir)
{
	auto_(close_at_exit) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) ? -errno : 0;
}

static int write_line(const char *dir, const char *line)
{
	auto_(free_at_exit) char *path = path_join(dir, KEPT_NODE_FILE);
	auto_(free_at_exit) char *fresh = path_join(dir, KEPT_NODE_FILE ".new");
	auto_(close_at_exit) int fd = -1;
	int r;

	if (!path || !fresh)
		return -ENOMEM;
	r = dir_make(dir, 0700);
	if (r)
		return r;
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	r = fd_write_all(fd, line, strlen(line));
	if (r == 0 && (fsync(fd) || rename(fresh, path)))
		r = -errno;
	/* Without this the new name may be lost when the power fails. */
	return r ? r : sync_dir(dir);
}

/* A number that is being written. */
struct write_job {
	struct job job;
	struct kept_node *kept;
	char line[LINE_BYTES]; /* "": none is kept any more */
	int r;
};

static void writing_run(struct job *job)
{
	struct write_job *writing = container_of(job, struct write_job, job);
	const char *dir = writing->kept->dir;

	writing->r = writing->line[0] ? write_line(dir, writing->line) : forget(dir);
}

static void say_written(const struct write_job *writing)
{
	if (writing->r)
		log_warn(writing->kept->log, "the node's number cannot be kept in %s: %s",
			writing->kept->dir, strerrordesc_np(-writing->r));
}

static void writing_done(struct job *job)
{
	auto_(free_at_exit) struct write_job *writing = container_of(job, struct write_job, job);
	struct kept_node *kept = writing->kept;

	say_written(writing);
	kept->writing--;
	kept->written(kept->arg);
}

static void write_file(struct kept_node *kept, const struct auth *auth)
{
	auto_(free_at_exit) struct write_job *writing = calloc(1, sizeof *writing);
	char hex[SHA256_HEX_BYTES];

	if (!writing || key_hash(auth, hex)) {
		log_warn(kept->log, "the node's number cannot be kept: no memory");
		return;
	}
	writing->job = (struct job){.run = writing_run, .done = writing_done};
	writing->kept = kept;
	if (kept->id)
		snprintf(writing->line, sizeof writing->line, "%s %" PRIu64 "\n", hex, kept->id);
	if (kept->loop && loop_job(kept->loop, &writing->job) == 0) {
		kept->writing++;
		take_pointer(&writing);
		return;
	}
	writing_run(&writing->job);
	say_written(writing);
}

uint64_t kept_node_get(struct kept_node *kept, const struct auth *auth)
{
	if (!kept->id)
		kept->id = read_file(kept->dir, auth);
	return kept->dead ? 0 : kept->id;
}

void kept_node_set(struct kept_node *kept, const struct auth *auth, uint64_t id)
{
	kept->id = id;
	kept->dead = false;
	if (kept->dir)
		write_file(kept, auth);
}
