/*
 * objects_encode: the writer of objects_codec. Children are made first, because their ids are in
 * their parents. The chunks of arrays, which are nearly all of the bytes, come before all else, on
 * all cores. Equal objects are found by their ids at the end.
 */
#include "common/records/objects_codec.h"

#include "common/base/array.h"
#include "common/base/cleanup.h"
#include "common/base/parallel.h"
#include "common/base/text.h"
#include "common/objects/object_tree.h"
#include "common/records/object_ids.h"
#include "common/records/object_json.h"
#include "common/records/record_codec.h"

#include <assert.h>
#include <errno.h>

#define HASHING_THREADS_MAX  8
#define HASHING_THREAD_BYTES (4u << 20) /* another thread is worth it for so many more */

/* A piece of an array. */
struct chunk {
	struct slices bytes; /* of its object */
	struct object_id id;
	int r; /* of hashing */
};

struct writing {
	size_t chunk_bytes;
	struct chunk *chunks; /* of all arrays, in their order; bytes go to the list */
	size_t n_chunks, next_chunk;
	struct object_list list; /* all that was made, the same object perhaps again */
	size_t cap;
};

/* The children of an object that is being made, the same one perhaps again. */
struct family {
	struct object_id *ids;
	struct slices *trees; /* of each; owned */
	size_t n;
	size_t *numbers; /* of each among the distinct ones, once numbered */
	size_t n_distinct;
};

/* Where the id and the encoded tree of an object that was made go. */
struct place {
	struct object_id *id;
	struct slices *tree;
};

static int family_init(struct family *family, size_t n)
{
	*family = (struct family){.n = n};
	if (n == 0)
		return 0;
	family->ids = calloc(n, sizeof *family->ids);
	family->trees = calloc(n, sizeof *family->trees);
	family->numbers = calloc(n, sizeof *family->numbers);
	return family->ids && family->trees && family->numbers ? 0 : -ENOMEM;
}

static void family_done(struct family *family)
{
	for (size_t i = 0; family->trees && i < family->n; i++)
		slices_done(&family->trees[i]);
	free(family->ids);
	free(family->trees);
	free(family->numbers);
	*family = (struct family){0};
}

/* Keep each child once, in the order of their first use: the head's children, and the tree's. */
static int family_fold(struct family *family)
{
	size_t kept = 0;
	int r = object_ids_number(family->ids, family->n, family->numbers, &family->n_distinct);

	for (size_t i = 0; r == 0 && i < family->n; i++) {
		struct slices tree = family->trees[i];

		family->trees[i] = (struct slices){0};
		if (family->numbers[i] < kept) {
			slices_done(&tree);
			continue;
		}
		family->ids[kept] = family->ids[i];
		family->trees[kept++] = tree;
	}
	return r;
}

void object_list_done(struct object_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		slices_done(&list->v[i].bytes);
	free(list->v);
	slices_done(&list->tree);
	*list = (struct object_list){0};
}

static void writing_done(struct writing *writing)
{
	for (size_t i = 0; i < writing->n_chunks; i++)
		slices_done(&writing->chunks[i].bytes);
	free(writing->chunks);
	object_list_done(&writing->list);
}

/* ---- chunks ---- */

static size_t count_chunks(const struct slices *data, size_t chunk_bytes)
{
	return data->bytes / chunk_bytes + (data->bytes % chunk_bytes != 0);
}

static int cut(struct writing *writing, const struct slices *data)
{
	size_t n = count_chunks(data, writing->chunk_bytes);
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		auto_(slices_done) struct slices body = {0};
		size_t offset = i * writing->chunk_bytes;
		size_t left = data->bytes - offset;

		r = slices_append_range(&body, data, offset,
			left < writing->chunk_bytes ? left : writing->chunk_bytes);
		if (r == 0)
			r = object_build(&(struct object_parts){OBJECT_ARRAY_CHUNK, NULL, 0, &body},
				&writing->chunks[writing->n_chunks++].bytes);
	}
	return r;
}

static void hash_chunk(void *arg, size_t i)
{
	struct chunk *chunk = &((struct chunk *)arg)[i];

	chunk->r = object_hash(&chunk->bytes, &chunk->id);
}

static unsigned count_threads(uint64_t bytes)
{
	uint64_t threads = 1 + bytes / HASHING_THREAD_BYTES;

	return threads < HASHING_THREADS_MAX ? (unsigned)threads : HASHING_THREADS_MAX;
}

/* Make the chunks of all arrays. */
static int make_chunks(struct writing *writing, const struct record_dict *dict)
{
	uint64_t bytes = 0;
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; i < dict->n; i++)
		for (size_t j = 0; j < dict->v[i].n_arrays; j++) {
			n += count_chunks(&dict->v[i].arrays[j].data, writing->chunk_bytes);
			bytes += dict->v[i].arrays[j].data.bytes;
		}
	writing->chunks = calloc(n ? n : 1, sizeof *writing->chunks);
	if (!writing->chunks)
		return -ENOMEM;
	for (size_t i = 0; i < dict->n; i++)
		for (size_t j = 0; r == 0 && j < dict->v[i].n_arrays; j++)
			r = cut(writing, &dict->v[i].arrays[j].data);
	if (r == 0)
		parallel_each(n, count_threads(bytes), hash_chunk, writing->chunks);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = writing->chunks[i].r;
	return r;
}

/* ---- objects ---- */

static struct object_entry *add_entry(struct writing *writing)
{
	struct object_list *list = &writing->list;

	if (array_reserve(&list->v, &writing->cap, list->n, 1, sizeof *list->v) < 0)
		return NULL;
	list->v[list->n] = (struct object_entry){0};
	return &list->v[list->n++];
}

/* Make an object that has the folded family as children. */
static int make_object(struct writing *writing, enum object_type type, const struct family *family,
	const struct slices *body, const struct place *place)
{
	struct object_entry *entry = add_entry(writing);
	int r = entry ? 0 : -ENOMEM;

	if (r == 0)
		r = object_make(&(struct object_parts){type, family->ids, family->n_distinct, body},
			&entry->bytes, &entry->id);
	if (r == 0)
		r = object_tree_encode(&entry->id, family->trees, family->n_distinct, place->tree);
	if (r == 0)
		*place->id = entry->id;
	return r;
}

/* The same with a body that was written, whose memory is taken over. */
static int make_from_text(struct writing *writing, enum object_type type,
	const struct family *family, struct text *text, const struct place *place)
{
	auto_(slices_done) struct slices body = {0};
	size_t len = text->len;
	struct slice slice;
	char *data = text_take(text);

	if (!data || slice_take(data, len, &slice) < 0) {
		free(data);
		return -ENOMEM;
	}
	if (slices_append(&body, slice) < 0)
		return -ENOMEM;
	return make_object(writing, type, family, &body, place);
}

static int take_chunks(struct writing *writing, const struct slices *data, struct family *chunks)
{
	int r = family_init(chunks, count_chunks(data, writing->chunk_bytes));

	for (size_t i = 0; r == 0 && i < chunks->n; i++) {
		struct chunk *chunk = &writing->chunks[writing->next_chunk++];
		struct object_entry *entry = add_entry(writing);

		if (!entry)
			return -ENOMEM;
		*entry = (struct object_entry){.id = chunk->id, .bytes = chunk->bytes};
		chunk->bytes = (struct slices){0};
		chunks->ids[i] = chunk->id;
		r = object_tree_encode(&chunk->id, NULL, 0, &chunks->trees[i]);
	}
	return r < 0 ? r : family_fold(chunks);
}

static int make_array(struct writing *writing, const struct array *array, const struct place *place)
{
	auto_(family_done) struct family chunks = {0};
	auto_(text_done) struct text body = {0};
	int r = take_chunks(writing, &array->data, &chunks);

	if (r == 0)
		r = array_body_write(&body, array, chunks.numbers, chunks.n);
	if (r == 0)
		r = make_from_text(writing, OBJECT_ARRAY, &chunks, &body, place);
	return r;
}

/* An object whose body is the names of the family, which is folded here. */
static int make_named(struct writing *writing, enum object_type type, struct family *family,
	struct object_refs *names, const struct place *place)
{
	auto_(text_done) struct text body = {0};
	int r;

	for (size_t i = 0; i < family->n; i++)
		names->v[i].id = family->ids[i];
	r = object_refs_write(&body, names);
	if (r == 0)
		r = family_fold(family);
	if (r == 0)
		r = make_from_text(writing, type, family, &body, place);
	return r;
}

static int make_array_record(
	struct writing *writing, const struct record *record, const struct place *place)
{
	auto_(family_done) struct family arrays = {0};
	struct object_refs names = {.n = record->n_arrays};
	int r = family_init(&arrays, record->n_arrays);

	names.v = calloc(names.n + 1, sizeof *names.v);
	if (!names.v)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < record->n_arrays; i++) {
		names.v[i].name = record->arrays[i].key;
		r = make_array(writing, &record->arrays[i],
			&(struct place){&arrays.ids[i], &arrays.trees[i]});
	}
	if (r == 0)
		r = make_named(writing, OBJECT_ARRAY_RECORD, &arrays, &names, place);
	free(names.v); /* the names are the record's */
	return r;
}

static int make_value_record(
	struct writing *writing, const struct record *record, const struct place *place)
{
	static const struct family none = {0};
	auto_(wire_writer_done) struct wire_writer writer = {0};
	auto_(slices_done) struct slices body = {0};
	enum object_type type =
		record->kind == RECORD_METRICS ? OBJECT_METRIC_RECORD : OBJECT_CONFIG_RECORD;
	int r;

	record_put_values(&writer, record);
	r = wire_writer_take(&writer, &body);
	return r < 0 ? r : make_object(writing, type, &none, &body, place);
}

static int make_dict(struct writing *writing, const struct record_dict *dict)
{
	auto_(family_done) struct family records = {0};
	struct object_refs names = {.n = dict->n};
	int r = family_init(&records, dict->n);

	names.v = calloc(names.n + 1, sizeof *names.v);
	if (!names.v)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < dict->n; i++) {
		const struct record *record = &dict->v[i];

		names.v[i].name = record->name;
		r = (record->kind == RECORD_ARRAYS ? make_array_record : make_value_record)(
			writing, record, &(struct place){&records.ids[i], &records.trees[i]});
	}
	if (r == 0)
		r = make_named(writing, OBJECT_RECORD_DICT, &records, &names,
			&(struct place){&writing->list.root, &writing->list.tree});
	free(names.v); /* the names are the dict's */
	return r;
}

/* Keep each object once, where it came first. */
static int fold_list(struct object_list *list)
{
	auto_(free_at_exit) struct object_id *ids = reallocarray(NULL, list->n, sizeof *ids);
	auto_(free_at_exit) size_t *numbers = reallocarray(NULL, list->n, sizeof *numbers);
	size_t n = list->n, distinct;
	int r;

	if (!ids || !numbers)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		ids[i] = list->v[i].id;
	r = object_ids_number(ids, n, numbers, &distinct);
	if (r < 0)
		return r;
	list->n = 0;
	for (size_t i = 0; i < n; i++) {
		struct object_entry entry = list->v[i];

		if (numbers[i] < list->n)
			slices_done(&entry.bytes);
		else
			list->v[list->n++] = entry;
	}
	return 0;
}

int objects_encode(const struct record_dict *dict, size_t chunk_bytes, struct object_list *out)
{
	auto_(writing_done) struct writing writing = {.chunk_bytes = chunk_bytes};
	int r;

	assert(chunk_bytes > 0);
	r = make_chunks(&writing, dict);
	if (r == 0)
		r = make_dict(&writing, dict);
	if (r == 0)
		r = fold_list(&writing.list);
	if (r < 0)
		return r;
	*out = writing.list;
	writing.list = (struct object_list){0};
	return 0;
}
