/*
 * zygote_socket: what passes between an agent, its zygote and that one's forks: datagrams that
 * begin with a letter. clientapp/run/bridge/zygote.py is the other end. Main thread. Private to
 * common/launch.
 *
 *   to the zygote                                from the zygote
 *   I  modules to import, a line each; "+NAME"   R  done: lines "N NAME" of modules that were new
 *      is the operator's wish, "-NAME" a            and not "+NAME", "F NANOSECONDS PATH" of what
 *      package that it shall not import             it depends on
 *   A  of a run: the folder of an app, its FAB   R  (the same)
 *      id, version and hash, a line each: load
 *      it, and call its flwr_preload()
 *   F  fork; a gate, stdout and stderr           M  a module that no fork could live with, and why
 *      come with it                              U  why there will be no fork at all
 *                                                   (after M and U it ends)
 *
 *   to a gate                                    from a gate
 *   G  you are known, go on                      P  the parent of an app process is there, a child
 *                                                   of the agent
 *   B  begin: settings, each with a NUL; the     R  the app process is there, below that parent
 *      app's socket comes with it                B  it has begun
 *                                                E  the zygote cannot fork, and the error's number
 *                                                L  modules that its app has imported, a line each
 *                                                A  its app has a flwr_preload(): FAB id, version
 *                                                   and hash, a line each
 *
 * Settings are those of the environment, and what the process is to do before any code of the app
 * runs: the names below.
 */
#ifndef FLWR_LAUNCH_ZYGOTE_SOCKET_H
#define FLWR_LAUNCH_ZYGOTE_SOCKET_H

#include <stddef.h>
#include <sys/types.h>

#define ZYGOTE_BYTES 32768 /* of a datagram, with its letter */
#define ZYGOTE_FDS   4

#define ZYGOTE_DATA      "FLWR_APP_RLIMIT_DATA"
#define ZYGOTE_PROCESSES "FLWR_APP_RLIMIT_NPROC"
#define ZYGOTE_DIRECTORY "FLWR_APP_DIRECTORY" /* the working directory */
#define ZYGOTE_CAGE      "FLWR_APP_CAGE"      /* a description (clientapp/start/cage.h) */

/* A new pair, non-blocking at our end, whose messages say from which process they come. 0 or
 * -errno. */
int zygote_socket_open(int *ours_out, int *theirs_out);

/* Send a datagram, with n_fds descriptors (borrowed; at most ZYGOTE_FDS). Never blocks. 0; -EAGAIN;
 * -EPIPE; -EMSGSIZE; -errno. */
int zygote_socket_send(
	int socket, char letter, const char *text, size_t len, const int *fds, int n_fds);

/* Receive one: its letter; text gets the rest, with a NUL behind it, len its length, *pid who has
 * sent it. 0: the other end has gone; -EAGAIN: none now; -EBADMSG; -errno. */
int zygote_socket_receive(int socket, char text[ZYGOTE_BYTES], size_t *len, pid_t *pid);

#endif
