/*
 * dir: the test program's own folder. Whatever fails fails the test.
 */
#ifndef FLWR_KIT_DIR_H
#define FLWR_KIT_DIR_H

#include "kit/test.h"

/* Path of the folder, "" without one. */
extern char kit_dir[64];

/* For cmocka, as a group's or a test's setup and teardown: make an empty one; remove it with what
 * is in it. */
int kit_dir_make(void **state);
int kit_dir_remove(void **state);

/* A path below it, which need not exist. The caller's. */
char *kit_dir_path(const char *name);

/* Write a file below it, mode 0600. Its path is the caller's. */
char *kit_dir_write(const char *name, const void *data, size_t len);
char *kit_dir_write_text(const char *name, const char *text);

/* The same with a program, mode 0700. */
char *kit_dir_script(const char *name, const char *text);

/* Write a text to any path. */
void kit_file_write(const char *path, const char *text);

/* How many entries a folder, whatever its path, has. Names that begin with a dot do not count. */
unsigned kit_dir_count(const char *path);

#endif
