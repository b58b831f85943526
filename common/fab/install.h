/*
 * install: an app's directory in the Flower home, whose listed files are those of a verified FAB.
 * Blocks on the file system; knows no network.
 */
#ifndef FLWR_FAB_INSTALL_H
#define FLWR_FAB_INSTALL_H

#include "common/fab/fab.h"

struct fab_install_options {
	const char *hash;       /* the content's SHA-256 (checked before: fab_check_hash()) */
	const char *flwr_home;  /* where apps are installed, made when it is not there */
	const char *older_home; /* where they may be, too; NULL: nowhere */
	struct fab_limits limits;
	bool strict; /* what was changed or could be imported without being listed is refused */
	struct reason *note; /* told what had been changed and was put right; NULL: nobody is */
};

/*
 * Find or make the app's directory below flwr_home/apps: <publisher>.<name>.<version>.<hash>. One
 * that Flower has installed, with 8 digits of the hash, here or below older_home/apps, serves as
 * well. Nothing is believed because of its name: home, apps and app belong to this user or root,
 * and nobody else may write to them; each listed file is compared with the FAB at each use.
 *
 * A directory of ours that differs is put right, and note says what had been changed; files that
 * are not listed stay. One of Flower's that differs is left alone, and the app is installed as
 * ours. An app is unpacked into a directory beside it and renamed, so that neither a crash nor
 * another worker at the same time leaves half of it; what a crash left is removed when it is found
 * unlocked.
 *
 * 0: *dir_out is the app's directory (malloc()ed, absolute). -EBADMSG: refused, why names the rule
 * and the entry: a path that leaves the directory (absolute, "..", backslash, NUL), a link or
 * special file, a name twice, a file that .info/CONTENT does not list (but pyproject.toml and
 * .info/CONTENT), a listed file that is missing or has another hash or size, more files or bytes
 * than limits allow, an entry that unpacks to over FAB_RATIO_MAX times its packed size (1 MiB is
 * always allowed), a truncated archive; with strict, what was found in the directory. -ELIBACC:
 * there is no libarchive, why says so. -errno of the file system otherwise (ENOSPC, EROFS, EPERM:
 * another's directory ...), why says where.
 */
int fab_install(const struct slices *content, const struct fab_install_options *options,
	struct manifest *manifest_out, char **dir_out, struct reason *why);

#endif
