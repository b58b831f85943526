/*
 * bidi_records: what a message of the legacy stream carries, as the records that Flower's apps get
 * and give back: fitins.parameters and so on. Tensors by reference. One thread each; knows no
 * stream.
 */
#ifndef FLWR_RECORDS_BIDI_RECORDS_H
#define FLWR_RECORDS_BIDI_RECORDS_H

#include "common/message/bidi_codec.h"
#include "common/records/records.h"

/*
 * The records of a ServerMessage. Tensors are arrays with the keys "0", "1", ..., or one empty
 * array "_empty" when there are none. A reconnect instruction has the config record "config" with
 * "seconds". 0; -EBADMSG with a sentence (broken bytes, no known instruction, a value without kind,
 * a string that is no UTF-8); -EMSGSIZE with a sentence (more values than RECORD_ENTRIES_MAX, a
 * key that is too long); -ENOMEM.
 */
int bidi_records_decode(const struct slices *bytes, enum bidi_kind *kind_out,
	struct record_dict *out, struct reason *why);

/*
 * Append the ClientMessage that answers an instruction of this kind with these records, as Flower's
 * own client makes it. The reply to a reconnect instruction has the config record "config" with
 * "reason". 0; -EINVAL with a sentence (a record that is missing, a value that has no place there);
 * -ENOMEM.
 */
int bidi_records_encode(enum bidi_kind kind, const struct record_dict *reply, struct slices *out,
	struct reason *why);

#endif
