/*
 * adapter_codec: the container in which a call of the Fleet API travels through the adapter, whose
 * one method carries them all. Any thread; knows no transport.
 */
#ifndef FLWR_MESSAGE_ADAPTER_CODEC_H
#define FLWR_MESSAGE_ADAPTER_CODEC_H

#include "common/base/slice.h"
#include "common/base/text.h"

#include <stdbool.h>

#define ADAPTER_HEAD_MAX_BYTES 4096 /* of a container beside its content, as far as is taken */

/* The request of method ("PullMessages"), whose content is body (referenced), appended to *out. 0;
 * -EINVAL when the Fleet API has no such method; -ENOMEM. */
int adapter_encode(const char *method, const struct slices *body, struct slices *out);

struct adapter_answer {
	bool told_to_end;      /* the peer wants this program to end */
	bool named;            /* it is the answer to this method */
	struct text name;      /* what it is else: a peer's bytes */
	struct slices content; /* references */
};

/* The answer to method: 0; -EBADMSG; -EMSGSIZE (its head); -ENOMEM; *out is empty then. */
int adapter_decode(const char *method, const struct slices *bytes, struct adapter_answer *out);
/* Append the part of the content that is there, by reference, to *out; the answer may be cut off.
 * 0; -EBADMSG when none is there; -ENOMEM. */
int adapter_decode_cut(const struct slices *bytes, struct slices *out);
void adapter_answer_done(struct adapter_answer *answer);

#endif
