/*
 * envelope: the messages around the values: Message with its Metadata and Error, Run, Fab, Context.
 * Contents stay bytes, by reference. One thread each; knows no transport and no value of a record.
 */
#ifndef FLWR_MESSAGE_ENVELOPE_H
#define FLWR_MESSAGE_ENVELOPE_H

#include "common/base/slice.h"
#include "common/base/value.h"
#include "common/objects/object.h"

#include <stdbool.h>
#include <stdint.h>

/* Bytes of an id, a type, a key: longer ones are refused (-EMSGSIZE). Values that an app makes have
 * no bound of their own. */
#define ENVELOPE_STRING_MAX 65536
#define ENVELOPE_REASON_MAX (32 << 20) /* of an error's reason: what is longer is cut */

/* Flower's error codes of a reply (protocol of 1.15.2; 7 and 8 since 1.20, used in every era). */
enum error_code {
	ERROR_CODE_UNKNOWN = 0,
	ERROR_CODE_LOAD_CLIENT_APP = 1,   /* ClientApp could not be loaded */
	ERROR_CODE_CLIENT_APP_RAISED = 2, /* ClientApp raised an exception */
	ERROR_CODE_MESSAGE_UNAVAILABLE = 3,
	ERROR_CODE_INVALID_FAB = 7,
	ERROR_CODE_CLIENT_APP_CRASHED = 8
};

/* Strings are owned and never NULL after a decode or metadata_copy(); "" when absent. */
struct metadata {
	uint64_t run_id;
	char *message_id;
	uint64_t src_node_id;
	uint64_t dst_node_id;
	char *reply_to_message_id;
	char *group_id;
	double ttl; /* seconds */
	char *message_type;
	double created_at;               /* seconds since 1970 */
	bool has_src_task, has_dst_task; /* 1.30 and later */
	uint64_t src_task_id, dst_task_id;
};

int metadata_copy(const struct metadata *from, struct metadata *out); /* 0 or -ENOMEM */
void metadata_done(struct metadata *metadata);

/*
 * Exactly one of content and error is there in a valid message; a decoder takes what it gets,
 * because also the sender of an invalid message wants an answer. Zero-initialised is empty.
 */
struct envelope {
	struct metadata metadata;
	bool has_content;
	struct slices content; /* the RecordSet's bytes; empty when it is objects */
	bool has_error;
	int64_t error_code;
	char *error_reason;
};

void envelope_done(struct envelope *envelope);

/* Make *out the error reply of an instruction: metadata by envelope_reply_metadata(). 0 or -ENOMEM.
 */
int envelope_error(const struct metadata *instruction, double now_s, int64_t code,
	const char *reason, struct envelope *out);

/*
 * Metadata of a reply to an instruction: run, group and type as there, src and dst swapped,
 * reply_to_message_id, task ids swapped, message_id empty, created_at now_s but later than the
 * instruction's, ttl what is left of the instruction's (infinite stays so; 0 when nothing is left
 * or it is no number: the SuperLink takes the push and drops the reply). 0 or -ENOMEM.
 */
int envelope_reply_metadata(const struct metadata *instruction, double now_s, struct metadata *out);

/*
 * The Message object of a message whose content, if it has one, is the RecordDict object: the
 * envelope without its message_id, which is the id of this object. Appended to *out. 0 or -ENOMEM.
 */
int envelope_message_object(const struct envelope *envelope, const struct object_id *record_dict,
	struct slices *out, struct object_id *id_out);

struct run {
	uint64_t run_id;
	uint64_t series_id; /* 1.31 and later; 0: none */
	char *fab_id;
	char *fab_version;
	char *fab_hash;
	struct value_map override_config;
};

void run_done(struct run *run);

struct context {
	uint64_t run_id;
	uint64_t node_id;
	uint64_t series_id; /* 1.31 and later; 0: none */
	struct value_map node_config;
	struct slices state; /* the RecordSet's bytes */
	struct value_map run_config;
};

void context_done(struct context *context);

struct context_outline {
	uint64_t run_id;
	uint64_t node_id;
	struct slices state;
};

void context_outline_done(struct context_outline *outline);

/* A Context that a worker gives back. given_context_look() fills all but bytes. */
struct given_context {
	struct slices bytes;
	bool looked;
	int result; /* of context_outline() */
	struct context_outline outline;
};

void given_context_done(struct given_context *context);

/* ---- bytes. Decoders: 0; -EBADMSG for what the format or the field's rules refuse; -EMSGSIZE;
 * -ENOMEM; *out empty then. Encoders append to *out: 0 or -ENOMEM. ---- */
int envelope_decode(const struct slices *bytes, struct envelope *out);
/* The metadata of a message that envelope_decode() refuses, for an answer. Also -EBADMSG when the
 * metadata is not all there. */
int envelope_decode_metadata(const struct slices *bytes, struct envelope *out);
int envelope_encode(const struct envelope *envelope, struct slices *out);
int run_decode(const struct slices *bytes, struct run *out);
int run_encode(const struct run *run, struct slices *out);
int context_decode(const struct slices *bytes, struct context *out);
int context_encode(const struct context *context, struct slices *out);
/* The supervisor's look at a Context, which it keeps as bytes: by the rules of context_decode(),
 * but no configuration is built, and the state is a reference. */
int context_outline(const struct slices *bytes, struct context_outline *out);
/* The same of a Context that was given back, at the first call; later ones only repeat the result.
 */
int given_context_look(struct given_context *context);
/*
 * Fab: its hash (owned, "" when absent), its contents by reference, and who has verified it:
 * strings by public key id (1.23 and later; verifications_out may be NULL; they are read all the
 * same).
 */
int fab_decode(const struct slices *bytes, char **hash_out, struct slices *content_out,
	struct value_map *verifications_out);
int fab_encode(const char *hash, const struct slices *content, struct slices *out);

#endif
