/*
 * contents: bodies of any size, which have a few places: the requests that wait for one, those
 * whose body is being received, and how many are being dealt with. A request is answered, and its
 * place free, as soon as its token ends. Main thread. Knows no dialect.
 */
#ifndef FLWR_WORKERS_CONTENTS_H
#define FLWR_WORKERS_CONTENTS_H

#include "common/loop/loop.h"
#include "common/service/service.h"
#include "supernode/core/node.h"

/* Bodies that are being received, or dealt with, take so much at a time; further ones wait. How
 * large one is is not known before it is here: it counts as CONTENT_BYTES. */
#define CONTENTS_BYTES     (32 << 20)
#define CONTENT_BYTES      (6 << 20)
#define CONTENTS_MAX       (CONTENTS_BYTES / CONTENT_BYTES)
#define CONTENTS_QUEUE_MAX 64 /* that wait; further ones: RESOURCE_EXHAUSTED */
/*
 * One token has so many places at most: of the others one is left for an anonymous caller and one
 * for another token. Workers of 1.20 - 1.22 send eight at once, ours four, others two. A place that
 * becomes free goes to the token that has fewest; when the queue is full, the token that has most
 * in it makes room.
 */
#define CONTENTS_TOKEN_MAX 3

/* Anonymous callers, which have shown no token, have one place; so many of their contents may wait.
 */
#define CONTENTS_ANONYMOUS_MAX 16
/* An anonymous caller has so long to send its content, when others wait. */
#define CONTENTS_ANONYMOUS_MS 120000
/* The content is refused, whether others wait or not, when nothing has come for so long. */
#define CONTENTS_STALL_MS 30000

struct admission;
struct contents;

/* admission is borrowed. NULL: no memory. */
struct contents *contents_new(struct admission *admission);
/* Its requests must have ended. NULL is fine. */
void contents_free(struct contents *contents);

/* request_admit(), now or later, or refuse request; its connection is not idle meanwhile. message:
 * that of the token that its caller has shown; NULL: none was. */
void contents_admit(
	struct contents *contents, struct request *request, const struct message *message);
/* In handle(): the body of request is here. Its place is kept, and counts for its token, until
 * contents_release() with what this returns. */
uint64_t contents_received(struct contents *contents, struct request *request);
void contents_release(struct contents *contents, uint64_t place);

/* Tokens may have ended: their requests are answered. */
void contents_sweep(struct contents *contents);

/* Is a content at hand that may be of a worker whose connection has ended: of a caller that has
 * shown no token, or complete and not yet taken? */
bool contents_at_hand(const struct contents *contents);

#endif
