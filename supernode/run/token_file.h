/*
 * token_file: the token of a message in a file of its own (mode 0600) in the private directory, for
 * a worker of --clientapp-command: a command line can be read by everybody. Blocks on the file
 * system, for some bytes; main thread.
 */
#ifndef FLWR_RUN_TOKEN_FILE_H
#define FLWR_RUN_TOKEN_FILE_H

#include <stdint.h>

/* Make the file of a message in dir. 0: *path_out is malloc()ed; -errno: there is none. */
int token_file_make(const char *dir, uint64_t message, const char *token, char **path_out);

/* Remove it, if it is there. */
void token_file_remove(const char *dir, uint64_t message);

#endif
