#include "objects.h"

static void make(struct made *made, size_t i, enum object_type type, const char *body, size_t len)
{
	auto_(slices_done) struct slices list = {0};

	assert_int_equal(slices_append_copy(&list, body, len), 0);
	assert_int_equal(object_make(&(struct object_parts){type, i > 0 ? &made->v[i - 1].id : NULL,
					     i > 0 ? 1 : 0, &list},
				 &made->v[i].bytes, &made->v[i].id),
		0);
}

void made_new(const struct metadata *metadata, size_t bytes, struct made *out)
{
	struct envelope envelope = {.metadata = *metadata, .has_content = true};
	auto_(free_at_exit) char *body = calloc(1, bytes);
	char id[OBJECT_ID_TEXT_BYTES];
	char json[128];

	*out = (struct made){0};
	make(out, 0, OBJECT_CONFIG_RECORD, body, bytes);
	object_id_format(&out->v[0].id, id);
	snprintf(json, sizeof json, "{\"config\": \"%s\"}", id);
	make(out, 1, OBJECT_RECORD_DICT, json, strlen(json));
	assert_int_equal(
		envelope_message_object(&envelope, &out->v[1].id, &out->v[2].bytes, &out->v[2].id),
		0);
	object_id_format(&out->v[2].id, out->message_id);
	for (size_t i = 0; i < MADE_OBJECTS; i++) {
		auto_(slices_done) struct slices below = out->tree;

		out->tree = (struct slices){0};
		assert_int_equal(
			object_tree_encode(&out->v[i].id, &below, i > 0 ? 1 : 0, &out->tree), 0);
	}
}

void made_done(struct made *made)
{
	for (size_t i = 0; i < MADE_OBJECTS; i++)
		slices_done(&made->v[i].bytes);
	slices_done(&made->tree);
}

static void put_done(void *arg, size_t index, int r, const struct reason *why)
{
	unsigned *n = arg;

	if (r)
		fail_msg("%s", why->text);
	++*n;
}

struct object_set *made_set(const struct made *made)
{
	struct object_tree tree;
	struct object_set *set;
	struct reason why;
	unsigned n = 0;

	assert_int_equal(object_tree_decode(&made->tree, &tree, &why), 0);
	assert_int_equal(object_set_new(rig.spool, &tree, &set), 0);
	for (size_t i = 0; i < MADE_OBJECTS; i++) {
		struct slices bytes = {0};

		assert_int_equal(slices_append_refs(&bytes, &made->v[i].bytes), 0);
		assert_int_equal(object_set_put(set, i, &bytes, put_done, &n), 0);
	}
	kit_loop_until(rig.loop, n == MADE_OBJECTS);
	return set;
}
