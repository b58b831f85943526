/*
 * fab: the check of a Flower App Bundle as it arrived: against its announced hash, and by its
 * pyproject.toml. Blocks on hashing and reading (jobs' thread or a worker's main thread); knows no
 * network, no process.
 */
#ifndef FLWR_FAB_FAB_H
#define FLWR_FAB_FAB_H

#include "common/app/checked_fab.h"
#include "common/base/reason.h"

#include <stddef.h>
#include <stdint.h>

/* Defaults of struct fab_limits (docs/protocol.md, FAB), with FAB_RECEIVED_MAX_BYTES. */
#define FAB_UNPACKED_MAX_BYTES  (512ULL << 20)
#define FAB_FILES_MAX           10000
#define FAB_RATIO_MAX           100 /* unpacked size of a file by its packed size */
#define FAB_PYPROJECT_MAX_BYTES (128U << 10)

struct fab_limits {
	uint64_t received_max_bytes;
	uint64_t unpacked_max_bytes;
	uint64_t files_max;
};

struct fab_limits fab_limits_default(void);

/*
 * Check that the SHA-256 of content is hash (lower-case hex, as in Run.fab_hash). 0; -EBADMSG with
 * a sentence; -EFBIG when it is larger than the limit.
 */
int fab_check_hash(const struct slices *content, const char *hash, const struct fab_limits *limits,
	struct reason *why);

/*
 * Read pyproject.toml out of the archive (at most FAB_PYPROJECT_MAX_BYTES of it) without unpacking
 * anything else. 0; -EBADMSG with a sentence that names the rule broken (no zip, no pyproject.toml,
 * missing keys, characters in publisher, name or version that cannot be part of a directory name);
 * -ENOMEM; -ELIBACC, with a sentence: there is no libarchive. The caller owns *out.
 */
int fab_read_manifest(const struct slices *content, struct manifest *out, struct reason *why);

#endif
