/*
 * Random operations on sets of objects, against a list of what must be there.
 */
#include "kit/vectors.h"
#include "rig.h"

#define SETS  4
#define STEPS 4000

struct model {
	struct sample sample;
	struct object_set *set;
	bool sent[CHUNKS_MAX + 2]; /* the right bytes */
};

struct world {
	struct rig rig;
	struct model models[SETS];
	unsigned n_puts;
	unsigned n_refused, n_refused_seen; /* wrong bytes for what was not sent yet */
};

static void on_world_done(void *arg, size_t index, int r, const struct reason *why)
{
	struct world *world = arg;

	world->rig.n_done++;
	assert_true(r == 0 || r == -EBADMSG);
	assert_int_equal(r < 0, why->text[0] != '\0');
	world->n_refused_seen += r < 0;
}

static void world_put(struct world *world, struct model *model, size_t index, bool right)
{
	struct slices content = {0};
	size_t from = right ? index : (index + 1) % model->sample.n;

	slices_append_refs(&content, &model->sample.bytes[from]);
	assert_int_equal(object_set_put(model->set, index, &content, on_world_done, world), 0);
	world->n_puts++;
	if (right)
		model->sent[index] = true;
	else if (!model->sent[index])
		world->n_refused++;
}

static void world_drop(struct model *model)
{
	if (!model->set)
		return;
	object_set_unref(model->set);
	sample_done(&model->sample);
	*model = (struct model){0};
}

static void world_check(struct world *world)
{
	uint64_t sum = 0;

	for (size_t m = 0; m < SETS; m++) {
		const struct model *model = &world->models[m];
		size_t missing = 0;
		uint64_t bytes = 0;

		for (size_t i = 0; model->set && i < model->sample.n; i++) {
			bool here = object_set_has(model->set, i);

			/* Until all puts are back, something sent may still be on its way. */
			assert_true(!here || model->sent[i]);
			if (world->rig.n_done == world->n_puts)
				assert_int_equal(here, model->sent[i]);
			missing += !here;
			bytes += here ? model->sample.bytes[i].bytes : 0;
		}
		if (!model->set)
			continue;
		assert_int_equal(object_set_missing(model->set), missing);
		assert_int_equal(object_set_bytes(model->set), bytes);
		sum += bytes;
	}
	if (world->rig.n_done < world->n_puts)
		return;
	assert_int_equal(world->n_refused_seen, world->n_refused);
	assert_int_equal(
		spool_memory_bytes(world->rig.spool) + spool_file_bytes(world->rig.spool), sum);
}

static void world_step(struct world *world)
{
	uint32_t random = vector_random();
	struct model *model = &world->models[random % SETS];
	size_t index;

	random = vector_random();
	if (!model->set) {
		sample_make(&model->sample, 1 + random % CHUNKS_MAX, 16 + random % 9000);
		model->set = rig_set(&world->rig, &model->sample);
		return;
	}
	index = vector_random() % model->sample.n;
	switch (random % 16) {
	case 0:
		world_drop(model);
		break;
	case 1:
	case 2:
		wait_done(&world->rig, world->n_puts);
		break;
	case 3:
	case 4:
		world_put(world, model, index, false);
		break;
	case 5:
	case 6:
	case 7:
		if (object_set_has(model->set, index))
			check_get(model->set, index, &model->sample.bytes[index]);
		break;
	case 8:
		loop_step(world->rig.loop, 0);
		break;
	default:
		world_put(world, model, index, true);
		break;
	}
}

static void random_operations_leave_what_must_be_there(void **state)
{
	struct world world = {0};

	rig_init(&world.rig, 60000);
	for (int i = 0; i < STEPS; i++) {
		world_step(&world);
		world_check(&world);
	}
	for (size_t i = 0; i < SETS; i++)
		world_drop(&world.models[i]);
	wait_done(&world.rig, world.n_puts);
	rig_done(&world.rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_operations_leave_what_must_be_there),
	};

	return cmocka_run_group_tests(tests, kit_dir_make, kit_dir_remove);
}
