/*
 * Fuzz target: the task that the native host reads, a memory file that its worker has written. A
 * worker that was taken over, or has a fault, must not do more than have it refused. What is taken
 * can be written as a reply.
 */
#include "fuzz.h"

#include "clientapp/native/reply_file.h"
#include "clientapp/native/task.h"
#include "common/base/text.h"

#include <fcntl.h>

FUZZ_MEMORY(256, 128);

static void check_text(const char *text)
{
	CHECK(text && utf8_valid(text, strlen(text)));
}

static void check_task(struct task *task, int fd)
{
	struct reply_file *file;
	uint64_t bytes;

	check_text(task->message_id);
	check_text(task->message_type);
	check_text(task->group_id);
	CHECK(reply_file_new(fcntl(fd, F_DUPFD_CLOEXEC, 0), &task->file, &file) == 0);
	CHECK(reply_file_write(file,
		      &(struct reply){.content = &task->content,
			      .state = &task->state,
			      .node_config = &task->node_config,
			      .run_config = &task->run_config},
		      &bytes) == 0);
	reply_file_free(file);
}

void fuzz(const uint8_t *data, size_t len)
{
	static const struct form_header begin = {
		.magic = FORM_MAGIC, .version = APP_FORM_VERSION, .content = FORM_TASK};
	auto_(fuzz_file_close) struct fuzz_file file = fuzz_file_open(data, len);
	struct task task;
	struct reason why = {.text = ""};

	/* Set the fields that random bytes would hardly ever get right. */
	if (len >= sizeof begin)
		CHECK(pwrite(file.fd, &begin, offsetof(struct form_header, head_start), 0) > 0);
	if (task_read(file.fd, &task, &why)) {
		CHECK(why.text[0]);
		return;
	}
	check_task(&task, file.fd);
	task_done(&task);
}
