/*
 * Installs that are cut off, that may not write, or that are not alone.
 */
#include "common/base/files.h"
#include "install_rig.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define RACERS 8
#define STALE  ".01234567.0123456789abcdef.new"

static void remains_of_dead_installs_are_removed(void **state)
{
	static const char *const kept[] = {
		".hidden", ".01234567.0123456789abcdeg.new", ".01234567.0123456789abcdef.old"};
	auto_(free_at_exit) char *dir = NULL;
	auto_(close_at_exit) int lock = -1;
	char home[HOME_BYTES], path[512];
	struct reason why = {0};
	struct fab fab;

	new_home(home);
	fab_load("real.fab", 4096, &fab);
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		snprintf(path, sizeof path, "%s/apps/%s", home, kept[i]);
		assert_int_equal(dir_make(path, 0755), 0);
	}
	snprintf(path, sizeof path, "%s/apps/" STALE "/half/an/app", home);
	assert_int_equal(dir_make(path, 0755), 0);
	/* Somebody is at work in this one. */
	snprintf(path, sizeof path, "%s/apps/.76543210.0123456789abcdef.new", home);
	assert_int_equal(dir_make(path, 0755), 0);
	lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(lock, LOCK_EX), 0);

	assert_int_equal(install(&fab, home, &dir, &why), 0);
	assert_int_equal(count_entries(home, "apps"), 1 + ARRAY_LEN(kept) + 1);
	assert_int_equal(access(path, F_OK), 0);
	snprintf(path, sizeof path, "%s/apps/" STALE, home);
	assert_int_equal(access(path, F_OK), -1);
	slices_done(&fab.content);
}

/* Files cannot get larger than 64 KiB: a signal ends the process in the middle, or (ignored)
 * writing fails. */
static void crash(const struct fab *fab, const char *home, bool ignored)
{
	const struct rlimit no_core = {0}, small = {65536, 65536};
	struct reason why = {0};
	char *dir = NULL;
	int r;

	setrlimit(RLIMIT_CORE, &no_core);
	setrlimit(RLIMIT_FSIZE, &small);
	signal(SIGXFSZ, ignored ? SIG_IGN : SIG_DFL);
	r = install(fab, home, &dir, &why);
	free(dir);
	_exit(r == -EFBIG && strstr(why.text, "zeros.md") ? 0 : 1);
}

static void a_crash_leaves_no_half_app(void **state)
{
	auto_(free_at_exit) char *dir = NULL;
	char home[HOME_BYTES];
	struct reason why = {0};
	struct fab fab;

	new_home(home);
	fab_load("zeros.fab", 4096, &fab);
	for (int ignored = 1; ignored >= 0; ignored--) {
		int status;
		pid_t pid = fork();

		if (pid == 0)
			crash(&fab, home, ignored);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (ignored)
			assert_int_equal(status, 0);
		else
			assert_int_equal(WTERMSIG(status), SIGXFSZ);
		assert_int_equal(count_entries(home, "apps"), ignored ? 0 : 1);
	}
	if (install(&fab, home, &dir, &why) != 0)
		fail_msg("%s", why.text);
	assert_int_equal(count_entries(home, "apps"), 1);
	assert_int_equal(access(dir, F_OK), 0);
	slices_done(&fab.content);
}

/* A user who may not write there gets a reason that says where; nothing is written. */
static int install_unprivileged(const struct fab *fab, const char *home)
{
	struct reason why = {0};
	char *dir = NULL;
	int r;

	if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
		return 2;
	r = install(fab, home, &dir, &why);
	free(dir);
	return r == -EACCES && strstr(why.text, home) ? 0 : 1;
}

static void a_home_without_write_permission_is_named(void **state)
{
	char home[HOME_BYTES], apps[HOME_BYTES + 8];
	struct fab fab;

	fab_load("real.fab", 4096, &fab);
	assert_int_equal(chmod(fixture.dir, 0755), 0);
	for (int i = 0; i < 2; i++) {
		int status;
		pid_t pid;

		new_home(home);
		snprintf(apps, sizeof apps, "%s/apps", home);
		assert_int_equal(dir_make(i ? apps : home, 0755), 0);
		assert_int_equal(chmod(home, 0555) | (i ? chmod(apps, 0555) : 0), 0);
		pid = fork();
		if (pid == 0)
			_exit(install_unprivileged(&fab, home));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		assert_int_equal(chmod(home, 0755) | (i ? chmod(apps, 0755) : 0), 0);
		assert_int_equal(count_entries(home, "apps"), 0);
	}
	slices_done(&fab.content);
}

/* A file where a directory should be. */
static void a_file_in_the_place_of_the_app_is_named(void **state)
{
	char home[HOME_BYTES], path[512];
	struct reason why = {0};
	char *dir = NULL;
	struct fab fab;

	new_home(home);
	fab_load("real.fab", 4096, &fab);
	snprintf(path, sizeof path, "%s/apps", home);
	assert_int_equal(dir_make(path, 0755), 0);
	snprintf(path, sizeof path, "%s/apps/%.*s%s", home, (int)strlen(fixture.name) - 8,
		fixture.name, fab.hash);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	assert_int_equal(install(&fab, home, &dir, &why), -ENOTDIR);
	assert_non_null(strstr(why.text, path));
	slices_done(&fab.content);
}

struct racer {
	pthread_t thread;
	const struct fab *fab;
	const char *home;
	pthread_barrier_t *start;
	int r;
	struct reason why;
};

static void *race(void *arg)
{
	struct racer *racer = arg;
	char *dir = NULL;

	pthread_barrier_wait(racer->start);
	racer->r = install(racer->fab, racer->home, &dir, &racer->why);
	if (racer->r == 0 && access(dir, F_OK) < 0)
		racer->r = -errno;
	free(dir);
	return NULL;
}

/* All at once: each finds the whole app, and nothing else stays behind. */
static void threads_may_install_at_once(void **state)
{
	struct fab fab;

	fab_load("zeros.fab", 4096, &fab);
	for (int round = 0; round < 8; round++) {
		struct racer racers[RACERS] = {0};
		pthread_barrier_t start;
		char home[HOME_BYTES];

		new_home(home);
		pthread_barrier_init(&start, NULL, RACERS);
		for (int i = 0; i < RACERS; i++) {
			racers[i].fab = &fab;
			racers[i].home = home;
			racers[i].start = &start;
			assert_int_equal(
				pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
		}
		for (int i = 0; i < RACERS; i++) {
			pthread_join(racers[i].thread, NULL);
			if (racers[i].r != 0)
				fail_msg("%d %s", racers[i].r, racers[i].why.text);
		}
		pthread_barrier_destroy(&start);
		assert_int_equal(count_entries(home, "apps"), 1);
	}
	slices_done(&fab.content);
}

static void processes_may_install_at_once(void **state)
{
	struct fab fab;
	char home[HOME_BYTES];
	pid_t pids[RACERS];

	new_home(home);
	fab_load("zeros.fab", 4096, &fab);
	for (int i = 0; i < RACERS; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			char *dir = NULL;
			int r = install(&fab, home, &dir, NULL);

			free(dir);
			_exit(r != 0);
		}
	}
	for (int i = 0; i < RACERS; i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(count_entries(home, "apps"), 1);
	slices_done(&fab.content);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(remains_of_dead_installs_are_removed),
		cmocka_unit_test(a_crash_leaves_no_half_app),
		cmocka_unit_test(a_home_without_write_permission_is_named),
		cmocka_unit_test(a_file_in_the_place_of_the_app_is_named),
		cmocka_unit_test(threads_may_install_at_once),
		cmocka_unit_test(processes_may_install_at_once),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
