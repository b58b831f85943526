/*
 * sample: the objects of a message for the rig's SuperLink: a Message, a RecordDict, and some
 * ConfigRecords of a size; and what the calls about objects carry.
 */
#ifndef FLWR_TEST_FLEET_SAMPLE_H
#define FLWR_TEST_FLEET_SAMPLE_H

#include "rig.h"

#define SAMPLE_MAX 32

/* In the order in which they are pulled: the records, the RecordDict, the Message. */
struct sample {
	size_t n;
	struct slices bytes[SAMPLE_MAX];
	struct object_id ids[SAMPLE_MAX];
	struct slices tree;
};

void sample_init(struct sample *sample, size_t n_records, size_t record_bytes);
void sample_done(struct sample *sample);
/* A set with all of them in it. */
struct object_set *sample_set(struct rig *rig, const struct sample *sample);
/* The index of the object that a call is about; the call must be about one of them. */
size_t sample_index(const struct sample *sample, const struct rig_call *handle);

/* Start; the node is online and has pulled a message with these objects; the first calls for them
 * are out. */
void rig_take_message(struct rig *rig, const struct sample *sample);
/* The same with a new rig, at a SuperLink that lacks these methods; without lacks: of 1.23 or
 * later. */
struct rig *rig_with_message_of(const struct sample *sample, const char *const *lacks);
struct rig *rig_with_message(const struct sample *sample);

/* How many calls of this method are out and not cancelled. */
unsigned rig_out(struct rig *rig, const char *method);
/* A PullObject is out: answer with these bytes; NULL: not available; or that it is not found. */
void rig_answer_object(struct rig *rig, struct rig_call *handle, const struct slices *content);
void rig_answer_object_not_found(struct rig *rig, struct rig_call *handle);
/* All PullObject that are out and that come to be out: answer with what they ask for. */
void rig_answer_objects(struct rig *rig, const struct sample *sample);

#endif
