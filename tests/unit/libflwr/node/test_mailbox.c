#include "common/base/cleanup.h"
#include "kit/test.h"
#include "libflwr/node/task.h"

#include <poll.h>

#define ARRAY_BYTES 16

static struct mailbox mailbox;

static bool readable(void)
{
	struct pollfd fd = {.fd = mailbox.fd, .events = POLLIN};

	return poll(&fd, 1, 0) == 1;
}

static int setup(void **state)
{
	return mailbox_init(&mailbox);
}

static int teardown(void **state)
{
	mailbox_done(&mailbox);
	return 0;
}

static void free_lines(struct mail_line *line)
{
	struct mail_line *next;

	for (; line; line = next) {
		next = line->next;
		free(line);
	}
}

static void the_descriptor_tells(void **state)
{
	struct mail mail;

	assert_true(readable()); /* so that a loop takes the first step */
	mailbox_take(&mailbox, &mail);
	assert_false(readable());
	mailbox_wake(&mailbox);
	mailbox_wake(&mailbox);
	assert_true(readable());
	mailbox_take(&mailbox, &mail);
	assert_false(readable());
	assert_null(mail.task);
	assert_false(mail.ended);
}

static void lines_in_order_and_counted(void **state)
{
	const struct mail_line *line;
	struct mail mail;
	char text[32];
	int n = 0;

	for (int i = 0; i < MAILBOX_LINES + 3; i++) {
		snprintf(text, sizeof text, "line %d", i);
		mailbox_line(&mailbox, i % 4 + 1, text);
	}
	mailbox_take(&mailbox, &mail);
	for (line = mail.lines; line; line = line->next) {
		snprintf(text, sizeof text, "line %d", n);
		assert_string_equal(line->text, text);
		assert_int_equal(line->level, n++ % 4 + 1);
		assert_true(line->time_s > 1e9);
	}
	assert_int_equal(n, MAILBOX_LINES);
	assert_int_equal(mail.dropped, 3);
	free_lines(mail.lines);
	mailbox_line(&mailbox, 1, "again");
	mail.lines = mailbox_take_lines(&mailbox, &mail.dropped);
	assert_string_equal(mail.lines->text, "again");
	assert_int_equal(mail.dropped, 0);
	free_lines(mail.lines);
}

static void the_end(void **state)
{
	struct mail mail;

	mailbox_end(&mailbox, -1008, "nobody is there");
	mailbox_take(&mailbox, &mail);
	assert_true(mail.ended);
	assert_int_equal(mail.result, -1008);
	assert_string_equal(mail.sentence.text, "nobody is there");
	mailbox_take(&mailbox, &mail);
	assert_false(mail.ended);
	mailbox_gone(&mailbox);
	assert_false(mailbox_wait_over(&mailbox, true));
}

static void add_array(struct record_dict *dict, struct slices *held)
{
	struct array *array = record_add_array(record_dict_add(dict, "r", RECORD_ARRAYS), "a");

	assert_int_equal(slices_append_copy(&array->data, "0123456789abcdef", ARRAY_BYTES), 0);
	assert_int_equal(slices_append_refs(held, &array->data), 0); /* a dict does */
}

static struct task_part *take_over(void)
{
	struct mail mail;

	mailbox_take(&mailbox, &mail);
	if (mail.over)
		assert_null(mail.over->next);
	return mail.over;
}

/* Arrays of an answer that somebody refers to keep their part of the task, and only that; the last
 * reference brings it back. */
static void a_task_that_is_referred_to(void **state)
{
	struct task *task = task_new(&mailbox, NULL);
	struct slices held = {0}, reply = {0}, kept = {0}, again = {0};

	assert_non_null(task);
	add_array(&task->reply, &held);
	add_array(&task->state, &held);
	task_pin(&task->reply_part, &task->reply);
	task_pin(&task->state_part, &task->state);
	/* A second time changes nothing: it is pinned already. */
	task_pin(&task->reply_part, &task->state);
	assert_int_equal(slices_append_refs(&reply, &task->reply.v[0].arrays[0].data), 0);
	assert_int_equal(slices_append_refs(&kept, &task->state.v[0].arrays[0].data), 0);
	assert_memory_equal(kept.v[0].data, "0123456789abcdef", ARRAY_BYTES);
	task_unref(task);
	assert_null(take_over());
	slices_done(&reply);
	assert_true(readable());
	assert_true(mailbox_wait_over(&mailbox, false));
	assert_ptr_equal(&task->reply_part, take_over());
	task_part_free(&task->reply_part);
	assert_int_equal(slices_append_refs(&again, &kept), 0);
	slices_done(&kept);
	assert_null(take_over());
	slices_done(&again);
	assert_true(mailbox_wait_over(&mailbox, false));
	assert_ptr_equal(&task->state_part, take_over());
	task_part_free(&task->state_part);
	slices_done(&held);
	assert_false(mailbox_wait_over(&mailbox, false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_descriptor_tells, setup, teardown),
		cmocka_unit_test_setup_teardown(lines_in_order_and_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(a_task_that_is_referred_to, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
