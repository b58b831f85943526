/*
 * app_task: writes a task in the app form: the head is built in memory, array bytes go from where
 * they lie into the file, if that is not where they lie.
 */
#include "clientapp/run/app_form.h"

#include "clientapp/run/form_layout.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

static_assert(MEMORY_FILE_ALIGN % FORM_ALIGN == 0 && MEMORY_FILE_ROOM_BYTES % FORM_ALIGN == 0 &&
		      MEMORY_FILE_ROOM_BYTES >= sizeof(struct form_header),
	"the file's bytes are aligned as the form wants them, behind its header");

/* The first failure sticks. */
struct form_writer {
	struct text head;
	struct memory_file *file; /* behind its room the array bytes */
	int error;
};

static void form_writer_done(struct form_writer *writer)
{
	text_done(&writer->head);
}

static void put(struct form_writer *writer, const void *data, size_t len)
{
	if (!writer->error)
		writer->error = text_add(&writer->head, data, len);
}

static void put_u8(struct form_writer *writer, uint8_t number)
{
	put(writer, &number, sizeof number);
}

static void put_u64(struct form_writer *writer, uint64_t number)
{
	number = htole64(number);
	put(writer, &number, sizeof number);
}

static void put_double(struct form_writer *writer, double number)
{
	uint64_t bits;

	memcpy(&bits, &number, sizeof bits);
	put_u64(writer, bits);
}

/* A number of things or bytes. */
static void put_count(struct form_writer *writer, size_t n)
{
	uint32_t number = htole32((uint32_t)n);

	if (n > UINT32_MAX)
		writer->error = -EMSGSIZE;
	put(writer, &number, sizeof number);
}

static void put_bytes(struct form_writer *writer, const void *data, size_t len)
{
	put_count(writer, len);
	put(writer, data, len);
}

static void put_string(struct form_writer *writer, const char *text)
{
	put_bytes(writer, text ? text : "", text ? strlen(text) : 0);
}

static void put_list(struct form_writer *writer, const struct value *list)
{
	put_count(writer, list->n);
	for (size_t i = 0; i < list->n; i++) {
		if (list->kind == VALUE_DOUBLE_LIST)
			put_double(writer, list->ds[i]);
		else if (list->kind == VALUE_SINT_LIST)
			put_u64(writer, (uint64_t)list->is[i]);
		else if (list->kind == VALUE_UINT_LIST)
			put_u64(writer, list->us[i]);
		else if (list->kind == VALUE_BOOL_LIST)
			put_u8(writer, list->bs[i]);
		else
			put_bytes(writer, list->ss[i].data, list->ss[i].len);
	}
}

static void put_value(struct form_writer *writer, const struct value *value)
{
	put_u8(writer, (uint8_t)value->kind);
	switch ((int)value->kind) {
	case VALUE_DOUBLE:
		put_double(writer, value->d);
		break;
	case VALUE_SINT:
		put_u64(writer, (uint64_t)value->i);
		break;
	case VALUE_UINT:
		put_u64(writer, value->u);
		break;
	case VALUE_BOOL:
		put_u8(writer, value->b);
		break;
	case VALUE_STRING:
	case VALUE_BYTES:
		put_bytes(writer, value->s.data, value->s.len);
		break;
	default:
		put_list(writer, value);
		break;
	}
}

static void put_values(struct form_writer *writer, const struct value_map *map)
{
	put_count(writer, map->n);
	for (size_t i = 0; i < map->n; i++) {
		put_string(writer, map->v[i].key);
		put_value(writer, &map->v[i].value);
	}
}

/* An array's bytes begin at a multiple of FORM_ALIGN, in the task as in the file; its offset is
 * counted from the first array's.
 */
static void put_data(struct form_writer *writer, const struct slices *data)
{
	uint64_t offset = 0;

	if (!writer->error && !memory_file_holds(writer->file, data, &offset))
		writer->error = memory_file_append(writer->file, data, &offset);
	put_u64(writer, offset - MEMORY_FILE_ROOM_BYTES);
	put_u64(writer, data->bytes);
}

static void put_array(struct form_writer *writer, const struct array *array)
{
	put_string(writer, array->key);
	put_string(writer, array->dtype);
	put_string(writer, array->stype);
	put_count(writer, array->n_shape);
	for (size_t i = 0; i < array->n_shape; i++) {
		uint32_t dimension = htole32((uint32_t)array->shape[i]);

		put(writer, &dimension, sizeof dimension);
	}
	put_data(writer, &array->data);
}

static void put_records(struct form_writer *writer, const struct record_dict *dict)
{
	put_count(writer, dict->n);
	for (size_t i = 0; i < dict->n; i++) {
		const struct record *record = &dict->v[i];

		put_string(writer, record->name);
		put_u8(writer, (uint8_t)record->kind);
		if (record->kind != RECORD_ARRAYS) {
			put_values(writer, &record->values);
			continue;
		}
		put_count(writer, record->n_arrays);
		for (size_t j = 0; j < record->n_arrays; j++)
			put_array(writer, &record->arrays[j]);
	}
}

static void put_metadata(struct form_writer *writer, const struct metadata *metadata)
{
	put_u64(writer, metadata->run_id);
	put_string(writer, metadata->message_id);
	put_u64(writer, metadata->src_node_id);
	put_u64(writer, metadata->dst_node_id);
	put_string(writer, metadata->reply_to_message_id);
	put_string(writer, metadata->group_id);
	put_double(writer, metadata->ttl);
	put_string(writer, metadata->message_type);
	put_double(writer, metadata->created_at);
	put_u8(writer, (uint8_t)(metadata->has_src_task | metadata->has_dst_task << 1));
	put_u64(writer, metadata->src_task_id);
	put_u64(writer, metadata->dst_task_id);
}

/* The head goes behind the array bytes, which may have been there before it was known. */
static int write_head(struct form_writer *writer)
{
	auto_(slices_done) struct slices head = {0};
	auto_(slices_done) struct slices first = {0};
	struct form_header header = {.magic = {'F', 'L', 'W', 'A'},
		.version = htole16(APP_FORM_VERSION),
		.content = htole16(FORM_TASK),
		.head_bytes = htole64(writer->head.len),
		.data_start = htole64(MEMORY_FILE_ROOM_BYTES)};
	uint64_t offset;
	int r;

	/* The lists refer to memory of this function and of the writer, both of which outlive them.
	 */
	if (slices_append(&head, slice_static(writer->head.data, writer->head.len)) < 0)
		return -ENOMEM;
	r = memory_file_append(writer->file, &head, &offset);
	if (r < 0)
		return r;
	header.head_start = htole64(offset);
	if (slices_append(&first, slice_static(&header, sizeof header)) < 0)
		return -ENOMEM;
	return memory_file_write(writer->file, 0, &first);
}

static void put_task(struct form_writer *writer, const struct app_task *task)
{
	put_metadata(writer, task->metadata);
	put_records(writer, task->content);
	put_u64(writer, task->run_id);
	put_u64(writer, task->node_id);
	put_u64(writer, task->series_id);
	put_values(writer, task->node_config);
	put_values(writer, task->run_config);
	put_records(writer, task->state);
	put_string(writer, task->app_dir);
	put_string(writer, task->fab_id);
	put_string(writer, task->fab_version);
	put_string(writer, task->fab_hash);
}

static int write_task(const struct app_task *task, struct memory_file *file, int *fd_out)
{
	auto_(form_writer_done) struct form_writer writer = {.file = file};
	int r;

	put_task(&writer, task);
	r = writer.error ? writer.error : write_head(&writer);
	if (r < 0)
		return r;
	*fd_out = fcntl(memory_file_fd(file), F_DUPFD_CLOEXEC, 0);
	return *fd_out < 0 ? -errno : 0;
}

int app_form_write_task(const struct app_task *task, int *fd_out)
{
	struct memory_file *made;
	int r;

	if (task->file)
		return write_task(task, task->file, fd_out);
	r = memory_file_new("flwr-task", &made);
	if (r < 0)
		return r;
	r = write_task(task, made, fd_out);
	memory_file_free(made);
	return r;
}
