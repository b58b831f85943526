/*
 * Fuzz target: the worker API with tasks (dialect 6), and with tokens of runs (2 - 4), both ends,
 * but for the calls about objects.
 */
#include "fuzz.h"

#include "common/message/app_codec.h"

FUZZ_MEMORY(64, 160);

static int again_pending(const struct slices *bytes, struct slices *again)
{
	uint64_t task_id;
	int r = task_decode_pending(bytes, &task_id);

	if (r == 0)
		CHECK(task_encode_pending(task_id, 0, again) == 0);
	return r;
}

static int again_claim(const struct slices *bytes, struct slices *again)
{
	uint64_t task_id;
	int r = task_decode_claim(bytes, &task_id);

	if (r == 0)
		CHECK(task_encode_claim(task_id, again) == 0);
	return r;
}

static int again_claimed(const struct slices *bytes, struct slices *again)
{
	auto_(free_at_exit) char *token = NULL;
	int r = task_decode_claimed(bytes, &token);

	if (r)
		return r;
	CHECK(!token || strlen(token) <= TASK_TOKEN_MAX);
	CHECK(task_encode_claimed(token, again) == 0);
	return 0;
}

static int again_heartbeat(const struct slices *bytes, struct slices *again)
{
	bool success;
	int r = task_decode_heartbeat(bytes, &success);

	if (r == 0)
		CHECK(task_encode_heartbeat(success, again) == 0);
	return r;
}

static int again_input(const struct slices *bytes, struct slices *again)
{
	struct task_input input;
	int r = task_decode_input(bytes, &input);

	if (r)
		return r;
	CHECK(input.context.bytes + input.run.bytes + input.fab.bytes <= bytes->bytes);
	CHECK(task_encode_input(&input, again) == 0);
	task_input_done(&input);
	return 0;
}

static int again_messages(const struct slices *bytes, struct slices *again, bool pulled)
{
	struct task_messages messages;
	int r = pulled ? task_decode_pulled(bytes, &messages) : task_decode_push(bytes, &messages);

	if (r)
		return r;
	CHECK(messages.n_messages <= bytes->bytes && messages.n_trees <= bytes->bytes);
	CHECK((pulled ? task_encode_pulled(&messages, again)
		      : task_encode_push(&messages, again)) == 0);
	task_messages_done(&messages);
	return 0;
}

static int again_pulled(const struct slices *bytes, struct slices *again)
{
	return again_messages(bytes, again, true);
}

static int again_push(const struct slices *bytes, struct slices *again)
{
	return again_messages(bytes, again, false);
}

static int again_pushed(const struct slices *bytes, struct slices *again)
{
	struct task_pushed pushed;
	int r = task_decode_pushed(bytes, &pushed);

	if (r)
		return r;
	CHECK(pushed.message_id && pushed.session_id);
	CHECK(pushed.n_wanted <= bytes->bytes / sizeof pushed.wanted[0]);
	CHECK(task_encode_pushed(&pushed, again) == 0);
	task_pushed_done(&pushed);
	return 0;
}

static int again_output(const struct slices *bytes, struct slices *again)
{
	struct task_output output;
	int r = task_decode_output(bytes, &output);

	if (r)
		return r;
	CHECK(output.sub_status && strlen(output.sub_status) <= TASK_TEXT_MAX);
	CHECK(output.details && strlen(output.details) <= TASK_TEXT_MAX);
	CHECK(task_encode_output(&output, again) == 0);
	task_output_done(&output);
	return 0;
}

static int again_get_run(const struct slices *bytes, struct slices *again)
{
	uint64_t run_id;
	int r = task_decode_get_run(bytes, &run_id);

	if (r == 0)
		CHECK(slices_append_copy(again, &run_id, sizeof run_id) == 0);
	return r;
}

static int again_runs(const struct slices *bytes, struct slices *again)
{
	uint64_t run_id;
	int r = app_decode_runs(bytes, &run_id);

	if (r == 0)
		CHECK(app_encode_runs(run_id, again) == 0);
	return r;
}

static int again_request(const struct slices *bytes, struct slices *again)
{
	uint64_t run_id;
	int r = app_decode_request(bytes, &run_id);

	if (r == 0)
		CHECK(app_encode_request(run_id, again) == 0);
	return r;
}

static int again_requested(const struct slices *bytes, struct slices *again)
{
	auto_(free_at_exit) char *token = NULL;
	int r = app_decode_requested(bytes, &token);

	if (r)
		return r;
	CHECK(!token || strlen(token) <= TASK_TOKEN_MAX);
	CHECK(app_encode_requested(token, again) == 0);
	return 0;
}

/* A body that begins with a text has a token that can be looked for, whatever follows it. */
static int again_app_push(const struct slices *bytes, struct slices *again)
{
	char token[TASK_TOKEN_DIGITS + 1];
	struct task_messages messages;
	int r = app_decode_push(bytes, &messages);

	if (app_first_token(bytes, token))
		CHECK(strlen(token) <= TASK_TOKEN_DIGITS);
	if (r)
		return r;
	CHECK(messages.n_messages <= bytes->bytes && messages.n_trees <= bytes->bytes);
	CHECK(app_encode_push("", 0, &messages, again) == 0);
	task_messages_done(&messages);
	return 0;
}

static int again_app_output(const struct slices *bytes, struct slices *again)
{
	struct app_output output;
	int r = app_decode_output(bytes, &output);

	if (r)
		return r;
	CHECK(output.context.bytes.bytes <= bytes->bytes);
	CHECK(app_encode_output("", &output, again) == 0);
	app_output_done(&output);
	return 0;
}

void fuzz(const uint8_t *data, size_t len)
{
	static const struct fuzz_codec codecs[] = {{.again = again_pending}, {.again = again_claim},
		{.again = again_claimed}, {.again = again_heartbeat}, {.again = again_input},
		{.again = again_pulled}, {.again = again_push}, {.again = again_pushed},
		{.again = again_output}, {.again = again_get_run, .one_way = true},
		{.again = again_runs}, {.again = again_request}, {.again = again_requested},
		{.again = again_app_push}, {.again = again_app_output}};

	for (size_t i = 0; i < ARRAY_LEN(codecs); i++)
		fuzz_codec(&codecs[i], data, len);
}
