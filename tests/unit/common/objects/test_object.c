/*
 * Ids and heads of objects: what is read, what is refused, and what is written.
 */
#include "common/base/text.h"
#include "common/objects/object.h"
#include "kit/vectors.h"

#define ID_A "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define ID_B "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static struct object_id id_of(const char *text)
{
	struct object_id id;

	assert_true(object_id_parse(text, strlen(text), &id));
	return id;
}

static void ids_are_lower_case_hex(void **state)
{
	char text[OBJECT_ID_TEXT_BYTES];
	struct object_id id = id_of(ID_A), other = id_of(ID_B);
	struct slices nothing = {0};

	assert_int_equal(id.v[1], 0x11);
	object_id_format(&id, text);
	assert_string_equal(text, ID_A);
	assert_false(object_id_equal(&id, &other));
	assert_int_equal(object_hash(&nothing, &id), 0);
	assert_true(object_id_equal(&id, &other));
	assert_false(object_id_parse(ID_A, 63, &id));
	assert_false(object_id_parse(ID_A "0", 65, &id));
	for (size_t i = 0; i < 64; i++) {
		static const char bad[] = {'A', 'F', 'g', '/', ':', '`', ' ', '\0', (char)0xc3};

		memcpy(text, ID_A, sizeof text);
		text[i] = bad[i % sizeof bad];
		assert_false(object_id_parse(text, 64, &id));
	}
	assert_true(object_id_equal(&id, &other));
}

/* Parse as one slice and in pieces; both end in the same way. */
static int parse(const char *bytes, size_t len, struct object_head *out, struct reason *why)
{
	struct slices whole = vector_whole((const uint8_t *)bytes, len);
	struct slices cut = vector_cut((const uint8_t *)bytes, len, 5);
	struct object_head again = {0};
	int r = object_head_parse(&whole, out, why);

	assert_int_equal(object_head_parse(&cut, &again, NULL), r);
	if (r == 0) {
		assert_int_equal(again.n_children, out->n_children);
		assert_int_equal(again.body_offset, out->body_offset);
		object_head_done(&again);
	}
	slices_done(&whole);
	slices_done(&cut);
	return r;
}

static void heads_are_read(void **state)
{
	static const char text[] = "RecordDict " ID_B "," ID_A " 5\0ab\0cd";
	struct object_head head = {0};
	struct object_id a = id_of(ID_A), b = id_of(ID_B);

	assert_int_equal(parse(text, sizeof text - 1, &head, NULL), 0);
	assert_int_equal(head.type, OBJECT_RECORD_DICT);
	assert_int_equal(head.n_children, 2);
	assert_true(object_id_equal(&head.children[0], &b));
	assert_true(object_id_equal(&head.children[1], &a));
	assert_int_equal(head.body_bytes, 5);
	assert_memory_equal(text + head.body_offset, "ab\0cd", 5);
	object_head_done(&head);
	assert_int_equal(parse("ArrayChunk  0\0", 14, &head, NULL), 0);
	assert_int_equal(head.type, OBJECT_ARRAY_CHUNK);
	assert_int_equal(head.body_bytes, 0);
	assert_int_equal(head.body_offset, 14);
	assert_null(head.children);
	object_head_done(&head);
}

static void bad_heads_are_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *sentence; /* a part of it */
	} rows[] = {{"", 0, "no head"}, {"Array  3", 8, "no head"}, {"\0abc", 4, "three parts"},
		{"Array 3\0abc", 11, "three parts"}, {"Arrays  3\0abc", 13, "\"Arrays\""},
		{"array  3\0abc", 12, "no such type"}, {"  3\0abc", 7, "no such type"},
		{"Array  3\0abcd", 13, "has 4 bytes, not \"3\""},
		{"Array  3\0ab", 11, "has 2 bytes"}, {"Array  \0", 8, "bytes"},
		{"Array  -3\0abc", 13, "bytes"}, {"Array  +3\0abc", 13, "bytes"},
		{"Array  3 \0abc", 13, "bytes"}, {"Array  0x3\0abc", 14, "bytes"},
		{"Array  18446744073709551619\0abc", 31, "bytes"},
		{"Array x 3\0abc", 13, "child id"}, {"Array , 3\0abc", 13, "child id"},
		{"Array " ID_A ", 3\0abc", 77, "child id"},
		{"Array ," ID_A " 3\0abc", 77, "child id"},
		{"Array " ID_A ";" ID_B " 3\0abc", 141, "child id"},
		{"Array " ID_A "," ID_A " 3\0abc", 141, "child twice"}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct object_head head = {0};
		struct reason why = {0};

		if (parse(rows[i].bytes, rows[i].len, &head, &why) != -EBADMSG ||
			!strstr(why.text, rows[i].sentence))
			fail_msg("row %zu: %s", i, why.text);
		assert_null(head.children);
	}
}

/* A head of n children, all different. */
static struct slices head_of(size_t n)
{
	struct text text = {0};
	struct slices list = {0};
	struct slice slice;

	text_printf(&text, "Array ");
	for (size_t i = 0; i < n; i++)
		text_printf(&text, "%064zx%s", i * 7919 % 200003, i + 1 < n ? "," : "");
	text_printf(&text, " 0");
	text_add(&text, "", 1);
	assert_int_equal(slice_take(text.data, text.len, &slice), 0);
	assert_int_equal(slices_append(&list, slice), 0);
	return list;
}

static void children_are_limited(void **state)
{
	struct slices most = head_of(OBJECT_CHILDREN_MAX), more = head_of(OBJECT_CHILDREN_MAX + 1),
		      many = head_of(2 * OBJECT_CHILDREN_MAX);
	struct object_head head;
	struct reason why;

	assert_int_equal(object_head_parse(&most, &head, &why), 0);
	assert_int_equal(head.n_children, OBJECT_CHILDREN_MAX);
	object_head_done(&head);
	assert_int_equal(object_head_parse(&more, &head, &why), -EBADMSG);
	assert_int_equal(object_head_parse(&many, &head, &why), -EBADMSG);
	slices_done(&most);
	slices_done(&more);
	slices_done(&many);
}

static void objects_are_made_by_reference(void **state)
{
	static const char expected[] = "RecordDict " ID_B "," ID_A " 4\0body";
	static const char body_bytes[] = "body";
	struct object_id children[] = {id_of(ID_B), id_of(ID_A)};
	auto_(slices_done) struct slices body = {0}, made = {0}, whole = {0}, empty = {0};
	struct object_id id, hash;

	assert_int_equal(slices_append(&body, slice_static(body_bytes, 4)), 0);
	assert_int_equal(object_make(&(struct object_parts){OBJECT_RECORD_DICT, children, 2, &body},
				 &made, &id),
		0);
	whole = vector_whole((const uint8_t *)expected, sizeof expected - 1);
	assert_true(slices_equal(&made, &whole));
	assert_ptr_equal(made.v[made.n - 1].data, body_bytes);
	assert_int_equal(object_hash(&whole, &hash), 0);
	assert_true(object_id_equal(&hash, &id));
	assert_int_equal(
		object_make(&(struct object_parts){OBJECT_MESSAGE, NULL, 0, &empty}, &empty, &id),
		0);
	slices_done(&whole);
	whole = vector_whole((const uint8_t *)"Message  0", sizeof("Message  0"));
	assert_true(slices_equal(&empty, &whole));
}

static int parse_again(const struct slices *bytes)
{
	struct object_head head;
	int r = object_head_parse(bytes, &head, NULL);

	if (r == 0)
		object_head_done(&head);
	return r;
}

static void spoilt_heads(void **state)
{
	static const char text[] = "ArrayRecord " ID_A "," ID_B " 10\0{\"a\": \"b\"}";

	vector_abuse(parse_again, (const uint8_t *)text, sizeof text - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(ids_are_lower_case_hex),
		cmocka_unit_test(heads_are_read), cmocka_unit_test(bad_heads_are_refused),
		cmocka_unit_test(children_are_limited),
		cmocka_unit_test(objects_are_made_by_reference), cmocka_unit_test(spoilt_heads)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
