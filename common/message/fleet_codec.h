/*
 * fleet_codec: requests and responses of the Fleet API: of Flower 1.15 - 1.18 (dialect A), 1.20
 * - 1.22 (B) and 1.23 and later (C). Functions without a dialect serve all three. One thread each;
 * knows no transport.
 */
#ifndef FLWR_MESSAGE_FLEET_CODEC_H
#define FLWR_MESSAGE_FLEET_CODEC_H

#include "common/message/envelope.h"

#define FLEET_RUN_MAX_BYTES                                                                        \
	(4 << 20) /* of a GetRun response; its overrides come from a command line */

/* Encoders append to *out: 0 or -ENOMEM. Decoders: 0, -EBADMSG, -EMSGSIZE, -ENOMEM; outputs are the
 * caller's. */
int fleet_encode_create_node(double ping_interval_s, struct slices *out);
int fleet_decode_create_node(const struct slices *bytes, uint64_t *node_id_out);
int fleet_encode_delete_node(uint64_t node_id, struct slices *out);
int fleet_encode_ping(
	uint64_t node_id, double ping_interval_s, struct slices *out); /* and SendNodeHeartbeat */
int fleet_decode_ping(const struct slices *bytes, bool *success_out);
/* RegisterNode (interval_s 0) and ActivateNode; both answer with a node_id. */
int fleet_encode_key(const char *public_key, size_t len, double interval_s, struct slices *out);
/* DeactivateNode and UnregisterNode; answers of RegisterNode and ActivateNode. */
int fleet_encode_node_id(uint64_t node_id, struct slices *out);
int fleet_decode_node_id(const struct slices *bytes, uint64_t *node_id_out);
int fleet_encode_pull_messages(uint64_t node_id, struct slices *out);
/*
 * 0 with a message, 1 without one. More than one message: the first is taken, *more_out says how
 * many others there were (the SuperLink never sends more than one). *tree_out (dialects B and C):
 * its encoded ObjectTree, to be freed by the caller; empty when there is none.
 */
int fleet_decode_pull_messages(const struct slices *bytes, struct envelope *out,
	struct slices *tree_out, unsigned *more_out);
/* Only the metadata of the message, also when the rest cannot be read, or is not there; 0, -EBADMSG
 * (also: there is no message), -EMSGSIZE, -ENOMEM. */
int fleet_decode_pulled_metadata(const struct slices *bytes, struct envelope *out);
/* tree: of the reply's objects, NULL in dialect A; runtime_s: from the worker's pull to its push.
 */
int fleet_encode_push_messages(uint64_t node_id, const struct envelope *reply,
	const struct slices *tree, double runtime_s, struct slices *out);

#define FLEET_SESSION_MAX 1024 /* bytes of a session's name */

struct fleet_pushed {
	bool dropped;             /* the SuperLink did not store it (results has the key "None") */
	struct object_id *wanted; /* objects that it wants to have */
	size_t n_wanted;
	char *session_id; /* "" when there is none */
};

void fleet_pushed_done(struct fleet_pushed *pushed);
int fleet_decode_push_messages(const struct slices *bytes, struct fleet_pushed *out);
int fleet_encode_get_run(uint64_t node_id, uint64_t run_id, struct slices *out);
/* -EBADMSG also when there is no run in it. */
int fleet_decode_get_run(const struct slices *bytes, struct run *out);
int fleet_encode_get_fab(uint64_t node_id, const char *hash, uint64_t run_id, struct slices *out);
/* fab_decode() of the Fab in it. */
int fleet_decode_get_fab(const struct slices *bytes, char **hash_out, struct slices *content_out,
	struct value_map *verifications_out);

#endif
