/*
 * conversation: the app process's end of the socket to its worker, one datagram each
 * (docs/app-form.md). Main thread; blocks.
 */
#ifndef FLWR_NATIVE_CONVERSATION_H
#define FLWR_NATIVE_CONVERSATION_H

#include "common/base/reason.h"

#include <stdbool.h>
#include <stdint.h>

/* Flower's codes of an error reply. */
enum { ERROR_LOAD = 1, ERROR_RAISED = 2, ERROR_CRASHED = 8 };

/* All send one datagram: 0 or -errno. Texts: what is no UTF-8 in them becomes '?'. */
int conversation_hello(int socket, uint32_t code, const struct reason *text);
int conversation_reply(int socket, uint64_t bytes);
int conversation_failure(int socket, uint32_t code, const struct reason *text);

/* Wait for the task. 1: *fd_out, its file, is the caller's; 0: the worker has gone; -EBADMSG;
 * -errno. */
int conversation_task(int socket, int *fd_out);

/* Has the worker gone? Any thread; does not block. */
bool conversation_over(int socket);

#endif
