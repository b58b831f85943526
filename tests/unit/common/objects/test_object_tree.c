/*
 * Object trees: their order, what is refused, and that no tree takes long to be read.
 */
#include "common/objects/object_tree.h"
#include "common/wire/wire.h"
#include "kit/vectors.h"

/* ---- trees as text: "a(b c(d))" ---- */

/* The id that a name stands for. */
static struct object_id id_named(uint32_t name)
{
	struct object_id id = {0};

	/* Ids that a hostile peer would choose: they differ in one word only. */
	memcpy(id.v + 12, &name, sizeof name);
	return id;
}

static struct slices tree_parse(const char **text)
{
	struct slices children[8] = {0}, out = {0};
	struct object_id id = id_named((uint32_t) * (*text)++);
	size_t n = 0;

	if (**text == '(') {
		while (**text != ')') {
			++*text; /* the parenthesis or a space */
			children[n++] = tree_parse(text);
		}
		++*text;
	}
	assert_int_equal(object_tree_encode(&id, children, n, &out), 0);
	for (size_t i = 0; i < n; i++)
		slices_done(&children[i]);
	return out;
}

static struct slices tree_of(const char *text)
{
	return tree_parse(&text);
}

static int decode_text(const char *text, struct object_tree *out, struct reason *why)
{
	struct slices bytes = tree_of(text);
	int r = object_tree_decode(&bytes, out, why);

	slices_done(&bytes);
	return r;
}

/* The names in the order of the tree. */
static void tree_order(const struct object_tree *tree, char *out)
{
	for (size_t i = 0; i < tree->n; i++)
		out[i] = (char)tree->v[i].id.v[12];
	out[tree->n] = '\0';
}

static void objects_come_children_first(void **state)
{
	static const struct {
		const char *tree, *order;
	} rows[] = {{"a", "a"}, {"a(b)", "ba"}, {"m(r(x(1 2) y(3)))", "12x3yrm"},
		{"a(b(c) d(c e))", "cbeda"}, {"a(b b b)", "ba"}, {"m(d(x(1 2) y(1 2)))", "12xydm"},
		{"a(b(c d) b(c d c))", "cdba"}, {"a(c b(c))", "cba"}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct object_tree tree;
		struct reason why = {0};
		char order[64];

		if (decode_text(rows[i].tree, &tree, &why) < 0)
			fail_msg("%s: %s", rows[i].tree, why.text);
		tree_order(&tree, order);
		assert_string_equal(order, rows[i].order);
		for (size_t at = 0; at < tree.n; at++) {
			assert_int_equal(object_tree_find(&tree, &tree.v[at].id), at);
			for (uint32_t j = 0; j < tree.v[at].n_children; j++)
				assert_true(tree.v[at].children[j] < at);
		}
		object_tree_done(&tree);
	}
}

static void children_are_in_their_order(void **state)
{
	auto_(object_tree_done) struct object_tree tree = {0};
	auto_(slices_done) struct slices bytes = tree_of("a(b(c) d(e c) b(c))");
	struct object_id unknown = id_named('z');
	const struct object_node *root, *d;

	assert_int_equal(object_tree_find(&tree, &unknown), -1);
	assert_int_equal(object_tree_decode(&bytes, &tree, NULL), 0);
	assert_true(slices_equal(&tree.bytes, &bytes));
	root = &tree.v[tree.n - 1];
	assert_int_equal(root->n_children, 2); /* b, d: a child counts once */
	d = &tree.v[root->children[1]];
	assert_int_equal(d->n_children, 2);
	assert_int_equal(tree.v[d->children[0]].id.v[12], 'e');
	assert_int_equal(tree.v[d->children[1]].id.v[12], 'c');
	assert_int_equal(object_tree_find(&tree, &unknown), -1);
}

static void contradictions_are_refused(void **state)
{
	static const char *const rows[] = {"a(a)", "a(b(a))", "a(b(c) b)", "a(b b(c))",
		"a(b(c d) b(d c))", "a(b(c) d(b(e)))", "a(b(a(b)))", "a(b(c(b(c))))",
		"a(b(c) c(b))", "a(b(c(d)) c)"};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct object_tree tree = {0};
		struct reason why = {0};

		if (decode_text(rows[i], &tree, &why) != -EBADMSG)
			fail_msg("%s was taken", rows[i]);
		assert_non_null(strstr(why.text, "different children"));
		assert_null(tree.v);
	}
}

static void check_raw(const char *bytes, size_t len, const char *sentence)
{
	struct slices list = vector_whole((const uint8_t *)bytes, len);
	struct object_tree tree = {0};
	struct reason why = {0};
	int r = object_tree_decode(&list, &tree, &why);

	if (!sentence && r < 0)
		fail_msg("%s", why.text);
	if (sentence) {
		assert_int_equal(r, -EBADMSG);
		assert_non_null(strstr(why.text, sentence));
	}
	object_tree_done(&tree);
	slices_done(&list);
}

#define ID_A "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define ID_B "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ID_X "E3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* 0a is the head of an object_id (40: of 64 bytes), 12 that of one of the children. */
static void forms_of_the_message(void **state)
{
	check_raw("", 0, "id that is none");
	check_raw("\x0a\x40" ID_A, 66, NULL);
	check_raw("\x0a\x40" ID_A, 65, "cannot be read");
	check_raw("\x0a\x40" ID_X, 66, "id that is none");
	check_raw("\x0a\x3f" ID_A, 65, "id that is none");
	check_raw("\x0a\x41" ID_A "0", 67, "id that is none");
	check_raw("\x12\x00\x0a\x40" ID_A, 68, "id that is none");
	/* The id may come last, more than once, among fields that we do not know. */
	check_raw("\x12\x42\x0a\x40" ID_B "\x0a\x40" ID_A, 134, NULL);
	check_raw("\x0a\x40" ID_B "\x0a\x40" ID_A, 132, NULL);
	check_raw("\x18\x07\x0a\x40" ID_A "\x22\x01x", 71, NULL);
	check_raw("\x10\x07\x0a\x40" ID_A, 68, "cannot be read");
	check_raw("\x12\x7f\x0a\x40" ID_B "\x0a\x40" ID_A, 134, "cannot be read");
	check_raw("\x13\x0a\x40" ID_A, 67, "cannot be read");
}

/* ---- hostile trees, built at once: from the inside out they would take long ---- */

static size_t put_varint(uint8_t *to, uint64_t value)
{
	size_t n = 0;

	for (; value >= 128; value >>= 7)
		to[n++] = (uint8_t)(value | 128);
	to[n++] = (uint8_t)value;
	return n;
}

static size_t put_id(uint8_t *to, uint32_t name)
{
	struct object_id id = id_named(name);
	char text[OBJECT_ID_TEXT_BYTES];

	object_id_format(&id, text);
	to[0] = 0x0a;
	to[1] = 64;
	memcpy(to + 2, text, 64);
	return 66;
}

/* A root with n children; names repeat after so many. */
static struct slices flat_tree(uint32_t n, uint32_t names)
{
	struct slices list = {0};
	struct slice slice;
	uint8_t *data = malloc(((size_t)n + 1) * 68);
	size_t len = 0;

	assert_non_null(data);
	for (uint32_t i = 0; i < n; i++) {
		data[len++] = 0x12;
		data[len++] = 66;
		len += put_id(data + len, 1 + i % names);
	}
	len += put_id(data + len, 0);
	assert_int_equal(slice_take(data, len, &slice), 0);
	assert_int_equal(slices_append(&list, slice), 0);
	return list;
}

/* Each object has one child: depth of them, from the end to the beginning. */
static struct slices deep_tree(uint32_t depth, uint32_t names)
{
	struct slices list = {0};
	size_t cap = (size_t)depth * 80, at = cap;
	uint8_t *data = malloc(cap), head[16], id[66];

	assert_non_null(data);
	for (uint32_t i = 0; i < depth; i++) {
		size_t n;

		if (i > 0) {
			head[0] = 0x12;
			n = 1 + put_varint(head + 1, cap - at);
			at -= n;
			memcpy(data + at, head, n);
		}
		n = put_id(id, i % names);
		at -= n;
		memcpy(data + at, id, n);
	}
	assert_int_equal(slices_append_copy(&list, data + at, cap - at), 0);
	free(data);
	return list;
}

static int decode_hostile(struct slices *bytes, struct object_tree *out)
{
	struct reason why = {0};
	int r = object_tree_decode(bytes, out, &why);

	print_message("%zu bytes: %d %s\n", bytes->bytes, r, why.text);
	slices_done(bytes);
	return r;
}

static void hostile_trees(void **state)
{
	struct object_tree tree = {0};
	struct slices bytes;

	bytes = flat_tree(900000, 900000);
	assert_int_equal(decode_hostile(&bytes, &tree), -EMSGSIZE);
	bytes = flat_tree(1000000, 1000000);
	assert_int_equal(decode_hostile(&bytes, &tree), -EMSGSIZE); /* by its bytes */
	bytes = flat_tree(OBJECT_CHILDREN_MAX + 1, OBJECT_CHILDREN_MAX + 1);
	assert_int_equal(decode_hostile(&bytes, &tree), -EMSGSIZE);
	bytes = flat_tree(OBJECT_CHILDREN_MAX, OBJECT_CHILDREN_MAX);
	assert_int_equal(decode_hostile(&bytes, &tree), 0);
	assert_int_equal(tree.n, OBJECT_CHILDREN_MAX + 1);
	object_tree_done(&tree);
	bytes = flat_tree(900000, 1);
	assert_int_equal(decode_hostile(&bytes, &tree), 0);
	assert_int_equal(tree.n, 2);
	object_tree_done(&tree);
	bytes = deep_tree(OBJECT_TREE_DEPTH_MAX, UINT32_MAX);
	assert_int_equal(decode_hostile(&bytes, &tree), 0);
	assert_int_equal(tree.n, OBJECT_TREE_DEPTH_MAX);
	object_tree_done(&tree);
	bytes = deep_tree(OBJECT_TREE_DEPTH_MAX + 1, UINT32_MAX);
	assert_int_equal(decode_hostile(&bytes, &tree), -EMSGSIZE);
	bytes = deep_tree(100000, UINT32_MAX);
	assert_int_equal(decode_hostile(&bytes, &tree), -EMSGSIZE);
	bytes = deep_tree(4, 1);
	assert_int_equal(decode_hostile(&bytes, &tree), -EBADMSG);
	assert_null(tree.v);
}

/* ---- the rest ---- */

static int decode_again(const struct slices *bytes)
{
	struct object_tree tree;
	int r = object_tree_decode(bytes, &tree, NULL);

	if (r == 0)
		object_tree_done(&tree);
	return r;
}

static void spoilt_trees(void **state)
{
	struct slices bytes = tree_of("m(r(x(1 2) y(3 1)))");
	struct slice flat;

	assert_int_equal(slices_flatten(&bytes, &flat), 0);
	vector_abuse(decode_again, flat.data, flat.len);
	slice_unref(&flat);
	slices_done(&bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(objects_come_children_first),
		cmocka_unit_test(children_are_in_their_order),
		cmocka_unit_test(contradictions_are_refused),
		cmocka_unit_test(forms_of_the_message), cmocka_unit_test(hostile_trees),
		cmocka_unit_test(spoilt_trees)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
