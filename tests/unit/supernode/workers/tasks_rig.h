/*
 * tasks_rig: tasks of dialect 6 in the rig: a message of objects at work, and the calls about
 * it.
 */
#ifndef FLWR_TEST_TASKS_RIG_H
#define FLWR_TEST_TASKS_RIG_H

#include "common/message/envelope.h"
#include "common/message/worker_api.h"
#include "objects.h"

#define RECORD_BYTES 1000

/* A method of dialects 1 - 5. */
#define IO(name) "/" WORKER_API_CLIENT_APP_IO "/" name

extern struct made given; /* the instruction's objects */

/* The metadata of a message of the run, or of a reply to one. */
struct metadata metadata_of(const char *id, bool reply);

/* A message of objects; nothing of it has been given out. */
void objects_message_to_node(void);
/* The same, and its worker is started; its token is shown from now on. */
void next_task(void);
/* The same with a node that has nothing else at work (subprocess isolation). */
void task_begins(void);

/* Call a method with this body, which is empty afterwards. answer: NULL, or what comes back. */
enum outcome say(const char *method, struct slices *body, struct slices *answer);
enum outcome say_nothing(const char *method, struct slices *answer);

/* A request about object i of made. */
void object_body(size_t i, const struct made *made, bool with_content, struct slices *out);
/* The request that announces a reply with that tree. */
void messages_body(const struct envelope *reply, const struct slices *tree, struct slices *out);

/* The secret of launchers. */
struct launcher_auth *load_secret(void);
/* The next call is signed as a launcher's: of the method of this path, with this body. */
void sign(const struct launcher_auth *auth, const char *path, const struct slices *body);

/* ---- workers of dialects 2 - 4 ---- */

extern char shown_token[NODE_TOKEN_TEXT_BYTES]; /* that the worker has */

/* A message of objects, offered, and no other. */
void offer(void);
/* shown_token is one of the run's messages; "": there is none. */
void request_token(uint64_t run_id);
/* A request that has this token and nothing else. */
void token_body(const char *text, struct slices *out);
/* Call a method with that. */
enum outcome pull_with(const char *method, const char *text);

/* ---- those of dialect 6 ---- */

void pull_input(void);
void confirm(void);
enum outcome get_run(uint64_t run_id, struct slices *answer);
enum outcome end_task(const char *sub_status, const char *details);

/* PullMessages gives the instruction, or (expected is 0) nothing. */
void check_message(size_t expected);

int teardown(void **state);

#endif
