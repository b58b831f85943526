/*
 * installed: where the running program and what belongs to it lie. Any thread.
 */
#ifndef FLWR_BASE_INSTALLED_H
#define FLWR_BASE_INSTALLED_H

/* The directory of the running program (/proc/self/exe), malloc()ed; NULL when unknown. */
char *path_program_dir(void);

/* A file of ours: name is relative to the directory above PREFIX/bin, or
 * PREFIX/libexec/flwr-native, where the program is. malloc()ed; NULL on no memory. */
char *path_installed(const char *name);

#endif
