/*
 * files: descriptors, directories and small files. Blocks on the file system; any thread.
 */
#ifndef FLWR_BASE_FILES_H
#define FLWR_BASE_FILES_H

#include "common/base/reason.h"
#include "common/base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Read a whole file of at most max_bytes. 0; -EFBIG; -errno. *out is malloc()ed and NUL-terminated.
 */
int file_read(const char *path, size_t max_bytes, char **out, size_t *len_out);

/*
 * Read from fd to its end into buffer, which has room for max_bytes, and nowhere else. 0; -EFBIG:
 * there is more; -errno.
 */
int fd_read_all(int fd, char *buffer, size_t max_bytes, size_t *len_out);

/* The descriptor that text names as "fd:N", N being 0 or 3 and above; -1: text is no such name
 * (a path). -EINVAL: another number. */
int fd_named(const char *text);

/* Write all bytes, however often write() is interrupted or short. 0 or -errno. */
int fd_write_all(int fd, const void *data, size_t len);

/* Write all bytes of list from offset on, however often pwritev() is interrupted or short. 0 or
 * -errno; -EIO when nothing is taken any more. */
int fd_pwrite_slices(int fd, const struct slices *list, uint64_t offset);

/*
 * Can files be made below path, a directory that is there or may still have to be made? Changes
 * nothing. 0, or -errno with a sentence.
 */
int dir_check(const char *path, struct reason *why);

/* mkdir -p with mode for what is made. 0 or -errno. */
int dir_make(const char *path, mode_t mode);

/* Remove path and all below it, never following a link, never leaving the file system. 0 (also when
 * it is not there) or -errno. */
int dir_remove(const char *path);
/* The same, but for max entries at most, so that a call is short. 0; 1: there is more; -ELOOP: a
 * directory lies deeper than max; -errno. */
int dir_remove_some(const char *path, unsigned max);

/*
 * The Flower home: flwr_dir when not NULL, else $FLWR_HOME, else $HOME/.flwr (Flower 1.27 and
 * later), else $XDG_DATA_HOME/.flwr; "" when none of them is named. malloc()ed; NULL on no memory.
 * Not made.
 */
char *path_flwr_home(const char *flwr_dir);

/* The Flower home of a program. Zero-initialised is none. */
struct flwr_home {
	char *path;
	bool is_made; /* for this program alone */
};

/*
 * Find the Flower home as path_flwr_home() does. When none is named (a node needs no home), make a
 * private directory: another user could own one of a known name. 0, -ENOMEM, -errno with a
 * sentence.
 */
int flwr_home_open(const char *flwr_dir, struct flwr_home *out, struct reason *why);
/* Forget the home; one that was made is removed with all apps in it. */
void flwr_home_done(struct flwr_home *home);

/*
 * The directory in which files without a name may grow large: flwr_dir when not NULL, else $TMPDIR,
 * else /var/tmp, which lies on a disk, if it can be written, else $XDG_RUNTIME_DIR, else /tmp.
 * malloc()ed; NULL on no memory.
 */
char *path_spool(const char *flwr_dir);

/*
 * The directory with the apps that Flower to 1.26 has installed and home does not have:
 * $XDG_DATA_HOME/.flwr, when home is what path_flwr_home(NULL) found and $FLWR_HOME did not say so.
 * 0: *out is malloc()ed, or NULL when there is none; -ENOMEM.
 */
int path_flwr_home_older(const char *home, char **out);

/*
 * Make a private (0700) directory with a fresh name below flwr_dir when not NULL, else
 * $XDG_RUNTIME_DIR, else $TMPDIR, else /tmp. The path is short enough for a unix socket in it
 * (below 90 bytes), else -ENAMETOOLONG. 0 or -errno, why names the directory. *out is malloc()ed.
 */
int dir_make_private(const char *flwr_dir, char **out, struct reason *why);

/* A memfd with CLOEXEC, named for people. The descriptor or -errno. */
int memfd_new(const char *name);

/* Raise the soft limit of descriptors to the hard one; the resulting soft limit. */
uint64_t fd_limit_raise(void);

/* dir "/" name, malloc()ed; NULL on no memory. */
char *path_join(const char *dir, const char *name);

/*
 * The program of that name: a path, or a name to look for on PATH. 0: *out is an absolute path,
 * malloc()ed, of a file that can be executed (links are left as they are); -ENOENT, -EACCES (there
 * are some, none can be executed), -ENOMEM.
 */
int path_find_program(const char *name, char **out);

#endif
