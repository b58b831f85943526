/*
 * rig: an object store, whose spool lies in kit_dir, and messages to put there.
 */
#ifndef FLWR_TEST_STORE_RIG_H
#define FLWR_TEST_STORE_RIG_H

#include "kit/dir.h"
#include "kit/loop.h"
#include "supernode/store/object_store.h"

#define CHUNKS_MAX 16

/* A message: its chunks, their array, and the Message object, in the order of its tree. */
struct sample {
	struct slices bytes[CHUNKS_MAX + 2];
	struct object_id ids[CHUNKS_MAX + 2];
	size_t n;
	struct slices tree;
};

/* Chunks of random bytes. */
void sample_make(struct sample *sample, size_t n_chunks, size_t chunk_bytes);
void sample_done(struct sample *sample);
uint64_t sample_bytes(const struct sample *sample);

struct rig {
	struct loop *loop;
	struct spool *spool;
	unsigned n_fds; /* before */
	/* The end of the last put, and how many have ended: */
	unsigned n_done;
	size_t index;
	int r;
	struct reason why;
};

void rig_init(struct rig *rig, uint64_t memory_max_bytes);
/* Nothing may be left in memory, in files, or of descriptors. */
void rig_done(struct rig *rig);

/* An empty set for the sample's tree. */
struct object_set *rig_set(struct rig *rig, const struct sample *sample);

/* Put these bytes in the place of object index; and wait until n puts have ended. */
void put(struct rig *rig, struct object_set *set, size_t index, const struct slices *bytes);
void wait_done(struct rig *rig, unsigned n);

/* Put and wait: the result. */
int put_now(struct rig *rig, struct object_set *set, size_t index, const struct slices *bytes);

/* The set has these bytes as object index. */
void check_get(struct object_set *set, size_t index, const struct slices *bytes);

#endif
