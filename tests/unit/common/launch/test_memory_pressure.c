/*
 * A directory stands for a control group's, and a connection for the kernel's word that a file in
 * it has changed: urgent data is EPOLLPRI, as that word is.
 */
#include "common/launch/memory_pressure.h"
#include "kit/loop.h"

#include "common/base/files.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define EVENTS "low 0\nhigh 0\nmax %d\noom %d\noom_kill %d\noom_group_kill 0\n"

static void count(void *arg)
{
	(*(unsigned *)arg)++;
}

/* ---- files that tell of changes ---- */

static struct {
	ino_t file;
	int ends[2]; /* of a connection; the first is watched */
} told[2];
static size_t n_told;

/* A connection on loopback. */
static void connection_new(int ends[2])
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof address;
	auto_(close_at_exit) int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_return_code(bind(listener, (struct sockaddr *)&address, len), errno);
	assert_return_code(getsockname(listener, (struct sockaddr *)&address, &len), errno);
	assert_return_code(listen(listener, 1), errno);
	ends[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_return_code(connect(ends[1], (struct sockaddr *)&address, len), errno);
	ends[0] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(ends[0] >= 0);
}

int __real_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event);

/* A connection is watched in the place of a file that cannot be: the kernel's own files can. */
int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
	struct stat info;
	int r = __real_epoll_ctl(epoll, op, fd, event);

	if (r == 0 || errno != EPERM)
		return r;
	assert_true(n_told < ARRAY_LEN(told));
	assert_return_code(fstat(fd, &info), errno);
	told[n_told].file = info.st_ino;
	connection_new(told[n_told].ends);
	return __real_epoll_ctl(epoll, op, told[n_told++].ends[0], event);
}

/* ---- a group ---- */

struct group {
	char dir[32];
	struct loop *loop;
	struct memory_pressure *pressure;
	unsigned short_of; /* memory, so often */
};

static void put(const struct group *group, const char *name, const char *text)
{
	auto_(free_at_exit) char *path = path_join(group->dir, name);
	auto_(fclose_at_exit) FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
}

static void put_events(const struct group *group, int max, int oom, int oom_kill)
{
	char text[128];

	snprintf(text, sizeof text, EVENTS, max, oom, oom_kill);
	put(group, "memory.events", text);
}

/* The connection that is watched in the file's place. */
static int *connection_of(const struct group *group, const char *name)
{
	auto_(free_at_exit) char *path = path_join(group->dir, name);
	struct stat info;

	assert_return_code(stat(path, &info), errno);
	for (size_t i = 0; i < n_told; i++)
		if (told[i].file == info.st_ino)
			return told[i].ends;
	fail_msg("%s is not watched", name);
	return NULL;
}

/* The kernel says that the file has changed; the loop sees that with its next step. */
static void changes(const struct group *group, const char *name)
{
	const int *ends = connection_of(group, name);
	struct pollfd wanted = {.fd = ends[0], .events = POLLPRI};
	char last;

	(void)recv(ends[0], &last, 1, MSG_OOB | MSG_DONTWAIT);
	assert_int_equal(send(ends[1], "!", 1, MSG_OOB), 1);
	assert_int_equal(poll(&wanted, 1, KIT_WAIT_MS), 1);
}

static void group_begin(struct group *group)
{
	*group = (struct group){.dir = "/tmp/pressure-XXXXXX"};
	n_told = 0;
	assert_non_null(mkdtemp(group->dir));
	assert_int_equal(loop_new(&group->loop), 0);
}

static void group_watch(struct group *group)
{
	group->pressure = memory_pressure_new(group->loop, group->dir, count, &group->short_of);
	assert_non_null(group->pressure);
}

static void group_end(struct group *group)
{
	memory_pressure_free(group->pressure);
	loop_free(group->loop);
	for (size_t i = 0; i < n_told; i++) {
		close(told[i].ends[0]);
		close(told[i].ends[1]);
	}
	assert_int_equal(dir_remove(group->dir), 0);
}

/* ---- tests ---- */

/* Memory is not short here, whatever this machine can tell. */
static void nothing_is_told_while_there_is_enough(void **state)
{
	struct memory_pressure *pressure;
	struct loop *loop;
	unsigned told_of = 0;

	(void)state;
	assert_int_equal(loop_new(&loop), 0);
	pressure = memory_pressure_new(loop, NULL, count, &told_of);
	for (int i = 0; i < 4; i++)
		loop_step(loop, 10);
	assert_int_equal(told_of, 0);
	memory_pressure_free(pressure);
	memory_pressure_free(NULL);
	loop_free(loop);
}

/* The kernel's words for a trigger: "some", and microseconds of a window. */
static void stalls_are_asked_for_and_told(void **state)
{
	static const char asked[] = "some 200000 2000000";
	auto_(free_at_exit) char *path = NULL;
	auto_(free_at_exit) char *text = NULL;
	struct group group;
	size_t len;

	group_begin(&group);
	put(&group, "memory.pressure", "");
	group_watch(&group);
	path = path_join(group.dir, "memory.pressure");
	assert_int_equal(file_read(path, 100, &text, &len), 0);
	assert_int_equal(len, sizeof asked);
	assert_string_equal(text, asked);
	for (unsigned i = 1; i <= 2; i++) {
		changes(&group, "memory.pressure");
		kit_loop_until(group.loop, group.short_of == i);
	}
	group_end(&group);
}

static void kills_are_told(void **state)
{
	struct group group;

	group_begin(&group);
	put(&group, "memory.pressure", "");
	put_events(&group, 1, 2, 3);
	group_watch(&group);
	/* The limit was met, and could be kept: nothing is told of that. */
	put_events(&group, 9, 2, 3);
	changes(&group, "memory.events");
	loop_step(group.loop, KIT_WAIT_MS);
	assert_int_equal(group.short_of, 0);
	put_events(&group, 9, 2, 4);
	changes(&group, "memory.events");
	kit_loop_until(group.loop, group.short_of == 1);
	put_events(&group, 9, 3, 4);
	changes(&group, "memory.events");
	kit_loop_until(group.loop, group.short_of == 2);
	group_end(&group);
}

static void drop(void *arg)
{
	struct group *group = arg;

	memory_pressure_free(group->pressure);
	group->pressure = NULL;
}

static void who_is_told_may_free_it(void **state)
{
	struct group group;

	group_begin(&group);
	put(&group, "memory.pressure", "");
	group.pressure = memory_pressure_new(group.loop, group.dir, drop, &group);
	changes(&group, "memory.pressure");
	kit_loop_until(group.loop, !group.pressure);
	group_end(&group);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_told_while_there_is_enough),
		cmocka_unit_test(stalls_are_asked_for_and_told),
		cmocka_unit_test(kills_are_told),
		cmocka_unit_test(who_is_told_may_free_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
