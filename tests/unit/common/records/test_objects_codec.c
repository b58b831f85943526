/*
 * Objects against the newest release of the real package: the same records give the same objects,
 * ids and tree, byte for byte, and come back from them. What is spoilt is refused.
 */
#include "object_store.h"

#include "common/records/items_codec.h"
#include "common/records/maps_codec.h"
#include "common/records/objects_codec.h"
#include "common/records/record_codec.h"

#define NO_LIMIT UINT64_MAX

/* The expected values of one RecordDict, from the real package. */
struct example {
	struct slices dict; /* as proto (R2) */
	size_t chunk_bytes;
	struct object_store objects;
};

static void example_done(struct example *example)
{
	slices_done(&example->dict);
	store_done(&example->objects);
}

static void check_encode(const struct example *example, const struct slices *tree)
{
	auto_(record_dict_done) struct record_dict dict = {0};
	auto_(object_list_done) struct object_list list = {0};
	struct reason why;

	assert_int_equal(items_decode(&example->dict, &dict, &why), 0);
	assert_int_equal(objects_encode(&dict, example->chunk_bytes, &list), 0);
	assert_int_equal(list.n, example->objects.n);
	for (size_t i = 0; i < list.n; i++) {
		assert_true(object_id_equal(&list.v[i].id, &example->objects.v[i].id));
		assert_true(slices_equal(&list.v[i].bytes, &example->objects.v[i].bytes));
	}
	assert_true(object_id_equal(&list.root, &list.v[list.n - 1].id));
	assert_true(slices_equal(&list.tree, tree));
}

static int decode(struct object_store *objects, struct record_dict *dict, struct reason *why)
{
	const struct object_id *root = &objects->v[objects->n - 1].id;

	return objects_decode(
		&(struct objects_source){store_get, objects, NO_LIMIT}, root, dict, why);
}

static void check_decode(struct example *example)
{
	auto_(record_dict_done) struct record_dict dict = {0};
	auto_(slices_done) struct slices made = {0};
	struct reason why;

	assert_int_equal(decode(&example->objects, &dict, &why), 0);
	assert_int_equal(items_encode(&dict, &made), 0);
	assert_true(slices_equal(&made, &example->dict));
}

/* An object differs from its id: some bytes differ, or some are missing. */
static void spoil(struct object_store *objects, struct stored *spoilt)
{
	size_t len = spoilt->bytes.bytes, cut = len;
	auto_(free_at_exit) uint8_t *data = malloc(len);
	struct record_dict dict;
	struct slices good = spoilt->bytes;
	struct object_id id;
	struct reason why = {0};
	int r;

	assert_non_null(data);
	assert_int_equal(slices_read(&good, 0, data, len), 0);
	if (vector_random() % 4 == 0)
		cut = vector_random() % len;
	for (unsigned n = vector_random() % 3 + (cut == len); n > 0; n--)
		data[vector_random() % len] ^= (uint8_t)(1 + vector_random() % 255);
	spoilt->bytes = vector_cut(data, cut, 40);
	assert_int_equal(object_hash(&spoilt->bytes, &id), 0);
	if (!slices_equal(&spoilt->bytes, &good)) /* the same byte may have been changed back */
		assert_false(object_id_equal(&id, &spoilt->id));
	r = decode(objects, &dict, &why);
	assert_true(r == 0 || ((r == -EBADMSG || r == -ENOENT) && why.text[0]));
	record_dict_done(&dict);
	slices_done(&spoilt->bytes);
	spoilt->bytes = good;
}

static void check_spoilt(struct example *example)
{
	struct object_store *objects = &example->objects;

	for (int i = 0; i < 60; i++) {
		/* most often one of the last: chunks come first and are many */
		size_t from_end = vector_random() % (i % 4 ? 8 : objects->n);

		if (from_end < objects->n)
			spoil(objects, &objects->v[objects->n - 1 - from_end]);
	}
}

static void real_objects_are_made_and_read(void **state)
{
	auto_(example_done) struct example example = {0};
	struct vectors vectors;
	size_t n = 0;

	vectors_start(&vectors, KIT_NEWEST, FLWR_TEST_DIR "/gen_items.py");
	while (vectors_next(&vectors)) {
		if (strcmp(vectors.name, "dict") == 0) {
			example_done(&example);
			assert_int_equal(slices_move(&example.dict, &vectors.bytes), 0);
		} else if (strcmp(vectors.name, "chunk") == 0) {
			vectors.data[vectors.len] = '\0'; /* where the digits of it were */
			example.chunk_bytes = strtoul((char *)vectors.data, NULL, 10);
		} else if (strcmp(vectors.name, "object") == 0) {
			struct stored *stored = store_add(&example.objects);

			stored->bytes = vector_cut(vectors.data, vectors.len, 5000);
			assert_int_equal(object_hash(&stored->bytes, &stored->id), 0);
		} else if (strcmp(vectors.name, "tree") == 0) {
			check_encode(&example, &vectors.bytes);
			check_decode(&example);
			check_spoilt(&example);
			n++;
		}
	}
	assert_true(n > 60);
}

static void put_line(FILE *pipe, const char *name, const struct slices *bytes)
{
	fprintf(pipe, "%s ", name);
	for (size_t i = 0; i < bytes->n; i++) {
		for (size_t j = 0; j < bytes->v[i].len; j++)
			fprintf(pipe, "%02x", bytes->v[i].data[j]);
	}
	fputc('\n', pipe);
}

static void put_objects(FILE *pipe, const struct record_dict *dict, size_t chunk_bytes)
{
	auto_(object_list_done) struct object_list list = {0};
	auto_(slices_done) struct slices items = {0};

	assert_int_equal(objects_encode(dict, chunk_bytes, &list), 0);
	for (size_t i = 0; i < list.n; i++)
		put_line(pipe, "object", &list.v[i].bytes);
	assert_int_equal(items_encode(dict, &items), 0);
	put_line(pipe, "dict", &items);
}

/* Records that the oldest release wrote, as objects, are read by the newest. */
static void the_newest_release_reads_what_the_oldest_wrote(void **state)
{
	struct kit_child newest;
	struct vectors oldest;

	kit_child_start(&newest, KIT_NEWEST, FLWR_TEST_DIR "/inflate_objects.py");
	vectors_start(&oldest, KIT_OLDEST, FLWR_TEST_DIR "/gen_records.py");
	while (vectors_next(&oldest)) {
		auto_(record_dict_done) struct record_dict dict = {0};
		struct reason why;

		if (strcmp(oldest.name, "records") != 0)
			continue;
		assert_int_equal(maps_decode(&oldest.bytes, &dict, &why), 0);
		/* the maps can have a name in common */
		assert_int_equal(record_dict_unique(&dict), 0);
		put_objects(newest.to, &dict, 1 + vector_random() % 6000);
	}
	kit_child_end(&newest);
}

static void array_bytes_are_references(void **state)
{
	static const uint8_t payload[100000];
	auto_(record_dict_done) struct record_dict dict = {0}, decoded = {0};
	auto_(object_list_done) struct object_list list = {0};
	struct object_store store;
	struct array *array;
	struct reason why;

	array = record_add_array(record_dict_add(&dict, "r", RECORD_ARRAYS), "w");
	assert_int_equal(slices_append(&array->data, slice_static(payload, sizeof payload)), 0);
	assert_int_equal(objects_encode(&dict, 60000, &list), 0);
	assert_int_equal(list.n, 5);
	store = (struct object_store){.v = (struct stored *)(void *)list.v, .n = list.n};
	assert_int_equal(decode(&store, &decoded, &why), 0);
	array = &decoded.v[0].arrays[0];
	assert_int_equal(array->data.bytes, sizeof payload);
	assert_ptr_equal(array->data.v[0].data, payload);
	assert_ptr_equal(array->data.v[1].data, payload + 60000);
}

static void names_are_utf8(void **state)
{
	auto_(record_dict_done) struct record_dict dict = {0};
	struct object_list list;

	assert_non_null(record_dict_add(&dict, "\xc3(", RECORD_CONFIGS));
	assert_int_equal(objects_encode(&dict, 100, &list), -EILSEQ);
}

/* Write a body: "%s" in the format stands for the child's id. Returns body. */
static const char *put_id(const char *format, const struct object_id *child, char body[1024])
{
	char id[OBJECT_ID_TEXT_BYTES];
	const char *at = strstr(format, "%s");

	object_id_format(child, id);
	if (at)
		snprintf(body, 1024, "%.*s%s%s", (int)(at - format), format, id, at + 2);
	else
		snprintf(body, 1024, "%s", format);
	return body;
}

static void expect_refusal(struct object_store *store, const char *sentence)
{
	struct record_dict dict;
	struct reason why = {0};
	int r = decode(store, &dict, &why);

	if (r != -EBADMSG || !strstr(why.text, sentence))
		fail_msg("%d \"%s\" is not about \"%s\"", r, why.text, sentence);
	assert_int_equal(dict.n, 0);
}

/* A RecordDict with one record "r". */
static void broken_record_dicts_are_refused(void **state)
{
	static const struct {
		enum object_type type; /* of the root */
		enum object_type child;
		size_t n_children;
		const char *body;
		const char *why;
	} rows[] = {
		{OBJECT_ARRAY_RECORD, OBJECT_CONFIG_RECORD, 1, "{\"r\": \"%s\"}",
			"of type ArrayRecord where a RecordDict must be"},
		{OBJECT_RECORD_DICT, OBJECT_ARRAY, 1, "{\"r\": \"%s\"}",
			"of a type that is no record"},
		{OBJECT_RECORD_DICT, OBJECT_CONFIG_RECORD, 1, "{\"r\": \"%s\"", "no JSON"},
		{OBJECT_RECORD_DICT, OBJECT_CONFIG_RECORD, 1, "[\"%s\"]", "no JSON object"},
		{OBJECT_RECORD_DICT, OBJECT_CONFIG_RECORD, 1, "", "no JSON"},
		{OBJECT_RECORD_DICT, OBJECT_CONFIG_RECORD, 1, "{\"r\\u0000\": \"%s\"}", "no JSON"},
		{OBJECT_RECORD_DICT, OBJECT_CONFIG_RECORD, 1, "{\"r\": \"%s\", \"r\": \"\"}",
			"a name twice"},
		{OBJECT_RECORD_DICT, OBJECT_CONFIG_RECORD, 1, "{\"r\": \"%sa\"}",
			"no id for \"r\""},
		{OBJECT_RECORD_DICT, OBJECT_CONFIG_RECORD, 1, "{\"r\": [\"%s\"]}",
			"no id for \"r\""},
		{OBJECT_RECORD_DICT, OBJECT_CONFIG_RECORD, 1, "{}", "not those of its body"},
		{OBJECT_RECORD_DICT, OBJECT_CONFIG_RECORD, 0, "{\"r\": \"%s\"}",
			"not those of its body"},
		{OBJECT_RECORD_DICT, OBJECT_METRIC_RECORD, 1, "{\"r\": \"%s\"}",
			"its body: broken bytes"},
	};
	char body[1024];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		auto_(store_done) struct object_store store = {0};
		struct object_id child = store_make(&store, rows[i].child, NULL, 0, "\x0a");

		store_make(&store, rows[i].type, &child, rows[i].n_children,
			put_id(rows[i].body, &child, body));
		expect_refusal(&store, rows[i].why);
	}
}

/* Puts a record dict over an array whose body is given; its only child is of that type. */
static void make_array_dict(struct object_store *store, enum object_type chunk, size_t n_children,
	const char *array_body, char bodies[2][1024])
{
	struct object_id id = store_make(store, chunk, NULL, 0, "abc");

	id = store_make(store, OBJECT_ARRAY, &id, n_children, array_body);
	id = store_make(
		store, OBJECT_ARRAY_RECORD, &id, 1, put_id("{\"a\": \"%s\"}", &id, bodies[0]));
	store_make(store, OBJECT_RECORD_DICT, &id, 1, put_id("{\"r\": \"%s\"}", &id, bodies[1]));
}

#define ARRAY_BODY(shape, chunks)                                                                  \
	"{\"dtype\": \"\", \"shape\": " shape ", \"stype\": \"\", \"arraychunk_ids\": " chunks "}"

static void broken_arrays_are_refused(void **state)
{
	static const struct {
		enum object_type chunk;
		size_t n_children;
		const char *body;
		const char *why;
	} rows[] = {
		{OBJECT_ARRAY_CHUNK, 1, ARRAY_BODY("[]", "[1]"), "a child that it has not"},
		{OBJECT_ARRAY_CHUNK, 0, ARRAY_BODY("[]", "[0]"), "a child that it has not"},
		{OBJECT_ARRAY_CHUNK, 1, ARRAY_BODY("[]", "[-1]"), "in arraychunk_ids"},
		{OBJECT_ARRAY_CHUNK, 1, ARRAY_BODY("[]", "[0.0]"), "in arraychunk_ids"},
		{OBJECT_ARRAY_CHUNK, 1, ARRAY_BODY("[]", "[false]"), "in arraychunk_ids"},
		{OBJECT_ARRAY_CHUNK, 1, ARRAY_BODY("[]", "0"), "no arraychunk_ids"},
		{OBJECT_ARRAY_CHUNK, 1, ARRAY_BODY("[]", "[]"), "its body does not name"},
		{OBJECT_ARRAY_CHUNK, 1, ARRAY_BODY("[2147483648]", "[0]"), "in shape"},
		{OBJECT_ARRAY_CHUNK, 1, ARRAY_BODY("[\"1\"]", "[0]"), "in shape"},
		{OBJECT_ARRAY_CHUNK, 1, ARRAY_BODY("{}", "[0]"), "no shape"},
		{OBJECT_ARRAY_CHUNK, 1, "{\"dtype\": \"\", \"shape\": []}", "no stype"},
		{OBJECT_ARRAY_CHUNK, 1, "{\"shape\": []}", "no dtype"},
		{OBJECT_CONFIG_RECORD, 1, ARRAY_BODY("[]", "[0]"),
			"of type ConfigRecord where a ArrayChunk must be"},
	};
	char bodies[2][1024];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		auto_(store_done) struct object_store store = {0};

		make_array_dict(&store, rows[i].chunk, rows[i].n_children, rows[i].body, bodies);
		expect_refusal(&store, rows[i].why);
	}
}

/* More in the body than we know is no harm: a later release may have it. */
static void more_in_an_array_is_no_harm(void **state)
{
	auto_(store_done) struct object_store store = {0};
	auto_(record_dict_done) struct record_dict dict = {0};
	char bodies[2][1024];
	struct reason why;

	make_array_dict(&store, OBJECT_ARRAY_CHUNK, 1,
		"{\"shape\":[3],\"x\":{\"y\":[1e3,null]},\"stype\":\"\",\"dtype\":"
		"\"\\ud83c\\udf38\","
		"\"arraychunk_ids\":[0,0]}",
		bodies);
	assert_int_equal(decode(&store, &dict, &why), 0);
	assert_string_equal(dict.v[0].arrays[0].dtype, "\U0001f338");
	assert_int_equal(dict.v[0].arrays[0].data.bytes, 6);
	assert_int_equal(dict.v[0].arrays[0].shape[0], 3);
}

static void leaves_have_no_children(void **state)
{
	static const enum object_type types[] = {OBJECT_METRIC_RECORD, OBJECT_CONFIG_RECORD};
	char body[1024];

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		auto_(store_done) struct object_store store = {0};
		struct object_id id = store_make(&store, OBJECT_ARRAY_CHUNK, NULL, 0, "");

		id = store_make(&store, types[i], &id, 1, "");
		store_make(
			&store, OBJECT_RECORD_DICT, &id, 1, put_id("{\"r\": \"%s\"}", &id, body));
		expect_refusal(&store, "it has children");
	}
}

static void a_missing_object_is_named(void **state)
{
	auto_(store_done) struct object_store store = {0};
	const struct object_id child = {.v = {1, 2, 3}};
	struct record_dict dict;
	struct reason why = {0};
	char body[1024];

	store_make(&store, OBJECT_RECORD_DICT, &child, 1, put_id("{\"r\": \"%s\"}", &child, body));
	assert_int_equal(decode(&store, &dict, &why), -ENOENT);
	assert_non_null(strstr(why.text, "object 010203"));
}

/* A body that names the only child n times: {"0": id, "1": id, ...} or [0, 0, ...]. */
static char *repeat(const struct object_id *child, size_t n)
{
	char id[OBJECT_ID_TEXT_BYTES], *body = NULL;
	size_t bytes;
	FILE *text = open_memstream(&body, &bytes);

	assert_non_null(text);
	if (child)
		object_id_format(child, id);
	fputs(child ? "{"
		    : "{\"dtype\": \"\", \"shape\": [], \"stype\": \"\", \"arraychunk_ids\": [",
		text);
	for (size_t i = 0; i < n; i++) {
		fputs(i ? ", " : "", text);
		if (child)
			fprintf(text, "\"%zu\": \"%s\"", i, id);
		else
			fputc('0', text);
	}
	fputs(child ? "}" : "]}", text);
	assert_int_equal(fclose(text), 0);
	return body;
}

/* Few bytes that stand for very many. */
static void few_bytes_do_not_become_many(void **state)
{
	auto_(store_done) struct object_store store = {0};
	auto_(free_at_exit) char *array = repeat(NULL, 300);
	auto_(free_at_exit) char *record = NULL, *records = NULL;
	struct object_id id, chunk = store_make(&store, OBJECT_ARRAY_CHUNK, NULL, 0, "0123456789");
	struct record_dict dict;
	struct reason why = {0};

	id = store_make(&store, OBJECT_ARRAY, &chunk, 1, array);
	record = repeat(&id, 300);
	id = store_make(&store, OBJECT_ARRAY_RECORD, &id, 1, record);
	records = repeat(&id, 300);
	id = store_make(&store, OBJECT_RECORD_DICT, &id, 1, records);
	expect_refusal(&store, "more than 1000000 entries");
	assert_int_equal(objects_decode(&(struct objects_source){store_get, &store, 1000000}, &id,
				 &dict, &why),
		-EDQUOT);
	assert_string_equal(why.text, "the records have more than 1000000 bytes");
}

/* A get() that counts what it gives. */
struct counted_store {
	struct object_store store;
	unsigned gets;
};

static int counted_get(void *arg, const struct object_id *id, struct slices *out)
{
	struct counted_store *counted = arg;

	counted->gets++;
	return store_get(&counted->store, id, out);
}

/* Each name that points to a record of values has a copy of them. */
static void a_record_of_many_names_is_counted_at_each(void **state)
{
	enum { NAMES = 300, LEN = 5000 };
	static const char payload[LEN];
	auto_(record_dict_done) struct record_dict made = {0}, dict = {0};
	auto_(object_list_done) struct object_list list = {0};
	auto_(free_at_exit) char *records = NULL;
	struct counted_store counted = {0};
	const struct objects_source source = {counted_get, &counted, 3 * LEN};
	struct value value = {0};
	struct reason why = {0};
	struct object_id id;

	assert_int_equal(value_set_bytes(&value, VALUE_BYTES, payload, LEN), 0);
	assert_int_equal(
		value_map_set(&record_dict_add(&made, "r", RECORD_CONFIGS)->values, "b", &value),
		0);
	assert_int_equal(objects_encode(&made, 100, &list), 0);
	assert_int_equal(list.n, 2);
	/* The dict is made anew, with many names. */
	id = list.v[0].id;
	assert_int_equal(slices_move(&store_add(&counted.store)->bytes, &list.v[0].bytes), 0);
	counted.store.v[0].id = id;
	records = repeat(&id, NAMES);
	id = store_make(&counted.store, OBJECT_RECORD_DICT, &id, 1, records);
	assert_int_equal(objects_decode(&source, &id, &dict, &why), -EDQUOT);
	assert_string_equal(why.text, "the records have more than 15000 bytes");
	/* The dict, and the record for the three names that are too many. */
	assert_int_equal(counted.gets, 4);
	assert_int_equal(dict.n, 0);
	store_done(&counted.store);
}

/* Short values need much memory when they are parsed. */
static void many_short_values_are_bounded(void **state)
{
	auto_(store_done) struct object_store store = {0};
	size_t size = 2 * RECORD_ENTRIES_MAX + 20;
	auto_(free_at_exit) char *body = malloc(size);

	assert_non_null(body);
	memset(body, '1', size);
	memcpy(body, "{\"a\":[1", 7);
	for (size_t i = 7; i < size - 3; i += 2)
		body[i] = ',';
	memcpy(body + size - 3, "]}", 3);
	store_make(&store, OBJECT_RECORD_DICT, NULL, 0, body);
	expect_refusal(&store, "more than 1000000 values");
}

/* A dict with a name of len bytes; with a quote behind it or without. */
static void check_long_name(size_t len, bool closed, const char *why)
{
	auto_(store_done) struct object_store store = {0};
	auto_(free_at_exit) char *body = malloc(len + 10);

	assert_non_null(body);
	memset(body, 'a', len + 10);
	memcpy(body, "{\"", 2);
	snprintf(body + len + 2, 8, "%s", closed ? "\":1}" : "");
	store_make(&store, OBJECT_RECORD_DICT, NULL, 0, body);
	expect_refusal(&store, why);
}

static void long_names_are_refused(void **state)
{
	check_long_name(65536, true, "no id for \"aaa");
	check_long_name(65537, true, "a name of over 65536 bytes");
	check_long_name(393217, true, "a string of over 65536 bytes");
	check_long_name(393217, false, "a string of over 65536 bytes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(real_objects_are_made_and_read),
		cmocka_unit_test(the_newest_release_reads_what_the_oldest_wrote),
		cmocka_unit_test(array_bytes_are_references), cmocka_unit_test(names_are_utf8),
		cmocka_unit_test(broken_record_dicts_are_refused),
		cmocka_unit_test(broken_arrays_are_refused),
		cmocka_unit_test(more_in_an_array_is_no_harm),
		cmocka_unit_test(leaves_have_no_children),
		cmocka_unit_test(a_missing_object_is_named),
		cmocka_unit_test(few_bytes_do_not_become_many),
		cmocka_unit_test(a_record_of_many_names_is_counted_at_each),
		cmocka_unit_test(many_short_values_are_bounded),
		cmocka_unit_test(long_names_are_refused)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
