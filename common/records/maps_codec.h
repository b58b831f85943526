/*
 * maps_codec: records in the form of Flower 1.15 - 1.18 (R1: RecordSet with proto maps). Maps have
 * no order: records come out as arrays, metrics, configs, each in the order of the bytes. One
 * thread each.
 */
#ifndef FLWR_RECORDS_MAPS_CODEC_H
#define FLWR_RECORDS_MAPS_CODEC_H

#include "common/records/records.h"

/*
 * 0; -EBADMSG with a sentence (broken bytes, strings that are no UTF-8, keys and values of unequal
 * number, a value without kind, more than RECORD_ENTRIES_MAX entries); -ENOMEM. Array bytes are
 * references into bytes. A key that stands twice counts once, the last wins, as in any proto map.
 */
int maps_decode(const struct slices *bytes, struct record_dict *out, struct reason *why);

/* Check by the rules of maps_decode(), but build nothing. */
int maps_check(const struct slices *bytes, struct reason *why);

/* Append; array bytes by reference. 0 or -ENOMEM. */
int maps_encode(const struct record_dict *dict, struct slices *out);

#endif
