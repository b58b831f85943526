/*
 * worker_api: names of the worker API on the wire, which both ends need: Flower's, and of what this
 * project's programs have beside them. A peer of Flower's never sees the latter: our worker asks
 * for them, and goes on without when it is told that there are none.
 */
#ifndef FLWR_MESSAGE_WORKER_API_H
#define FLWR_MESSAGE_WORKER_API_H

/* ---- Flower's ---- */

/* Dialects 1 - 5 (1.15 - 1.33), and 6 (1.34). */
#define WORKER_API_CLIENT_APP_IO "flwr.proto.ClientAppIo"
#define WORKER_API_RUNTIME       "flwr.proto.Runtime"
/* Dialect 7 (1.35 and later) is 6 over HTTP/1.1: below this path are the methods of Runtime, as
 * "pull-task-input". */
#define WORKER_API_PATHS "/v1/runtime/"
/* A header on calls of a worker that has a task: its token. */
#define WORKER_API_TASK_TOKEN "flwr-task-token"
/* The same of 1.29, whose tokens are in the messages, too. */
#define WORKER_API_APP_TOKEN "flwr-app-token"

/* ---- ours ---- */

/*
 * A header on a question for work (GetToken, PullPendingTasks): it may wait so many milliseconds,
 * at most WORKER_API_WAIT_MAX_MS, for a message to come, before it is answered as ever.
 */
#define WORKER_API_WAIT_MS     "flwr-native-wait-ms"
#define WORKER_API_WAIT_MAX_MS 60000

/*
 * Attend takes a token as PullClientAppInputs does, or in the header of tasks, and is answered when
 * that lives no longer: OK (empty) when its outputs were taken, else FAILED_PRECONDITION (the
 * message was answered otherwise, or is offered again). The worker holds the token while the call
 * is open.
 */
#define WORKER_API_ATTENDANCE "flwr.native.ClientAppIo"

/*
 * Fail takes a Message with an error: the message of the task's token is answered with that. For an
 * agent whose worker has ended without a reply: by Flower's own calls it could not, since a message
 * is handed out once.
 */
#define WORKER_API_FAILURE "flwr.native.Runtime"

#endif
