/*
 * installed: the comparison of an app in a directory with its bundle. One thread; blocks on the
 * file system; changes nothing.
 */
#ifndef FLWR_FAB_INSTALLED_H
#define FLWR_FAB_INSTALLED_H

#include "common/base/reason.h"
#include "common/fab/content.h"

/*
 * Open the directory name below the directory dir (AT_FDCWD: a path), to look into it. A link is
 * not followed below dir. Its descriptor; -ENOENT; -ENOTDIR: a link or a file; -EPERM with
 * a sentence: neither ours nor root's, or others may write to it; -errno.
 */
int installed_open(int dir, const char *name, struct reason *why);

/*
 * Compare the files in the directory dir with the list: differs is set in each line whose file is
 * not there or another (lines of .info have none). The number of them; -ENOMEM.
 */
int installed_compare(int dir, struct content_list *list);

/*
 * Look for something in the directory dir that Python could import and that is not listed: a
 * module, bytecode, an extension, a link to a directory. 0 no; 1 yes, why names it; -errno.
 * __pycache__ is left out: it is removed before the app runs.
 */
int installed_unlisted(int dir, const struct content_list *list, struct reason *why);

#endif
