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

/* Arrays of an answer that somebody refers to keep its task; the last one brings it back. */
static void a_task_that_is_referred_to(void **state)
{
	struct task *task = task_new(&mailbox, NULL);
	struct slices held = {0}, kept = {0}, again = {0};
	struct array *array;
	struct mail mail;

	assert_non_null(task);
	array = record_add_array(record_dict_add(&task->reply, "r", RECORD_ARRAYS), "a");
	assert_int_equal(slices_append_copy(&array->data, "0123456789abcdef", ARRAY_BYTES), 0);
	assert_int_equal(slices_append_refs(&held, &array->data), 0); /* a dict does */
	task_pin(task, &task->reply);
	/* A second time changes nothing: it is pinned already. */
	task_pin(task, &task->reply);
	assert_int_equal(slices_append_refs(&kept, &array->data), 0);
	assert_memory_equal(kept.v[0].data, "0123456789abcdef", ARRAY_BYTES);
	task_unref(task);
	mailbox_take(&mailbox, &mail);
	assert_null(mail.over);
	assert_int_equal(slices_append_refs(&again, &kept), 0);
	slices_done(&kept);
	mailbox_take(&mailbox, &mail);
	assert_null(mail.over);
	slices_done(&again);
	assert_true(readable());
	assert_true(mailbox_wait_over(&mailbox, false));
	mailbox_take(&mailbox, &mail);
	assert_ptr_equal(mail.over, task);
	task_free(mail.over);
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
