/*
 * Fuzz target: values in each of their forms. The input as maps, as items, and as objects: each
 * with its length before it (two bytes, little-endian), the last is the root. An id is not the hash
 * of an object here: its first byte says which one it means.
 */
#include "fuzz.h"

#include "common/records/items_codec.h"
#include "common/records/maps_codec.h"
#include "common/records/objects_codec.h"

#include <errno.h>

#define OBJECTS_MAX 256
#define BYTES_MAX   (1 << 20)

FUZZ_MEMORY(2048, 128);

struct input {
	struct slices objects[OBJECTS_MAX];
	size_t n;
};

static void input_done(struct input *input)
{
	for (size_t i = 0; i < input->n; i++)
		slices_done(&input->objects[i]);
}

static void input_split(struct input *input, const uint8_t *data, size_t len)
{
	while (len >= 2 && input->n < OBJECTS_MAX) {
		struct slices *object = &input->objects[input->n++];
		size_t part = data[0] | (size_t)data[1] << 8;

		data += 2;
		len -= 2;
		if (part > len)
			part = len;
		/* In two pieces, so that heads and bodies lie across the cut. */
		*object = fuzz_cut(data, part, (part + 1) / 2);
		data += part;
		len -= part;
	}
}

static int get_input(void *arg, const struct object_id *id, struct slices *out)
{
	const struct input *input = arg;

	return id->v[0] < input->n ? slices_append_refs(out, &input->objects[id->v[0]]) : -ENOENT;
}

static int get_made(void *arg, const struct object_id *id, struct slices *out)
{
	const struct object_list *list = arg;

	for (size_t i = 0; i < list->n; i++) {
		if (object_id_equal(&list->v[i].id, id))
			return slices_append_refs(out, &list->v[i].bytes);
	}
	return -ENOENT;
}

/* What was decoded can be written in each form that keeps the order, and is the same then. */
static void write_again(const struct record_dict *dict)
{
	auto_(record_dict_done) struct record_dict from_items = {0}, from_objects = {0};
	auto_(object_list_done) struct object_list list = {0};
	auto_(slices_done) struct slices items = {0}, again = {0};

	CHECK(items_encode(dict, &items) == 0);
	CHECK(items_decode(&items, &from_items, NULL) == 0);
	CHECK(objects_encode(&from_items, 4096, &list) == 0);
	CHECK(objects_decode(&(struct objects_source){get_made, &list, UINT64_MAX}, &list.root,
		      &from_objects, NULL) == 0);
	CHECK(items_encode(&from_objects, &again) == 0);
	CHECK(slices_equal(&items, &again));
}

void fuzz(const uint8_t *data, size_t len)
{
	auto_(input_done) struct input input = {0};
	auto_(slices_done) struct slices whole = fuzz_cut(data, len, 0);
	struct object_id root = {0};
	struct record_dict dict;
	int r = maps_decode(&whole, &dict, NULL);

	CHECK(maps_check(&whole, NULL) == r);
	if (r == 0)
		record_dict_done(&dict); /* names may be there once in each map */
	r = items_decode(&whole, &dict, NULL);
	CHECK(items_check(&whole, NULL) == r);
	if (r == 0) {
		write_again(&dict);
		record_dict_done(&dict);
	}
	input_split(&input, data, len);
	if (input.n == 0)
		return;
	root.v[0] = (uint8_t)(input.n - 1);
	if (objects_decode(&(struct objects_source){get_input, &input, BYTES_MAX}, &root, &dict,
		    NULL) == 0) {
		write_again(&dict);
		record_dict_done(&dict);
	}
}
