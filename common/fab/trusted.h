/*
 * trusted: whose signature a FAB must carry before it may run here. Loading blocks on the file
 * system, at start; checking is pure. Knows neither who signs nor how the signatures came.
 */
#ifndef FLWR_FAB_TRUSTED_H
#define FLWR_FAB_TRUSTED_H

#include "common/base/reason.h"
#include "common/base/sha256.h"
#include "common/base/value.h"

#define TRUSTED_FILE_MAX_BYTES (1U << 20)
#define TRUSTED_EXIT_CODE      304 /* Flower's, for what trusted_load() refuses */

struct trusted;

/*
 * Read a YAML file of lines `fpk_...: ssh-ed25519 AAAA... comment`: the id of a public key and the
 * key. 0: *out is the caller's. A negative code with a sentence that names the file, all of them
 * Flower's 304: -errno of reading it, -EFBIG, -EBADMSG: no such map, no entity in it, an id twice,
 * something that is no public key; -ENOTSUP: another type of key. -ENOMEM without a sentence.
 */
int trusted_load(const char *path, struct trusted **out, struct reason *why);
void trusted_free(struct trusted *trusted);

/*
 * Check that one of the trusted entities has signed the FAB with this SHA-256. verifications:
 * strings by public key id, as they came with the FAB (fab_decode()). 0; -EACCES with a sentence:
 * none has, or the SuperLink does not support verification; -ENOMEM. Signatures of others, and
 * those that cannot be read, count for nothing.
 */
int trusted_check(const struct trusted *trusted, const unsigned char sha256[SHA256_BYTES],
	const struct value_map *verifications, struct reason *why);

#endif
