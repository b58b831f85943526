/*
 * fork_server: a worker's program that has loaded its libraries and forks workers: a fork takes a
 * millisecond, loading them takes several. An agent has one at most, while messages come. Main
 * thread. Private to common/launch, but for its process's part.
 *
 *   from it: R  it is ready                    to it: F  fork; PROCESS_FD, stdout and stderr of the
 *            P  the fork's pid, a child of               worker come with it, and a pipe on which a
 *               the agent                                byte comes when it may begin
 */
#ifndef FLWR_LAUNCH_FORK_SERVER_H
#define FLWR_LAUNCH_FORK_SERVER_H

#include "common/launch/process.h"

#include <stdbool.h>

#define FORK_SERVER_OPTION    "--fork-server"
#define FORK_SERVER_FDS       4
#define FORK_SERVER_ANSWER_MS 500 /* for a fork, which the loop waits for; then it is killed */

struct agent;
struct fork_server;

/* Nothing is started. 0 or -ENOMEM. */
int fork_server_new(struct agent *agent, struct fork_server **out);
/* Its process is not touched. NULL is fine. */
void fork_server_free(struct fork_server *server);

/* Can it be asked? It may be at its start still. */
bool fork_server_is_there(const struct fork_server *server);
/* Have one for the next message. */
void fork_server_have(struct fork_server *server);
/* It is not needed any more: kill it, if there is one. */
void fork_server_drop(struct fork_server *server);

/*
 * Start a worker of ours, as process_start() does; of spec argv, env and what is hidden have no
 * meaning. 0; -errno: there is no server that could, and nothing was started.
 */
int fork_server_start(
	struct fork_server *server, const struct process_spec *spec, struct process **out);

/*
 * The server's process, which has no thread but this one: serve at PROCESS_FD. true: this is a
 * worker, with everything at its place; false: the agent has gone, or cannot be understood.
 */
bool fork_server_serve(void);

#endif
