/*
 * items_codec: records in the form of Flower 1.20 and later (R2: RecordDict with lists of items),
 * which keeps their order. One thread each.
 */
#ifndef FLWR_RECORDS_ITEMS_CODEC_H
#define FLWR_RECORDS_ITEMS_CODEC_H

#include "common/records/records.h"

/*
 * 0; -EBADMSG with a sentence (broken bytes, strings that are no UTF-8, a record or a value without
 * kind, more than RECORD_ENTRIES_MAX entries); -ENOMEM. Array bytes are references into bytes. Of
 * items with equal keys the last one counts, at the place of the first, as in Python's dict.
 */
int items_decode(const struct slices *bytes, struct record_dict *out, struct reason *why);

/* Check by the rules of items_decode(), but build nothing. */
int items_check(const struct slices *bytes, struct reason *why);

/* Append; array bytes by reference. 0 or -ENOMEM. */
int items_encode(const struct record_dict *dict, struct slices *out);

#endif
