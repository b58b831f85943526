/*
 * home: paths as people write them, with a home directory in front. Reads the password database;
 * any thread.
 */
#ifndef FLWR_BASE_HOME_H
#define FLWR_BASE_HOME_H

/*
 * path with "~" or "~/" ($HOME, else the user's entry), "~user" or "~user/" at its beginning
 * replaced, as Python's os.path.expanduser() does it: a home that is not known leaves the path as
 * it is. Behind "unix:" too. malloc()ed; NULL on no memory.
 */
char *path_expand(const char *path);

#endif
