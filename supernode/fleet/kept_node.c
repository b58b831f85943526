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

uint64_t kept_node_read(const char *dir, const struct auth *auth)
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
	return r;
}

void kept_node_write(const char *dir, const struct auth *auth, uint64_t node_id, struct log *log)
{
	char hex[SHA256_HEX_BYTES], line[LINE_BYTES];
	int r;

	if (!dir || kept_node_read(dir, auth) == node_id)
		return;
	r = node_id ? key_hash(auth, hex) : forget(dir);
	if (r == 0 && node_id) {
		snprintf(line, sizeof(line), "%s %" PRIu64 "\n", hex, node_id);
		r = write_line(dir, line);
	}
	if (r)
		log_warn(log, "the node's number cannot be kept in %s: %s", dir,
			strerrordesc_np(-r));
}
