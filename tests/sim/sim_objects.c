/*
 * sim_objects: contents in the form of objects, made once for all schedules. Objects are put on the
 * io thread, but only sim_objects_wait() lets the world see that: so a schedule stays the same.
 */
#include "sim/sim_world.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define PARTS     3
#define BODY_MAX  60000
#define IN_MEMORY 100000 /* more lies in files */

/* A Message, below it a RecordDict, below that a ConfigRecord; as in the tree, children
   first. */
struct sample {
	struct slices bytes[PARTS];
	struct object_id ids[PARTS];
	struct slices tree;
};

struct sim_objects {
	struct loop *loop;
	struct spool *spool;
	char dir[256];
	unsigned out; /* puts */
	struct sample samples[SIM_SAMPLES];
	struct slices bare; /* the tree of a Message with nothing below it */
};

static void need(int r)
{
	if (r == 0)
		return;
	fprintf(stderr, "sim_node: %s\n", strerror(-r));
	abort();
}

static void sample_make(struct sample *sample, uint8_t seed, size_t body_bytes)
{
	static const enum object_type types[PARTS] = {
		OBJECT_CONFIG_RECORD, OBJECT_RECORD_DICT, OBJECT_MESSAGE};
	static uint8_t bytes[BODY_MAX];

	memset(bytes, seed, body_bytes);
	for (size_t i = 0; i < PARTS; i++) {
		struct slices body = {0};
		struct slices tree = {0};

		need(slices_append_copy(&body, bytes, i ? 5 : body_bytes));
		need(object_make(&(struct object_parts){types[i], i ? &sample->ids[i - 1] : NULL,
					 i > 0, &body},
			&sample->bytes[i], &sample->ids[i]));
		need(object_tree_encode(&sample->ids[i], &sample->tree, i > 0, &tree));
		slices_done(&body);
		slices_done(&sample->tree);
		sample->tree = tree;
	}
}

struct sim_objects *sim_objects_new(void)
{
	static const size_t body_bytes[SIM_SAMPLES] = {10, 700, 700, BODY_MAX};
	struct sim_objects *self = calloc(1, sizeof *self);
	const char *dir = getenv("TMPDIR");

	need(self ? 0 : -ENOMEM);
	snprintf(
		self->dir, sizeof self->dir, "%s/sim_node.%ld", dir ? dir : "/tmp", (long)getpid());
	need(loop_new(&self->loop));
	need(spool_new(self->loop, self->dir, IN_MEMORY, &self->spool));
	for (unsigned i = 0; i < SIM_SAMPLES; i++)
		sample_make(&self->samples[i], (uint8_t)i, body_bytes[i]);
	need(object_tree_encode(&self->samples[0].ids[PARTS - 1], NULL, 0, &self->bare));
	return self;
}

void sim_objects_free(struct sim_objects *self)
{
	for (unsigned i = 0; i < SIM_SAMPLES; i++) {
		for (size_t part = 0; part < PARTS; part++)
			slices_done(&self->samples[i].bytes[part]);
		slices_done(&self->samples[i].tree);
	}
	slices_done(&self->bare);
	spool_free(self->spool);
	loop_free(self->loop);
	rmdir(self->dir);
	free(self);
}

struct object_set *sim_objects_set(struct sim_world *world, unsigned sample)
{
	struct sim_objects *self = world->objects;
	struct object_tree tree;
	struct object_set *set;

	need(object_tree_decode(
		sample < SIM_SAMPLES ? &self->samples[sample].tree : &self->bare, &tree, NULL));
	need(object_set_new(self->spool, &tree, &set));
	return set;
}

static void put_done(void *arg, size_t index, int r, const struct reason *why)
{
	struct sim_world *world = arg;

	sim_check(world, index < PARTS);
	sim_check(world, r == 0 || (r == -EBADMSG && why->text[0]));
	world->objects->out--;
}

void sim_objects_put(struct sim_world *world, struct object_set *set, unsigned sample)
{
	struct sim_objects *self = world->objects;
	struct slices content = {0};
	size_t index = sim_below(world, PARTS);
	/* Sometimes it is not what it is said to be. */
	size_t other = sim_one_in(world, 10) ? sim_below(world, PARTS) : index;

	need(slices_append_refs(&content, &self->samples[sample].bytes[other]));
	need(object_set_put(set, index, &content, put_done, world));
	self->out++;
}

void sim_objects_wait(struct sim_world *world)
{
	while (world->objects->out > 0)
		loop_step(world->objects->loop, 1000);
}

bool sim_objects_out(const struct sim_world *world)
{
	return world->objects->out > 0;
}

uint64_t sim_objects_bytes(const struct sim_world *world)
{
	return spool_memory_bytes(world->objects->spool) + spool_file_bytes(world->objects->spool);
}
