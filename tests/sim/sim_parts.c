/*
 * sim_parts: random messages, runs, FABs and outputs, good and bad.
 */
#include "sim/sim_world.h"

#include "common/wire/wire.h"

#include <math.h>
#include <string.h>

#define LARGE_BYTES 60000

uint64_t sim_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

uint64_t sim_below(struct sim_world *world, uint64_t n)
{
	return sim_random(&world->random) % n;
}

bool sim_one_in(struct sim_world *world, unsigned n)
{
	return sim_below(world, n) == 0;
}

bool sim_mishap(struct sim_world *world, unsigned n)
{
	return sim_one_in(world, world->calm ? 20 * n : n);
}

static void make_bytes(struct sim_world *world, struct slices *out)
{
	static const uint8_t bytes[LARGE_BYTES];
	size_t len = sim_one_in(world, 12) ? LARGE_BYTES : sim_below(world, 300);

	if (slices_append_copy(out, bytes, len) < 0)
		abort();
}

static double make_ttl(struct sim_world *world)
{
	static const double odd[] = {0, -5, NAN, INFINITY, -INFINITY, 1e300, 1e-9};

	if (sim_mishap(world, 10))
		return odd[sim_below(world, sizeof odd / sizeof odd[0])];
	return (double)(1 + sim_below(world, 2000));
}

static void make_content(
	struct sim_world *world, struct held_message *out, struct sim_message *message_out)
{
	if (!world->object_share || !sim_one_in(world, world->object_share)) {
		make_bytes(world, &out->envelope.content);
		return;
	}
	message_out->objects = true;
	message_out->sample = (unsigned)sim_below(world, SIM_SAMPLES);
	message_out->set = sim_objects_set(world, message_out->sample);
	out->objects = object_set_ref(message_out->set);
}

void sim_make_message(
	struct sim_world *world, struct held_message *out, struct sim_message *message_out)
{
	char id[32];
	struct metadata metadata = {.run_id = sim_below(world, SIM_RUNS),
		.message_id = id,
		.src_node_id = 1,
		.dst_node_id = world->node_id + sim_mishap(world, 20),
		.reply_to_message_id = (char *)"",
		.group_id = (char *)"3",
		.ttl = make_ttl(world),
		.message_type = (char *)"train",
		.created_at = sim_one_in(world, 20) ? NAN : world->now.wall_s + 5};

	snprintf(id, sizeof id, "m%llu", (unsigned long long)world->last + 1);
	*out = (struct held_message){.envelope.has_content = !sim_mishap(world, 20)};
	if (metadata_copy(&metadata, &out->envelope.metadata) < 0)
		abort();
	*message_out = (struct sim_message){.known = true, .run = metadata.run_id};
	if (out->envelope.has_content)
		make_content(world, out, message_out);
}

void sim_hash(uint64_t run_id, char hash[SIM_HASH_BYTES])
{
	static const char digits[] = "0123456789abcdef";

	memset(hash, digits[run_id / 2], SIM_HASH_BYTES - 1);
	hash[SIM_HASH_BYTES - 1] = '\0';
}

void sim_make_run(struct sim_world *world, uint64_t run_id, struct run *out)
{
	struct value value = {.kind = VALUE_DOUBLE, .d = 0.5};
	char hash[SIM_HASH_BYTES];

	sim_hash(run_id, hash);
	if (sim_mishap(world, 30))
		snprintf(hash, sizeof hash, "%s", sim_one_in(world, 2) ? "" : "nothex");
	*out = (struct run){.run_id = run_id,
		.series_id = world->runs[run_id].series,
		.fab_id = strdup("x/y"),
		.fab_version = strdup("0"),
		.fab_hash = strdup(hash)};
	if (sim_one_in(world, 2) && value_map_set(&out->override_config,
					    sim_mishap(world, 15) ? "unknown" : "rate", &value) < 0)
		abort();
}

void sim_make_fab(struct sim_world *world, struct slices *content, struct manifest *manifest)
{
	struct value value = {.kind = VALUE_DOUBLE, .d = 0.1};

	make_bytes(world, content);
	*manifest = (struct manifest){.publisher = strdup("me"),
		.name = strdup("app"),
		.version = strdup("1.0.0"),
		.clientapp = strdup("app.client:app"),
		.fab_id = strdup("me/app")};
	if (value_map_set(&manifest->config, "rate", &value) < 0)
		abort();
}

void sim_make_context(struct sim_world *world, uint64_t run, struct slices *out)
{
	struct context context = {.run_id = run, .node_id = world->node_id};
	struct slices bytes = {0};
	struct wire_writer state = {0};

	/* A field that no release has: the state can be read, and is of any size. */
	make_bytes(world, &bytes);
	wire_put_refs(&state, 15, &bytes);
	if (wire_writer_take(&state, &context.state) < 0 || context_encode(&context, out) < 0)
		abort();
	slices_done(&context.state);
	slices_done(&bytes);
}

void sim_make_outputs(
	struct sim_world *world, uint64_t number, struct instruction_outputs *out, bool *valid_out)
{
	const struct sim_message *message = &world->messages[number];
	struct envelope reply = {.has_content = true, .metadata.run_id = 77, .metadata.ttl = 3};
	unsigned kind = (unsigned)sim_below(world, 12);

	*out = (struct instruction_outputs){.token = message->token};
	*valid_out = kind > 4;
	if (kind == 5 || kind == 0) {
		reply.has_content = kind == 0;
		reply.has_error = true;
		reply.error_code = 2;
		reply.error_reason = (char *)"raised";
	}
	if (reply.has_content)
		make_bytes(world, &reply.content);
	if (envelope_encode(&reply, &out->message) < 0)
		abort();
	slices_done(&reply.content);
	sim_make_context(world, kind == 1 ? message->run + 1 : message->run, &out->context.bytes);
	if (kind == 2)
		out->token ^= 1;
	if (kind == 3)
		slices_done(&out->context.bytes);
	if (kind == 4 && slices_append_copy(&out->message, "\xff", 1) < 0)
		abort();
}
