/*
 * Tasks as the worker writes them, read by the host; replies as the host writes them, read by the
 * worker. No process is started.
 */
#include "clientapp/native/reply_file.h"
#include "clientapp/native/task.h"
#include "clientapp/run/app_form.h"
#include "kit/test.h"
#include "kit/vectors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define RANDOM_STEPS 300

/* A task with one array of n bytes, each of them 7, in a file. */
static int task_file(size_t n)
{
	auto_(record_dict_done) struct record_dict content = {0};
	const struct record_dict none = {0};
	const struct value_map no_values = {0};
	const struct metadata metadata = {.run_id = 5,
		.message_id = (char *)(uintptr_t) "id",
		.src_node_id = 1,
		.group_id = (char *)(uintptr_t) "3",
		.ttl = 60,
		.message_type = (char *)(uintptr_t) "train",
		.created_at = 1732000000.25};
	const struct app_task task = {.metadata = &metadata,
		.content = &content,
		.run_id = 5,
		.node_id = 2,
		.node_config = &no_values,
		.run_config = &no_values,
		.state = &none};
	struct array *array =
		record_add_array(record_dict_add(&content, "arrays", RECORD_ARRAYS), "w");
	char *bytes = malloc(n + 1);
	struct slice slice;
	int fd = -1;

	assert_non_null(array);
	assert_non_null(bytes);
	memset(bytes, 7, n);
	assert_int_equal(slice_take(bytes, n, &slice), 0);
	assert_int_equal(slices_append(&array->data, slice), 0);
	assert_int_equal(app_form_write_task(&task, &fd), 0);
	return fd;
}

struct rig {
	struct task task;
	struct reply_file *file;
	int fd; /* another descriptor of the file */
	struct record_dict content;
};

static void rig_open(struct rig *rig, size_t bytes)
{
	struct reason why = {.text = ""};

	*rig = (struct rig){.fd = task_file(bytes)};
	if (task_read(rig->fd, &rig->task, &why))
		fail_msg("%s", why.text);
	assert_int_equal(reply_file_new(dup(rig->fd), &rig->task.file, &rig->file), 0);
	assert_non_null(record_dict_add(&rig->content, "arrays", RECORD_ARRAYS));
}

static void rig_close(struct rig *rig)
{
	record_dict_done(&rig->content);
	task_done(&rig->task);
	reply_file_free(rig->file);
	close_fd(&rig->fd);
}

static void add(struct rig *rig, struct slice slice)
{
	struct array *array;
	char key[24];

	snprintf(key, sizeof key, "%zu", rig->content.v[0].n_arrays);
	array = record_add_array(&rig->content.v[0], key);
	assert_non_null(array);
	assert_int_equal(slices_append(&array->data, slice), 0);
}

static uint64_t write_reply(struct rig *rig)
{
	const struct record_dict none = {0};
	const struct value_map no_values = {0};
	uint64_t bytes = 0;

	assert_int_equal(reply_file_write(rig->file,
				 &(struct reply){.content = &rig->content,
					 .state = &none,
					 .node_config = &no_values,
					 .run_config = &no_values},
				 &bytes),
		0);
	return bytes;
}

/* The reply as the worker reads it: array i consists of bytes that are all value. */
static void assert_array(const struct app_reply *reply, size_t i, size_t len, uint8_t value)
{
	const struct slices *data = &reply->content.v[0].arrays[i].data;
	struct slice whole;

	assert_int_equal(data->bytes, len);
	assert_int_equal(slices_flatten(data, &whole), 0);
	for (size_t k = 0; k < len; k++)
		assert_int_equal(whole.data[k], value);
	slice_unref(&whole);
}

static void read_reply(struct rig *rig, struct app_reply *out)
{
	struct reason why = {.text = ""};

	if (app_form_read_reply(rig->fd, out, &why))
		fail_msg("%s", why.text);
	assert_true(out->has_content && out->has_context);
}

static struct slice memory(struct rig *rig, size_t bytes, uint8_t value)
{
	struct slice slice;

	assert_int_equal(reply_file_memory(rig->file, bytes, &slice), 0);
	assert_int_equal(slice.len, bytes);
	assert_int_equal((uintptr_t)slice.data % FORM_ALIGN, 0);
	for (size_t i = 0; i < bytes; i++)
		assert_int_equal(slice.data[i], 0);
	memset((uint8_t *)(uintptr_t)slice.data, value, bytes);
	return slice;
}

static void a_task_is_read(void **state)
{
	struct rig rig;

	rig_open(&rig, 100);
	assert_int_equal(rig.task.run_id, 5);
	assert_int_equal(rig.task.node_id, 2);
	assert_int_equal(rig.task.src_node_id, 1);
	assert_string_equal(rig.task.message_id, "id");
	assert_string_equal(rig.task.message_type, "train");
	assert_string_equal(rig.task.group_id, "3");
	assert_true(rig.task.ttl == 60 && rig.task.created_at == 1732000000.25);
	assert_int_equal(rig.task.content.n, 1);
	assert_int_equal(rig.task.state.n, 0);
	rig_close(&rig);
}

/* Cut and spoilt at random: refused, with a sentence, or read. */
static int read_spoilt(const struct slices *bytes)
{
	auto_(close_at_exit) int fd = memfd_create("task", MFD_CLOEXEC);
	auto_(task_done) struct task task = {0};
	struct reason why = {.text = ""};
	int r;

	for (size_t i = 0; i < bytes->n; i++)
		assert_int_equal(write(fd, bytes->v[i].data, bytes->v[i].len), bytes->v[i].len);
	r = task_read(fd, &task, &why);
	assert_true(r == 0 || why.text[0]);
	return r;
}

static void a_spoilt_task_is_refused(void **state)
{
	auto_(close_at_exit) int fd = task_file(100);
	struct stat st;
	uint8_t bytes[4096];

	assert_return_code(fstat(fd, &st), errno);
	assert_true((size_t)st.st_size < sizeof bytes);
	assert_int_equal(pread(fd, bytes, sizeof bytes, 0), st.st_size);
	vector_abuse(read_spoilt, bytes, (size_t)st.st_size);
}

static void what_lies_in_the_file_is_not_copied(void **state)
{
	struct app_reply reply = {0};
	struct slices *task;
	uint64_t written;
	struct rig rig;
	struct stat st;

	rig_open(&rig, 1 << 20);
	task = &rig.task.content.v[0].arrays[0].data;
	/* The message's array, twice; small and large ones of our own; one from elsewhere. */
	add(&rig, slice_ref(task->v[0]));
	add(&rig, slice_ref(task->v[0]));
	add(&rig, memory(&rig, 1000, 1));
	add(&rig, memory(&rig, 3 << 20, 2));
	add(&rig, memory(&rig, 1000, 3));
	add(&rig, slice_static("444444", 6));
	add(&rig, memory(&rig, 0, 0));
	written = write_reply(&rig);
	assert_return_code(fstat(rig.fd, &st), errno);
	assert_int_equal(written, st.st_size);
	/* 4 MiB of arrays, what small ones share, heads. */
	assert_true(st.st_size < (4 << 20) + (600 << 10));
	read_reply(&rig, &reply);
	assert_int_equal(reply.content.v[0].n_arrays, 7);
	assert_array(&reply, 0, 1 << 20, 7);
	assert_array(&reply, 1, 1 << 20, 7);
	assert_array(&reply, 2, 1000, 1);
	assert_array(&reply, 3, 3 << 20, 2);
	assert_array(&reply, 4, 1000, 3);
	assert_array(&reply, 5, 6, '4');
	assert_array(&reply, 6, 0, 0);
	app_reply_done(&reply);
	rig_close(&rig);
}

/* Pieces that do not follow each other, or begin anywhere, are one array all the same. */
static void pieces_are_put_together(void **state)
{
	struct app_reply reply = {0};
	struct slice one, two;
	struct rig rig;

	rig_open(&rig, 1000);
	one = memory(&rig, 300, 9);
	two = memory(&rig, 300, 9);
	add(&rig, slice_sub(one, 100, 200));
	assert_int_equal(slices_append(&rig.content.v[0].arrays[0].data, slice_ref(two)), 0);
	add(&rig, slice_sub(rig.task.content.v[0].arrays[0].data.v[0], 1, 500));
	write_reply(&rig);
	read_reply(&rig, &reply);
	assert_array(&reply, 0, 500, 9);
	assert_array(&reply, 1, 500, 7);
	assert_int_equal((uintptr_t)reply.content.v[0].arrays[0].data.v[0].data % FORM_ALIGN, 0);
	app_reply_done(&reply);
	slice_unref(&one);
	slice_unref(&two);
	rig_close(&rig);
}

/* A sealed file does not change; the memory can be written to as before. */
static void memory_is_private_after_the_reply(void **state)
{
	struct app_reply reply = {0};
	struct slice kept;
	struct rig rig;

	rig_open(&rig, 10);
	kept = memory(&rig, 100000, 1);
	add(&rig, slice_ref(kept));
	write_reply(&rig);
	memset((uint8_t *)(uintptr_t)kept.data, 2, kept.len);
	read_reply(&rig, &reply);
	assert_array(&reply, 0, 100000, 1);
	assert_int_equal(kept.data[0], 2);
	assert_int_not_equal(reply_file_memory(rig.file, 10, &kept), 0);
	app_reply_done(&reply);
	/* The memory outlives the file. */
	record_dict_done(&rig.content);
	reply_file_free(rig.file);
	rig.file = NULL;
	assert_int_equal(kept.data[99999], 2);
	slice_unref(&kept);
	rig_close(&rig);
}

/* Arrays come and go in any order; what is there at the end is in the reply, and the file is not
 * much larger than the most that there ever was. */
static void memory_comes_and_goes(void **state)
{
	struct {
		struct slice slice;
		uint8_t value;
	} held[20] = {{{0}, 0}};
	struct app_reply reply = {0};
	size_t n = 0;
	struct rig rig;
	struct stat st;

	rig_open(&rig, 100);
	for (int i = 0; i < RANDOM_STEPS; i++) {
		const size_t at = vector_random() % ARRAY_LEN(held);
		const size_t bytes =
			vector_random() % 4 ? vector_random() % 5000 : vector_random() % 500000;

		slice_unref(&held[at].slice);
		held[at].value = (uint8_t)(vector_random() % 255 + 1);
		held[at].slice = memory(&rig, bytes, held[at].value);
	}
	for (size_t i = 0; i < ARRAY_LEN(held); i++)
		if (held[i].slice.len)
			add(&rig, slice_ref(held[i].slice));
	write_reply(&rig);
	read_reply(&rig, &reply);
	for (size_t i = 0; i < ARRAY_LEN(held); i++) {
		if (held[i].slice.len)
			assert_array(&reply, n++, held[i].slice.len, held[i].value);
		slice_unref(&held[i].slice);
	}
	assert_int_equal(n, reply.content.v[0].n_arrays);
	assert_return_code(fstat(rig.fd, &st), errno);
	/* Holes have no blocks. */
	assert_true((uint64_t)st.st_blocks * 512 < ARRAY_LEN(held) * 700000);
	app_reply_done(&reply);
	rig_close(&rig);
}

static void memory_that_cannot_be_had_is_an_error(void **state)
{
	struct slice slice;
	struct rig rig;

	rig_open(&rig, 100);
	assert_int_equal(reply_file_memory(rig.file, SIZE_MAX, &slice), -EFBIG);
	assert_int_equal(reply_file_memory(rig.file, SIZE_MAX / 2 - 4096, &slice), -EFBIG);
	assert_true(reply_file_memory(rig.file, 1UL << 60, &slice) < 0);
	/* The file can be used as before. */
	add(&rig, memory(&rig, 10, 1));
	write_reply(&rig);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_task_is_read),
		cmocka_unit_test(a_spoilt_task_is_refused),
		cmocka_unit_test(what_lies_in_the_file_is_not_copied),
		cmocka_unit_test(pieces_are_put_together),
		cmocka_unit_test(memory_is_private_after_the_reply),
		cmocka_unit_test(memory_comes_and_goes),
		cmocka_unit_test(memory_that_cannot_be_had_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
