/*
 * clientapp_call: a ClientApp without a node, for its author's tests.
 */
#include "libflwr/app/call_internal.h"
#include "libflwr/app/dict.h"

#include "common/base/cleanup.h"
#include "common/base/number.h"
#include "common/base/text.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define TEST_TTL_S 3600

static void free_dict(struct flwr_dict **dict)
{
	flwr_dict_free(*dict);
}

/* Set key to what text is in a node's configuration: a bool, a number, or a text in quotes. */
static int set_config(struct flwr_record *record, const char *key, const char *text)
{
	const size_t len = strlen(text);
	auto_(free_at_exit) char *inside = NULL;
	int64_t number;
	double fraction;

	if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
		return flwr_set_bool(record, key, text[0] == 't');
	if (number_i64(text, &number) == 0)
		return flwr_set_int(record, key, number);
	if (number_double(text, &fraction) == 0)
		return flwr_set_double(record, key, fraction);
	if (len < 2 || !strchr("'\"", text[0]) || text[len - 1] != text[0])
		return error_set(FLWR_E_ARGUMENT,
			"node_config: %s=%s: the value is no number, no true or false, no text in quotes",
			key, text);
	inside = text_dup(text + 1, len - 2);
	return inside ? flwr_set_string(record, key, inside)
		      : error_set(FLWR_E_MEMORY, "node_config: out of memory");
}

/* The length of a value, which ends at a space that is in no quotes. */
static size_t value_length(const char *text)
{
	size_t len = 0;

	if (*text == '\'' || *text == '"') {
		const char *end = strchr(text + 1, *text);

		len = end ? (size_t)(end - text) + 1 : strlen(text);
	}
	return len + strcspn(text + len, " ");
}

/* "partition-id=0 name='a b'" to the record. 0 or negative with flwr_error(). */
static int set_configs(struct flwr_record *record, const char *text)
{
	int r = 0;

	for (text += strspn(text, " "); r == 0 && *text; text += strspn(text, " ")) {
		auto_(free_at_exit) char *key = NULL, *value = NULL;
		const size_t key_len = strcspn(text, "= ");
		size_t value_len;

		if (key_len == 0 || text[key_len] != '=')
			return error_set(FLWR_E_ARGUMENT,
				"node_config: \"%s\" does not begin with key=value", text);
		value_len = value_length(text + key_len + 1);
		key = text_dup(text, key_len);
		value = text_dup(text + key_len + 1, value_len);
		if (!key || !value)
			return error_set(FLWR_E_MEMORY, "node_config: out of memory");
		r = set_config(record, key, value);
		text += key_len + 1 + value_len;
	}
	return r;
}

/* The dicts of one call, owned. */
struct dicts {
	struct flwr_dict *content, *state, *configs;
};

static int make_dicts(struct dicts *dicts, const struct flwr_dict *content,
	const struct flwr_dict *state, const char *node_config)
{
	struct flwr_record *node;

	dicts->content = flwr_dict_new();
	dicts->state = flwr_dict_new();
	dicts->configs = flwr_dict_new();
	if (!dicts->content || !dicts->state || !dicts->configs)
		return FLWR_E_MEMORY;
	if (content && dict_copy(dicts->content, content) < 0)
		return content->spoilt[0] ? FLWR_E_ARGUMENT : FLWR_E_MEMORY;
	if (state && dict_copy(dicts->state, state) < 0)
		return state->spoilt[0] ? FLWR_E_ARGUMENT : FLWR_E_MEMORY;
	node = flwr_dict_add(dicts->configs, "node_config", FLWR_CONFIGS);
	if (!node || !flwr_dict_add(dicts->configs, "run_config", FLWR_CONFIGS))
		return FLWR_E_MEMORY;
	return set_configs(node, node_config ? node_config : "");
}

/* Call with what is in dicts. As call_run(). */
static int run(const struct flwr_clientapp *app, const char *type, const struct dicts *dicts,
	struct flwr_dict *reply)
{
	struct timespec now;
	struct flwr_message message = {
		.type = type, .id = "test", .group_id = "1", .run_id = 1, .ttl = TEST_TTL_S};
	struct call_context context;
	struct flwr_call call = {.content = dicts->content,
		.reply = reply,
		.context = &context.pub,
		.message = &message};

	clock_gettime(CLOCK_REALTIME, &now);
	message.created_at = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
	context_init(&context, NULL, NULL, 0);
	context.pub.run_id = 1;
	context.pub.node_id = 1;
	context.pub.node_config = flwr_dict_get(dicts->configs, "node_config");
	context.pub.run_config = flwr_dict_get(dicts->configs, "run_config");
	context.pub.state = dicts->state;
	return call_run(app, &call);
}

/* Are the dicts of a call those of this library, and each another one? */
static int check_dicts(const struct flwr_dict *content, const struct flwr_dict *state,
	const struct flwr_dict *reply)
{
	int r = dict_known(reply);

	if (r == 0 && content)
		r = dict_known(content);
	if (r == 0 && state)
		r = dict_known(state);
	if (r == 0 && (reply == content || reply == state))
		r = error_set(FLWR_E_ARGUMENT, "the reply is the content or the state, too");
	return r;
}

int flwr_clientapp_call(const struct flwr_clientapp *app, const char *type,
	const struct flwr_dict *content, const char *node_config, struct flwr_dict *state,
	struct flwr_dict *reply)
{
	auto_(free_dict) struct flwr_dict *a = NULL, *b = NULL, *c = NULL;
	struct dicts dicts = {0};
	int r = check_dicts(content, state, reply);

	if (r == 0)
		r = app_check(app, "the ClientApp");
	if (r == 0 && !type)
		r = error_set(FLWR_E_ARGUMENT, "the type of the message is NULL");
	if (r < 0)
		return r;
	flwr_dict_clear(reply);
	r = make_dicts(&dicts, content, state, node_config);
	a = dicts.content;
	b = dicts.state;
	c = dicts.configs;
	if (r == 0)
		r = run(app, type, &dicts, reply);
	if (r == 0 && state)
		dict_swap(state, dicts.state);
	if (r < 0)
		flwr_dict_clear(reply);
	return r;
}
