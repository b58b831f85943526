/*
 * app_reply: reads a reply in the app form. What an app process wrote is not to be trusted.
 */
#include "clientapp/run/app_form.h"

#include "clientapp/form/form_reader.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define SEALS_NEEDED (F_SEAL_SHRINK | F_SEAL_WRITE)

void app_reply_done(struct app_reply *reply)
{
	free(reply->error_reason);
	free(reply->traceback);
	metadata_done(&reply->metadata);
	record_dict_done(&reply->content);
	record_dict_done(&reply->state);
	value_map_done(&reply->node_config);
	value_map_done(&reply->run_config);
	*reply = (struct app_reply){0};
}

/* Take the metadata that an app may choose, and no other. */
static int get_metadata(struct form_reader *reader, struct metadata *out)
{
	struct metadata nothing = {0};
	int r;

	r = metadata_copy(&nothing, out);
	if (r == 0)
		r = form_get_string(reader, &out->group_id);
	if (r == 0)
		r = form_get_double(reader, &out->ttl);
	if (r == 0)
		r = form_get_string(reader, &out->message_type);
	return r;
}

static bool is_scalar(const struct value_map *map)
{
	for (size_t i = 0; i < map->n; i++)
		if (map->v[i].value.kind > VALUE_BYTES)
			return false;
	return true;
}

static int get_context(struct form_reader *reader, struct app_reply *reply)
{
	uint8_t has_context;
	int r;

	if (form_get_u8(reader, &has_context) < 0 || has_context > 1)
		return -EBADMSG;
	reply->has_context = has_context;
	if (!has_context)
		return 0;
	r = form_get_records(reader, &reply->state);
	if (r == 0)
		r = form_get_values(reader, false, &reply->node_config);
	if (r == 0)
		r = form_get_values(reader, false, &reply->run_config);
	if (r == 0)
		r = value_map_unique(&reply->node_config);
	if (r == 0)
		r = value_map_unique(&reply->run_config);
	if (r == 0 && !(is_scalar(&reply->node_config) && is_scalar(&reply->run_config)))
		r = -EBADMSG;
	return r;
}

static int get_reply(struct form_reader *reader, struct app_reply *reply)
{
	uint8_t outcome;
	int r;

	if (form_get_u8(reader, &outcome) < 0 || outcome >= FORM_OUTCOME_N)
		return -EBADMSG;
	reply->has_error = outcome == FORM_OUTCOME_ERROR;
	reply->has_content = outcome == FORM_OUTCOME_CONTENT;
	r = form_get_i64(reader, &reply->error_code);
	if (r == 0)
		r = form_get_string(reader, &reply->error_reason);
	if (r == 0)
		r = form_get_string(reader, &reply->traceback);
	if (r == 0)
		r = get_metadata(reader, &reply->metadata);
	if (r == 0)
		r = form_get_records(reader, &reply->content);
	if (r == 0)
		r = get_context(reader, reply);
	if (r < 0)
		return r;
	return reader->left == 0 ? 0 : -EBADMSG;
}

/*
 * Map it through a descriptor that cannot write: before Linux 6.7 a file sealed against writing
 * cannot be mapped shared through one that can.
 */
static int map_file(int fd, struct slice *out)
{
	auto_(close_at_exit) int readable = -1;
	char path[64];
	struct stat st;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	readable = open(path, O_RDONLY | O_CLOEXEC);
	if (readable < 0 || fstat(readable, &st) < 0)
		return -errno;
	return slice_map(readable, (size_t)st.st_size, out);
}

int app_form_read_reply(int fd, struct app_reply *out, struct reason *why)
{
	auto_(app_reply_done) struct app_reply reply = {0};
	auto_(slice_unref) struct slice file = {0};
	struct form_reader reader;
	int seals = fcntl(fd, F_GET_SEALS);
	int r;

	*out = (struct app_reply){0};
	if (seals < 0 || (seals & SEALS_NEEDED) != SEALS_NEEDED)
		return reason_code(why, -EBADMSG, "the app's reply is not sealed");
	r = map_file(fd, &file);
	if (r < 0)
		return reason_code(why, r, "the app's reply cannot be mapped: %s", strerror(-r));
	r = form_open(&file, FORM_REPLY, &reader);
	if (r == 0)
		r = get_reply(&reader, &reply);
	if (r == -ENOMEM)
		return reason_code(why, r, "no memory for the app's reply");
	if (r < 0)
		return reason_code(why, r, "the app's reply is not in the app form");
	*out = reply;
	reply = (struct app_reply){0};
	return 0;
}
