/*
 * install: unpack a verified FAB into the Flower home, atomically and once, checking every file
 * against the FAB's list. Blocks on the file system; knows no network.
 */
#ifndef FLWR_FAB_INSTALL_H
#define FLWR_FAB_INSTALL_H

#include "common/fab/fab.h"

/*
 * Install content, whose SHA-256 is hash (checked before: fab_check_hash()), below flwr_home/apps
 * as <publisher>.<name>.<version>.<first 8 digits of hash>, as every Flower release does.
 *
 * An installed directory of that name is reused, also one below older_home/apps (may be NULL),
 * where nothing is installed any more. Otherwise everything is unpacked into a directory beside it
 * and renamed, so that neither a crash nor another worker at the same time leaves half an app; what
 * a crash left beside it is removed when it is found unlocked.
 *
 * 0: *dir_out is the app's directory (malloc()ed, absolute). -EBADMSG: refused, why names the rule
 * and the entry: a path that leaves the directory (absolute, "..", backslash, NUL), a link or
 * special file, a name twice, a file that .info/CONTENT does not list (but pyproject.toml and
 * .info/CONTENT), a listed file that is missing or has another hash or size, more files or bytes
 * than limits allow, an entry that unpacks to over FAB_RATIO_MAX times its packed size (1 MiB is
 * always allowed), a truncated archive. -errno of the file system otherwise (ENOSPC, EROFS ...),
 * why says where.
 */
int fab_install(const struct slices *content, const char *hash, const char *flwr_home,
	const char *older_home, const struct fab_limits *limits, struct manifest *manifest_out,
	char **dir_out, struct reason *why);

#endif
