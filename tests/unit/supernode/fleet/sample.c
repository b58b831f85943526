#include "sample.h"

#include "common/message/object_calls_codec.h"

void sample_init(struct sample *sample, size_t n_records, size_t record_bytes)
{
	struct slices trees[SAMPLE_MAX] = {0}, dict = {0}, body = {0};
	auto_(free_at_exit) char *bytes = calloc(1, record_bytes + 1);

	assert_non_null(bytes);
	assert_true(n_records + 2 <= SAMPLE_MAX);
	*sample = (struct sample){.n = n_records + 2};
	for (size_t i = 0; i < n_records; i++) {
		bytes[0] = (char)i;
		assert_int_equal(slices_append_copy(&body, bytes, record_bytes), 0);
		assert_int_equal(
			object_make(&(struct object_parts){OBJECT_CONFIG_RECORD, NULL, 0, &body},
				&sample->bytes[i], &sample->ids[i]),
			0);
		slices_done(&body);
		assert_int_equal(object_tree_encode(&sample->ids[i], NULL, 0, &trees[i]), 0);
	}
	assert_int_equal(slices_append_copy(&body, "{}", 2), 0);
	assert_int_equal(object_make(&(struct object_parts){OBJECT_RECORD_DICT, sample->ids,
					     n_records, &body},
				 &sample->bytes[n_records], &sample->ids[n_records]),
		0);
	assert_int_equal(object_make(&(struct object_parts){OBJECT_MESSAGE, &sample->ids[n_records],
					     1, &body},
				 &sample->bytes[n_records + 1], &sample->ids[n_records + 1]),
		0);
	slices_done(&body);
	assert_int_equal(object_tree_encode(&sample->ids[n_records], trees, n_records, &dict), 0);
	assert_int_equal(
		object_tree_encode(&sample->ids[n_records + 1], &dict, 1, &sample->tree), 0);
	for (size_t i = 0; i < n_records; i++)
		slices_done(&trees[i]);
	slices_done(&dict);
}

void sample_done(struct sample *sample)
{
	for (size_t i = 0; i < sample->n; i++)
		slices_done(&sample->bytes[i]);
	slices_done(&sample->tree);
}

static void put(void *arg, size_t index, int r, const struct reason *why)
{
	assert_int_equal(r, 0);
}

struct object_set *sample_set(struct rig *rig, const struct sample *sample)
{
	struct object_tree tree;
	struct object_set *set = NULL;

	assert_int_equal(object_tree_decode(&sample->tree, &tree, NULL), 0);
	assert_int_equal(object_set_new(rig->spool, &tree, &set), 0);
	for (size_t i = 0; i < sample->n; i++) {
		struct slices content = {0};

		assert_int_equal(slices_append_refs(&content, &sample->bytes[i]), 0);
		assert_int_equal(object_set_put(set, i, &content, put, NULL), 0);
	}
	rig_pass(rig, 0);
	assert_int_equal(object_set_missing(set), 0);
	return set;
}

size_t sample_index(const struct sample *sample, const struct rig_call *handle)
{
	auto_(object_request_done) struct object_request request = {0};

	assert_non_null(handle);
	assert_int_equal(object_request_decode(&handle->body, &request), 0);
	assert_int_equal(request.node_id, RIG_NODE_ID);
	assert_int_equal(request.run_id, 7);
	for (size_t i = 0; i < sample->n; i++)
		if (object_id_equal(&sample->ids[i], &request.id))
			return i;
	fail_msg("a call about another object");
	return 0;
}

unsigned rig_out(struct rig *rig, const char *method)
{
	unsigned n = 0;

	for (struct rig_call *handle = rig->out; handle; handle = handle->next)
		n += !handle->cancelled && strcmp(handle->method, method) == 0;
	return n;
}

void rig_answer_object(struct rig *rig, struct rig_call *handle, const struct slices *content)
{
	auto_(object_pulled_done) struct object_pulled pulled = {
		.found = true, .available = content != NULL};
	struct slices body = {0};

	if (content)
		assert_int_equal(slices_append_refs(&pulled.content, content), 0);
	assert_int_equal(object_pulled_encode(&pulled, &body), 0);
	rig_answer(rig, handle, OUTCOME_OK, "", &body);
}

void rig_answer_object_not_found(struct rig *rig, struct rig_call *handle)
{
	rig_answer(rig, handle, OUTCOME_OK, "", NULL);
}

void rig_answer_objects(struct rig *rig, const struct sample *sample)
{
	struct rig_call *handle;

	while ((handle = rig_sent(rig, "PullObject"))) {
		rig_answer_object(rig, handle, &sample->bytes[sample_index(sample, handle)]);
		rig_pass(rig, 0);
	}
}

void rig_take_message(struct rig *rig, const struct sample *sample)
{
	rig_register(rig);
	rig->wants = false;
	rig_answer_pull_tree(rig, &sample->tree);
	assert_int_equal(rig->messages, 1);
	assert_string_equal(rig->refused, "");
	assert_non_null(rig->objects);
	rig_pass(rig, 0);
}

struct rig *rig_with_message_of(const struct sample *sample, const char *const *lacks)
{
	struct rig *rig = rig_new(NULL);

	rig->lacks = lacks;
	rig_take_message(rig, sample);
	return rig;
}

struct rig *rig_with_message(const struct sample *sample)
{
	return rig_with_message_of(sample, rig_lacks_c);
}
