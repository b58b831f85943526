/*
 * Fuzz target: what an app process writes as its reply, a memory file. What is taken is a whole
 * reply whose records can be sent on.
 */
#include "fuzz.h"

#include "clientapp/form/form_layout.h"
#include "clientapp/run/app_form.h"
#include "common/base/text.h"
#include "common/records/items_codec.h"

#include <fcntl.h>

FUZZ_MEMORY(256, 128);

static void check_records(const struct record_dict *dict)
{
	auto_(record_dict_done) struct record_dict again = {0};
	auto_(slices_done) struct slices items = {0};

	CHECK(items_encode(dict, &items) == 0);
	CHECK(items_decode(&items, &again, NULL) == 0);
	CHECK(again.n == dict->n);
}

static void check_text(const char *text)
{
	CHECK(text && utf8_valid(text, strlen(text)));
}

static void check_reply(const struct app_reply *reply)
{
	CHECK(reply->has_error != reply->has_content);
	if (reply->has_error) {
		check_text(reply->error_reason);
		check_text(reply->traceback);
	} else {
		check_text(reply->metadata.message_type);
		check_text(reply->metadata.group_id);
		check_records(&reply->content);
	}
	if (reply->has_context)
		check_records(&reply->state);
}

void fuzz(const uint8_t *data, size_t len)
{
	static const struct form_header begin = {
		.magic = FORM_MAGIC, .version = APP_FORM_VERSION, .content = FORM_REPLY};
	auto_(fuzz_file_close) struct fuzz_file file = fuzz_file_open(data, len);
	struct app_reply reply;
	struct reason why = {0};

	/* Set the fields that random bytes would hardly ever get right. */
	if (len >= sizeof begin)
		CHECK(pwrite(file.fd, &begin, offsetof(struct form_header, head_start), 0) > 0);
	CHECK(app_form_read_reply(file.fd, &reply, &why) < 0); /* it is not sealed */
	CHECK(fcntl(file.fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_WRITE | F_SEAL_GROW) == 0);
	if (app_form_read_reply(file.fd, &reply, &why)) {
		CHECK(why.text[0]);
		return;
	}
	check_reply(&reply);
	app_reply_done(&reply);
}
