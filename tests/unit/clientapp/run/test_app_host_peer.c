/*
 * The worker's end against a peer that is not the bridge, which the test plays; and the reader of
 * replies alone.
 */
#include "clientapp/form/form_layout.h"
#include "common/base/clock.h"
#include "kit/app.h"
#include "kit/vectors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

static bool hasty; /* timers that are set now are over at once */
void __real_timer_set(struct timer *timer, int64_t at_ms);
void __wrap_timer_set(struct timer *timer, int64_t at_ms);

void __wrap_timer_set(struct timer *timer, int64_t at_ms)
{
	__real_timer_set(timer, hasty && at_ms != CLOCK_NEVER ? clock_now_ms() : at_ms);
}

static void say(const struct kit_app *app, struct form_datagram datagram, const char *text, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov[2] = {
		{&datagram, sizeof datagram}, {(void *)(uintptr_t)text, strlen(text)}};
	struct msghdr message = {.msg_iov = iov, .msg_iovlen = 2};

	datagram.text_len = (uint32_t)strlen(text);
	if (fd >= 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof control.bytes;
		CMSG_FIRSTHDR(&message)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&message)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&message)->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), &fd, sizeof(int));
	}
	assert_true(sendmsg(app->peer, &message, MSG_NOSIGNAL) > 0);
}

static void datagrams_that_are_not_of_the_form_break_it(void **state)
{
	static const struct {
		uint32_t type, version, code;
		const char *text;
		bool fd;
	} rows[] = {{FORM_GIVE_REPLY, APP_FORM_VERSION, 0, "", false},
		{FORM_HELLO, APP_FORM_VERSION + 1, 0, "x", false},
		{FORM_HELLO, APP_FORM_VERSION, 0, "x", true},
		{FORM_HELLO, APP_FORM_VERSION, 0, "\xff", false},
		{9, APP_FORM_VERSION, 0, "", false},
		{FORM_GIVE_TASK, APP_FORM_VERSION, 0, "", false},
		{FORM_FAILURE, APP_FORM_VERSION, 8, "x", false}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct kit_app app;

		kit_app_open(&app);
		say(&app,
			(struct form_datagram){.type = rows[i].type,
				.version = rows[i].version,
				.code = rows[i].code},
			rows[i].text, rows[i].fd ? STDOUT_FILENO : -1);
		kit_app_wait(&app);
		assert_int_equal(app.events[APP_HOST_BROKEN], 1);
		assert_true(app_host_reason(app.host)[0] != '\0');
		kit_app_close(&app);
	}
}

static void an_app_that_hangs_up_has_ended(void **state)
{
	struct kit_app app;

	kit_app_open(&app);
	close_fd(&app.peer);
	kit_app_wait(&app);
	assert_int_equal(app.events[APP_HOST_HUNG_UP], 1);
	assert_true(app_host_ended(app.host));
	kit_app_close(&app);
}

static void no_hello_in_time_is_silence(void **state)
{
	struct kit_app app;

	hasty = true;
	kit_app_open(&app);
	hasty = false;
	kit_app_wait(&app);
	assert_int_equal(app.events[APP_HOST_SILENT], 1);
	kit_app_close(&app);
}

/* The dead process had said hello only: that is read, and then known to be all. */
static void a_hello_of_a_dead_app_is_still_read(void **state)
{
	struct kit_app app;

	kit_app_open(&app);
	say(&app, (struct form_datagram){.type = FORM_HELLO, .version = APP_FORM_VERSION}, "x", -1);
	close_fd(&app.peer);
	assert_true(app_host_ended(app.host));
	assert_int_equal(app.events[APP_HOST_HELLO], 1);
	assert_int_equal(app.events[APP_HOST_HUNG_UP], 0);
	kit_app_close(&app);
}

/* The form's reader alone: a real reply, cut and spoilt at random. */
static int read_spoilt(const struct slices *bytes)
{
	auto_(app_reply_done) struct app_reply reply = {0};
	auto_(close_at_exit) int fd = memfd_create("reply", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct reason why = {0};
	int r;

	for (size_t i = 0; i < bytes->n; i++)
		assert_int_equal(write(fd, bytes->v[i].data, bytes->v[i].len), bytes->v[i].len);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_WRITE), 0);
	r = app_form_read_reply(fd, &reply, &why);
	assert_true(r == 0 || why.text[0] != '\0');
	return r;
}

static void spoilt_replies_are_refused(void **state)
{
	struct vectors vectors;
	size_t n = 0;

	vectors_start(&vectors, KIT_OLDEST, FLWR_TEST_DIR "/gen_replies.py");
	for (; vectors_next(&vectors); n++) {
		assert_int_equal(read_spoilt(&vectors.bytes), 0);
		vector_abuse(read_spoilt, vectors.data, vectors.len);
	}
	assert_true(n > 0);
}

static void an_unsealed_reply_is_refused(void **state)
{
	auto_(close_at_exit) int fd = memfd_create("reply", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct app_reply reply;
	struct reason why;

	assert_int_equal(app_form_read_reply(fd, &reply, &why), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(datagrams_that_are_not_of_the_form_break_it),
		cmocka_unit_test(an_app_that_hangs_up_has_ended),
		cmocka_unit_test(no_hello_in_time_is_silence),
		cmocka_unit_test(a_hello_of_a_dead_app_is_still_read),
		cmocka_unit_test(an_unsealed_reply_is_refused),
		cmocka_unit_test(spoilt_replies_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
