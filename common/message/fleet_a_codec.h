/*
 * fleet_a_codec: requests and responses of the Fleet API as Flower 1.15 - 1.18 speaks it (dialect
 * A). One thread each; knows no transport.
 */
#ifndef FLWR_MESSAGE_FLEET_A_CODEC_H
#define FLWR_MESSAGE_FLEET_A_CODEC_H

#include "common/message/envelope.h"

#define FLEET_A_RUN_MAX_BYTES                                                                      \
	(4 << 20) /* of a GetRun response; its overrides come from a command line */

/* Encoders append to *out: 0 or -ENOMEM. Decoders: 0, -EBADMSG, -EMSGSIZE, -ENOMEM; outputs are the
 * caller's. */
int fleet_a_encode_create_node(double ping_interval_s, struct slices *out);
int fleet_a_decode_create_node(const struct slices *bytes, uint64_t *node_id_out);
int fleet_a_encode_delete_node(uint64_t node_id, struct slices *out);
int fleet_a_encode_ping(uint64_t node_id, double ping_interval_s, struct slices *out);
int fleet_a_decode_ping(const struct slices *bytes, bool *success_out);
int fleet_a_encode_pull_messages(uint64_t node_id, struct slices *out);
/*
 * 0 with a message, 1 without one. More than one message: the first is taken, *more_out says how
 * many others there were (the SuperLink never sends more than one).
 */
int fleet_a_decode_pull_messages(
	const struct slices *bytes, struct envelope *out, unsigned *more_out);
int fleet_a_encode_push_messages(
	uint64_t node_id, const struct envelope *reply, struct slices *out);
/* *dropped_out: the SuperLink did not store it (results has the key "None"). */
int fleet_a_decode_push_messages(const struct slices *bytes, bool *dropped_out);
int fleet_a_encode_get_run(uint64_t node_id, uint64_t run_id, struct slices *out);
/* -EBADMSG also when there is no run in it. */
int fleet_a_decode_get_run(const struct slices *bytes, struct run *out);
int fleet_a_encode_get_fab(uint64_t node_id, const char *hash, uint64_t run_id, struct slices *out);
int fleet_a_decode_get_fab(const struct slices *bytes, char **hash_out, struct slices *content_out);

#endif
