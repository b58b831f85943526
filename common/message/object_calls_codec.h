/*
 * object_calls_codec: requests and responses of PullObject, PushObject and ConfirmMessageReceived,
 * which are the same in the Fleet API (dialects B and C) and in the worker API (dialects 2 - 7),
 * for both ends. One thread each; knows no transport.
 */
#ifndef FLWR_MESSAGE_OBJECT_CALLS_CODEC_H
#define FLWR_MESSAGE_OBJECT_CALLS_CODEC_H

#include "common/objects/object.h"

#define OBJECT_SESSION_ID_MAX 1024 /* bytes of a push session's id; longer ones: -EMSGSIZE */
/* Bytes of a request or response beside the object's, at most. */
#define OBJECT_CALL_HEAD_MAX_BYTES 4096

/* A request of each of the three; the last two fields are PushObject's. */
struct object_request {
	uint64_t node_id; /* 0: left out */
	uint64_t run_id;
	struct object_id id;   /* of the object; of the Message object in ConfirmMessageReceived */
	struct slices content; /* owned references; empty: left out */
	char *session_id;      /* owned; NULL or "": left out; never NULL after a decode */
};

void object_request_done(struct object_request *request);

/* Appended to *out: 0 or -ENOMEM. */
int object_request_encode(const struct object_request *request, struct slices *out);
/* 0; -EBADMSG (also for an id that is none); -EMSGSIZE; -ENOMEM; *out empty then. Content is
 * referenced. */
int object_request_decode(const struct slices *bytes, struct object_request *out);

/* PullObjectResponse. */
struct object_pulled {
	bool found;            /* else the message has to be given up */
	bool available;        /* else it is to be asked for again */
	struct slices content; /* owned references */
};

void object_pulled_done(struct object_pulled *pulled);
int object_pulled_encode(const struct object_pulled *pulled, struct slices *out);
int object_pulled_decode(const struct slices *bytes, struct object_pulled *out);

/* PushObjectResponse. ConfirmMessageReceivedResponse is empty. */
int object_stored_encode(bool stored, struct slices *out);
int object_stored_decode(const struct slices *bytes, bool *stored_out);

#endif
