#include "sample.h"

#include "common/message/fleet_codec.h"
#include "common/message/object_calls_codec.h"
#include "common/message/parts.h"
#include "fleet.pb-c.h"

static const struct envelope plain = {
	.metadata = RIG_REPLY_METADATA,
};

/* A node in dialect C with a reply of some records. */
struct case_ {
	struct rig *rig;
	struct sample sample; /* of whoever made the reply: its root is not the one that goes out */
	struct held_message reply;
	struct object_id root;
};

static void case_init_sized(struct case_ *c, size_t n_records, size_t record_bytes)
{
	c->rig = rig_new(NULL);
	c->rig->lacks = rig_lacks_c;
	c->rig->wants = false;
	rig_register(c->rig);
	sample_init(&c->sample, n_records, record_bytes);
	c->reply.envelope = plain;
	c->reply.envelope.has_content = true;
	c->reply.objects = sample_set(c->rig, &c->sample);
}

static void case_init(struct case_ *c, size_t n_records)
{
	case_init_sized(c, n_records, 100);
}

static void case_push(struct case_ *c)
{
	assert_int_equal(rig_push(c->rig, 5, &c->reply, 2.5), 0);
	rig_pass(c->rig, 0);
}

static void case_done(struct case_ *c)
{
	object_set_unref(c->reply.objects);
	rig_free(c->rig);
	sample_done(&c->sample);
}

/* The announcement that is out: its message, the root of its tree; how many objects are in it. */
static size_t announced(struct case_ *c, struct envelope *message_out)
{
	struct rig_call *push = rig_sent(c->rig, "PushMessages");
	auto_(wire_free) Flwr__PushMessagesRequest *request = NULL;
	auto_(object_tree_done) struct object_tree tree = {0};
	struct reason why = {0};

	assert_non_null(push);
	assert_int_equal(push->timeout_ms, 0);
	assert_int_equal(call_decode(push_messages_request, &push->body, &request), 0);
	assert_int_equal(request->n_messages_list, 1);
	assert_int_equal(request->n_message_object_trees, 1);
	assert_int_equal(request->n_clientapp_runtime_list, 1);
	assert_true(request->clientapp_runtime_list[0] == 2.5);
	assert_int_equal(envelope_decode(&request->messages_list[0], message_out), 0);
	assert_int_equal(object_tree_decode(&request->message_object_trees[0], &tree, &why), 0);
	c->root = tree.v[tree.n - 1].id;
	return tree.n;
}

/* Answer the announcement: these are wanted. */
static void want(struct case_ *c, const struct object_id *ids, size_t n, const char *session)
{
	Flwr__PushMessagesResponse response = FLWR__PUSH_MESSAGES_RESPONSE__INIT;
	char texts[SAMPLE_MAX][OBJECT_ID_TEXT_BYTES];
	char *wanted[SAMPLE_MAX];

	assert_true(n <= SAMPLE_MAX);
	for (size_t i = 0; i < n; i++) {
		object_id_format(&ids[i], texts[i]);
		wanted[i] = texts[i];
	}
	response.n_objects_to_push = n;
	response.objects_to_push = wanted;
	if (session)
		response.session_id = (char *)(uintptr_t)session;
	rig_answer_with(c->rig, "PushMessages", &response);
	rig_pass(c->rig, 0);
}

/* The oldest PushObject that is out. */
static void pushed(struct case_ *c, struct object_request *out)
{
	struct rig_call *handle = rig_sent(c->rig, "PushObject");
	struct object_id id;

	assert_non_null(handle);
	assert_int_equal(object_request_decode(&handle->body, out), 0);
	assert_int_equal(out->node_id, RIG_NODE_ID);
	assert_int_equal(out->run_id, 7);
	/* The object has the id that the call names. */
	assert_int_equal(object_hash(&out->content, &id), 0);
	assert_true(object_id_equal(&id, &out->id));
}

static void store(struct case_ *c, bool stored)
{
	struct slices body = {0};

	assert_int_equal(object_stored_encode(stored, &body), 0);
	rig_answer(c->rig, rig_sent(c->rig, "PushObject"), OUTCOME_OK, "", &body);
	rig_pass(c->rig, 0);
}

static void a_reply_goes_out_with_all_its_objects(void **state)
{
	auto_(envelope_done) struct envelope message = {0};
	struct object_id wanted[SAMPLE_MAX];
	char id[OBJECT_ID_TEXT_BYTES];
	struct case_ c;

	case_init(&c, 12);
	case_push(&c);
	/* Borrowed until then. */
	assert_int_equal(announced(&c, &message), 14);
	assert_true(message.has_content && !message.has_error);
	assert_int_equal(message.content.bytes, 0);
	object_id_format(&c.root, id);
	assert_string_equal(message.metadata.message_id, id);
	assert_string_equal(message.metadata.reply_to_message_id, "message-1");
	assert_false(object_id_equal(&c.root, &c.sample.ids[13]));
	for (size_t i = 0; i < 13; i++)
		wanted[i] = c.sample.ids[i];
	wanted[13] = c.root;
	want(&c, wanted, 14, "a session");
	assert_int_equal(rig_out(c.rig, "PushObject"), 8);
	for (size_t i = 0; i < 14; i++) {
		auto_(object_request_done) struct object_request request = {0};

		assert_int_equal(c.rig->ends, 0);
		pushed(&c, &request);
		assert_true(object_id_equal(&request.id, &wanted[i]));
		assert_string_equal(request.session_id, "a session");
		if (i == 13) {
			auto_(object_head_done) struct object_head head = {0};

			assert_int_equal(object_head_parse(&request.content, &head, NULL), 0);
			assert_int_equal(head.type, OBJECT_MESSAGE);
			assert_int_equal(head.n_children, 1);
			assert_true(object_id_equal(&head.children[0], &c.sample.ids[12]));
		}
		store(&c, true);
	}
	assert_int_equal(c.rig->ends, 1);
	assert_int_equal(c.rig->outcome, OUTCOME_OK);
	assert_int_equal(c.rig->number, 5);
	assert_null(rig_sent(c.rig, "PushMessages"));
	assert_int_equal(rig_warnings(c.rig), 0);
	case_done(&c);
}

static void only_wanted_objects_are_pushed(void **state)
{
	auto_(envelope_done) struct envelope message = {0};
	auto_(object_request_done) struct object_request request = {0};
	struct case_ c;

	case_init(&c, 3);
	case_push(&c);
	announced(&c, &message);
	/* Sessions came with 1.33. */
	want(&c, &c.sample.ids[1], 1, NULL);
	pushed(&c, &request);
	assert_true(object_id_equal(&request.id, &c.sample.ids[1]));
	assert_string_equal(request.session_id, "");
	store(&c, true);
	assert_int_equal(c.rig->outcome, OUTCOME_OK);
	assert_int_equal(c.rig->ends, 1);
	/* Nothing at all. */
	case_push(&c);
	want(&c, NULL, 0, "");
	assert_int_equal(c.rig->outcome, OUTCOME_OK);
	assert_int_equal(c.rig->ends, 2);
	case_done(&c);
}

/* A SuperLink may look at a signature only when a long upload is over. */
static void a_long_upload_begins_with_a_young_signature(void **state)
{
	static const struct {
		size_t bytes;
		bool young[4];
	} rows[] = {{100, {false, false, false, false}}, {5 << 20, {true, false, false, true}}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char before[CLOCK_ISO8601_BYTES];
		struct case_ c;

		case_init_sized(&c, 4, rows[i].bytes);
		rig_pass(c.rig, 20000);
		case_push(&c);
		snprintf(before, sizeof before, "%s", rig_sent(c.rig, "PushMessages")->signed_at);
		want(&c, c.sample.ids, 4, "a session");
		/* Two long ones begin at once, the third after 3 s, the fourth after 6. */
		for (size_t j = 0; j < 4; j++) {
			const struct rig_call *push = rig_sent(c.rig, "PushObject");

			assert_int_equal(strcmp(push->signed_at, before) != 0, rows[i].young[j]);
			snprintf(before, sizeof before, "%s", push->signed_at);
			rig_pass(c.rig, 3000);
			store(&c, true);
		}
		assert_int_equal(c.rig->outcome, OUTCOME_OK);
		case_done(&c);
	}
}

static void a_wanted_object_must_be_part_of_the_reply(void **state)
{
	struct object_id wanted[2] = {0};
	struct case_ c;

	case_init(&c, 3);
	case_push(&c);
	wanted[0] = c.sample.ids[0];
	want(&c, wanted, 2, "s");
	/* Not before the others are home. */
	assert_int_equal(c.rig->ends, 0);
	store(&c, true);
	assert_int_equal(c.rig->ends, 1);
	assert_int_equal(c.rig->outcome, OUTCOME_INTERNAL);
	assert_non_null(strstr(c.rig->details, "no part of the reply"));
	case_done(&c);
}

static void a_reply_is_announced_again_for_objects_not_stored(void **state)
{
	for (int tries = 2; tries <= 4; tries++) {
		struct case_ c;

		case_init(&c, 3);
		case_push(&c);
		for (int i = 1; i < tries; i++) {
			want(&c, c.sample.ids, 2, i == 1 ? "one" : "two");
			store(&c, true);
			assert_int_equal(c.rig->ends, 0);
			store(&c, false);
		}
		if (tries <= 3) {
			want(&c, c.sample.ids, 1, "two");
			store(&c, true);
		}
		assert_int_equal(c.rig->ends, 1);
		assert_int_equal(c.rig->outcome, tries <= 3 ? OUTCOME_OK : OUTCOME_INTERNAL);
		assert_null(rig_sent(c.rig, "PushMessages"));
		case_done(&c);
	}
}

static void final_outcomes_end_a_push(void **state)
{
	static const enum outcome outcomes[] = {OUTCOME_PERMISSION_DENIED, OUTCOME_NOT_FOUND,
		OUTCOME_INVALID_ARGUMENT, OUTCOME_RESOURCE_EXHAUSTED, OUTCOME_FAILED_PRECONDITION};

	for (size_t i = 0; i < ARRAY_LEN(outcomes); i++)
		for (int object = 0; object < 2; object++) {
			struct case_ c;

			case_init(&c, 4);
			case_push(&c);
			if (object)
				want(&c, c.sample.ids, 4, "s");
			rig_answer(c.rig, rig_sent(c.rig, object ? "PushObject" : "PushMessages"),
				outcomes[i], "so it is", NULL);
			rig_pass(c.rig, 0);
			assert_int_equal(c.rig->ends, !object);
			while (rig_sent(c.rig, "PushObject"))
				store(&c, true);
			assert_int_equal(c.rig->ends, 1);
			assert_int_equal(c.rig->outcome, outcomes[i]);
			assert_string_equal(c.rig->details, "so it is");
			assert_int_equal(c.rig->over + c.rig->lost, 0);
			case_done(&c);
		}
}

static void a_push_is_taken_up_where_it_broke_off(void **state)
{
	auto_(object_request_done) struct object_request request = {0};
	struct case_ c;

	case_init(&c, 2);
	case_push(&c);
	rig_answer(c.rig, rig_sent(c.rig, "PushMessages"), OUTCOME_UNAVAILABLE, "", NULL);
	rig_pass(c.rig, 500);
	want(&c, c.sample.ids, 3, "s");
	store(&c, true);
	rig_answer(c.rig, rig_sent(c.rig, "PushObject"), OUTCOME_UNAVAILABLE, "", NULL);
	store(&c, true);
	rig_pass(c.rig, 500);
	pushed(&c, &request);
	assert_true(object_id_equal(&request.id, &c.sample.ids[1]));
	assert_string_equal(request.session_id, "s");
	store(&c, true);
	assert_int_equal(c.rig->ends, 1);
	assert_int_equal(c.rig->outcome, OUTCOME_OK);
	case_done(&c);
}

static void a_push_ends_when_the_node_is_lost_or_stopped(void **state)
{
	for (int stop = 0; stop < 2; stop++) {
		struct case_ c;

		case_init(&c, 4);
		case_push(&c);
		want(&c, c.sample.ids, 4, "s");
		store(&c, true);
		rig_answer(c.rig, rig_sent(c.rig, "PushObject"), OUTCOME_UNAVAILABLE, "", NULL);
		if (stop)
			fleet_stop(c.rig->fleet, rig_stopped, c.rig);
		else
			rig_answer(c.rig, rig_sent(c.rig, "PushObject"), OUTCOME_UNAUTHENTICATED,
				"Invalid node ID", NULL);
		assert_int_equal(c.rig->lost, !stop);
		rig_pass(c.rig, 0);
		assert_int_equal(c.rig->ends, 0);
		rig_answer_cancelled(c.rig);
		rig_pass(c.rig, 0);
		assert_int_equal(c.rig->ends, 1);
		assert_int_equal(c.rig->outcome, OUTCOME_CANCELLED);
		case_push(&c); /* too early, or too late */
		rig_pass(c.rig, 0);
		assert_int_equal(c.rig->ends, 2);
		assert_int_equal(c.rig->outcome, OUTCOME_CANCELLED);
		case_done(&c);
	}
}

/* The worker may have brought a tree or not. */
static void an_error_has_one_object(void **state)
{
	for (int set = 0; set < 2; set++) {
		auto_(envelope_done) struct envelope message = {0};
		auto_(object_request_done) struct object_request request = {0};
		struct object_set *objects = NULL;
		struct case_ c;

		case_init(&c, 0);
		if (set) {
			struct slices bytes = {0}, content = {0};
			struct object_tree tree;
			struct object_id id;

			assert_int_equal(slices_append_copy(&bytes, "{}", 2), 0);
			assert_int_equal(
				object_make(&(struct object_parts){OBJECT_MESSAGE, NULL, 0, &bytes},
					&content, &id),
				0);
			slices_done(&bytes);
			assert_int_equal(object_tree_encode(&id, NULL, 0, &bytes), 0);
			assert_int_equal(object_tree_decode(&bytes, &tree, NULL), 0);
			assert_int_equal(object_set_new(c.rig->spool, &tree, &objects), 0);
			slices_done(&bytes);
			slices_done(&content);
		}
		object_set_unref(c.reply.objects);
		c.reply.objects = objects;
		c.reply.envelope.has_content = false;
		c.reply.envelope.has_error = true;
		c.reply.envelope.error_code = 2;
		c.reply.envelope.error_reason = (char *)"it raised";
		case_push(&c);
		assert_int_equal(announced(&c, &message), 1);
		assert_true(message.has_error && !message.has_content);
		assert_string_equal(message.error_reason, "it raised");
		want(&c, &c.root, 1, "s");
		pushed(&c, &request);
		store(&c, true);
		assert_int_equal(c.rig->ends, 1);
		assert_int_equal(c.rig->outcome, OUTCOME_OK);
		case_done(&c);
	}
}

static void a_dropped_reply_pushes_no_object(void **state)
{
	Flwr__PushMessagesResponse response = FLWR__PUSH_MESSAGES_RESPONSE__INIT;
	Flwr__NumberEntry result = FLWR__NUMBER_ENTRY__INIT;
	char text[OBJECT_ID_TEXT_BYTES];
	struct case_ c;

	case_init(&c, 3);
	case_push(&c);
	/* 1.20 names what it lacks all the same. */
	result.has_key_case = FLWR__NUMBER_ENTRY__HAS_KEY_KEY;
	result.key = (char *)"None";
	response.n_results = 1;
	response.results = &(Flwr__NumberEntry *){&result};
	object_id_format(&c.sample.ids[0], text);
	response.n_objects_to_push = 1;
	response.objects_to_push = &(char *){text};
	rig_answer_with(c.rig, "PushMessages", &response);
	rig_pass(c.rig, 0);
	assert_null(rig_sent(c.rig, "PushObject"));
	assert_int_equal(c.rig->ends, 1);
	assert_int_equal(c.rig->outcome, OUTCOME_OK);
	assert_int_equal(rig_lines(c.rig, "dropped the reply"), 1);
	case_done(&c);
}

static void an_unreadable_answer_is_asked_for_three_times(void **state)
{
	/* Results that are cut off; the id of a wanted object that is none. */
	static const char *const junk[] = {"\x12\x7f", "\x1a\x03"
						       "abc"};

	for (size_t i = 0; i < ARRAY_LEN(junk); i++) {
		struct slices body = {0};
		struct case_ c;

		case_init(&c, 3);
		case_push(&c);
		/* The same message is announced three times in all. */
		for (int tries = 0; tries < 3; tries++) {
			assert_int_equal(c.rig->ends, 0);
			assert_int_equal(slices_append_copy(&body, junk[i], strlen(junk[i])), 0);
			rig_answer(c.rig, rig_sent(c.rig, "PushMessages"), OUTCOME_OK, "", &body);
			rig_pass(c.rig, 0);
		}
		assert_int_equal(c.rig->ends, 1);
		assert_int_equal(c.rig->outcome, OUTCOME_INTERNAL);
		case_done(&c);
	}
}

/* The next message is asked for at once. */
static void a_pushed_reply_is_followed_by_a_poll(void **state)
{
	struct case_ c;

	case_init(&c, 1);
	rig_pass(c.rig, 15000);
	case_push(&c);
	want(&c, c.sample.ids, 1, "s");
	c.rig->wants = true;
	assert_null(rig_sent(c.rig, "PullMessages"));
	store(&c, true);
	assert_non_null(rig_sent(c.rig, "PullMessages"));
	case_done(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reply_goes_out_with_all_its_objects),
		cmocka_unit_test(only_wanted_objects_are_pushed),
		cmocka_unit_test(a_long_upload_begins_with_a_young_signature),
		cmocka_unit_test(a_wanted_object_must_be_part_of_the_reply),
		cmocka_unit_test(a_reply_is_announced_again_for_objects_not_stored),
		cmocka_unit_test(final_outcomes_end_a_push),
		cmocka_unit_test(a_push_is_taken_up_where_it_broke_off),
		cmocka_unit_test(a_push_ends_when_the_node_is_lost_or_stopped),
		cmocka_unit_test(an_error_has_one_object),
		cmocka_unit_test(a_dropped_reply_pushes_no_object),
		cmocka_unit_test(an_unreadable_answer_is_asked_for_three_times),
		cmocka_unit_test(a_pushed_reply_is_followed_by_a_poll),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
