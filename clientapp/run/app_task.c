/*
 * app_task: writes a task in the app form: the head is built in memory, array bytes go from where
 * they lie into the file, if that is not where they lie.
 */
#include "clientapp/run/app_form.h"

#include "clientapp/form/form_writer.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

static_assert(MEMORY_FILE_ALIGN % FORM_ALIGN == 0 && MEMORY_FILE_ROOM_BYTES % FORM_ALIGN == 0 &&
		      MEMORY_FILE_ROOM_BYTES >= sizeof(struct form_header),
	"the file's bytes are aligned as the form wants them, behind its header");

/* An array's bytes begin at a multiple of FORM_ALIGN, in the task as in the file; its offset is
 * counted from the first array's. */
static int place(void *arg, const struct slices *data, uint64_t *offset_out)
{
	struct memory_file *file = arg;
	uint64_t offset;
	int r = 0;

	if (!memory_file_holds(file, data, &offset))
		r = memory_file_append(file, data, &offset);
	if (r == 0)
		*offset_out = offset - MEMORY_FILE_ROOM_BYTES;
	return r;
}

static void put_metadata(struct form_writer *writer, const struct metadata *metadata)
{
	form_put_u64(writer, metadata->run_id);
	form_put_string(writer, metadata->message_id);
	form_put_u64(writer, metadata->src_node_id);
	form_put_u64(writer, metadata->dst_node_id);
	form_put_string(writer, metadata->reply_to_message_id);
	form_put_string(writer, metadata->group_id);
	form_put_double(writer, metadata->ttl);
	form_put_string(writer, metadata->message_type);
	form_put_double(writer, metadata->created_at);
	form_put_u8(writer, (uint8_t)(metadata->has_src_task | metadata->has_dst_task << 1));
	form_put_u64(writer, metadata->src_task_id);
	form_put_u64(writer, metadata->dst_task_id);
}

/* The head goes behind the array bytes, which may have been there before it was known. */
static int write_head(const struct form_writer *writer, struct memory_file *file)
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
	r = memory_file_append(file, &head, &offset);
	if (r < 0)
		return r;
	header.head_start = htole64(offset);
	if (slices_append(&first, slice_static(&header, sizeof header)) < 0)
		return -ENOMEM;
	return memory_file_write(file, 0, &first);
}

static void put_task(struct form_writer *writer, const struct app_task *task)
{
	put_metadata(writer, task->metadata);
	form_put_records(writer, task->content);
	form_put_u64(writer, task->run_id);
	form_put_u64(writer, task->node_id);
	form_put_u64(writer, task->series_id);
	form_put_values(writer, task->node_config);
	form_put_values(writer, task->run_config);
	form_put_records(writer, task->state);
	form_put_string(writer, task->app_dir);
	form_put_string(writer, task->fab_id);
	form_put_string(writer, task->fab_version);
	form_put_string(writer, task->fab_hash);
}

static int write_task(const struct app_task *task, struct memory_file *file, int *fd_out)
{
	auto_(form_writer_done) struct form_writer writer = {.place = place, .arg = file};
	int r;

	put_task(&writer, task);
	r = writer.error ? writer.error : write_head(&writer, file);
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
