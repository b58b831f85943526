/*
 * app_task: writes a task in the app form: the head is built in memory, array bytes go from where
 * they lie into the file.
 */
#include "clientapp/run/app_form.h"

#include "clientapp/run/form_layout.h"
#include "common/base/cleanup.h"
#include "common/base/files.h"
#include "common/base/text.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>

#define IOV_BATCH 64

static const uint8_t zeros[FORM_ALIGN];

/* The first failure sticks. */
struct form_writer {
	struct text head;
	struct slices data; /* array bytes with what aligns them */
	int error;
};

static void form_writer_done(struct form_writer *writer)
{
	text_done(&writer->head);
	slices_done(&writer->data);
}

static void put(struct form_writer *writer, const void *data, size_t len)
{
	if (!writer->error)
		writer->error = text_add(&writer->head, data, len);
}

static void put_u8(struct form_writer *writer, uint8_t number)
{
	put(writer, &number, sizeof(number));
}

static void put_u64(struct form_writer *writer, uint64_t number)
{
	number = htole64(number);
	put(writer, &number, sizeof(number));
}

static void put_double(struct form_writer *writer, double number)
{
	uint64_t bits;

	memcpy(&bits, &number, sizeof(bits));
	put_u64(writer, bits);
}

/* A number of things or bytes. */
static void put_count(struct form_writer *writer, size_t n)
{
	uint32_t number = htole32((uint32_t)n);

	if (n > UINT32_MAX)
		writer->error = -EMSGSIZE;
	put(writer, &number, sizeof(number));
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

/* An array's bytes begin at a multiple of FORM_ALIGN; its offset is counted from the first array's.
 */
static void put_data(struct form_writer *writer, const struct slices *data)
{
	size_t pad = -writer->data.bytes % FORM_ALIGN;

	if (!writer->error)
		writer->error = slices_append(&writer->data, slice_static(zeros, pad));
	put_u64(writer, writer->data.bytes);
	put_u64(writer, data->bytes);
	if (!writer->error)
		writer->error = slices_append_refs(&writer->data, data);
}

static void put_array(struct form_writer *writer, const struct array *array)
{
	put_string(writer, array->key);
	put_string(writer, array->dtype);
	put_string(writer, array->stype);
	put_count(writer, array->n_shape);
	for (size_t i = 0; i < array->n_shape; i++) {
		uint32_t dimension = htole32((uint32_t)array->shape[i]);

		put(writer, &dimension, sizeof(dimension));
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
}

/* All of list, however often the kernel takes less. */
static int write_slices(int fd, const struct slices *list)
{
	size_t i = 0, within = 0;

	while (i < list->n) {
		struct iovec iov[IOV_BATCH];
		int n = 0;
		ssize_t wrote;

		for (size_t j = i; j < list->n && n < IOV_BATCH; j++) {
			size_t skip = j == i ? within : 0;

			iov[n++] = (struct iovec){
				(void *)(uintptr_t)(list->v[j].data + skip), list->v[j].len - skip};
		}
		wrote = writev(fd, iov, n);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0)
			return -errno;
		for (within += (size_t)wrote; i < list->n && within >= list->v[i].len; i++)
			within -= list->v[i].len;
	}
	return 0;
}

static int write_file(struct form_writer *writer, int fd)
{
	auto_(slices_done) struct slices file = {0};
	size_t head_bytes = sizeof(struct form_header) + writer->head.len;
	size_t data_start = (head_bytes + FORM_ALIGN - 1) / FORM_ALIGN * FORM_ALIGN;
	struct form_header header = {.magic = {'F', 'L', 'W', 'A'},
		.version = htole16(APP_FORM_VERSION),
		.content = htole16(FORM_TASK),
		.head_bytes = htole64(head_bytes),
		.data_start = htole64(data_start),
		.data_bytes = htole64(writer->data.bytes)};

	/* The list refers to memory of this function and of the writer, both of which outlive it.
	 */
	if (slices_append(&file, slice_static(&header, sizeof(header))) < 0 ||
		slices_append(&file, slice_static(writer->head.data, writer->head.len)) < 0 ||
		slices_append(&file, slice_static(zeros, data_start - head_bytes)) < 0 ||
		slices_append_refs(&file, &writer->data) < 0)
		return -ENOMEM;
	return write_slices(fd, &file);
}

int app_form_write_task(const struct app_task *task, int *fd_out)
{
	auto_(form_writer_done) struct form_writer writer = {0};
	auto_(close_at_exit) int fd = -1;
	int r;

	put_metadata(&writer, task->metadata);
	put_records(&writer, task->content);
	put_u64(&writer, task->run_id);
	put_u64(&writer, task->node_id);
	put_values(&writer, task->node_config);
	put_values(&writer, task->run_config);
	put_records(&writer, task->state);
	put_string(&writer, task->app_dir);
	put_string(&writer, task->clientapp);
	if (writer.error)
		return writer.error;
	fd = memfd_new("flwr-task");
	if (fd < 0)
		return fd;
	r = write_file(&writer, fd);
	if (r < 0)
		return r;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		return -errno;
	*fd_out = take_fd(&fd);
	return 0;
}
