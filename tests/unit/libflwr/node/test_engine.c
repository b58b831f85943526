/*
 * The engine: one thread for all that hold it, with all signals blocked and a locale of its own;
 * nothing of the process changes.
 */
#include "common/base/cleanup.h"
#include "kit/test.h"
#include "libflwr/node/engine.h"

#include <dirent.h>
#include <locale.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>

struct look {
	struct loop_work work;
	sem_t done;
	pthread_t thread;
	sigset_t mask;
	locale_t locale;
	char number[16];
};

static void look_run(struct loop_work *work)
{
	struct look *look = container_of(work, struct look, work);

	look->thread = pthread_self();
	pthread_sigmask(SIG_SETMASK, NULL, &look->mask);
	look->locale = uselocale((locale_t)0);
	snprintf(look->number, sizeof look->number, "%.1f", 0.5);
	sem_post(&look->done);
}

static void look_at(struct engine *engine, struct look *look)
{
	*look = (struct look){.work.run = look_run};
	sem_init(&look->done, 0, 0);
	loop_post(engine->loop, &look->work);
	sem_wait(&look->done);
	sem_destroy(&look->done);
}

static int count_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	int n = -2; /* "." and ".." */

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* The masks of all threads of the process but this one: has each of them these signals blocked? */
static void expect_blocked(void)
{
	DIR *dir = opendir("/proc/self/task");
	const struct dirent *item;

	assert_non_null(dir);
	while ((item = readdir(dir))) {
		char path[300], line[256];
		auto_(fclose_at_exit) FILE *file = NULL;

		snprintf(path, sizeof path, "/proc/self/task/%s/status", item->d_name);
		if (item->d_name[0] == '.' || atoi(item->d_name) == getpid())
			continue;
		file = fopen(path, "r");
		while (file && fgets(line, sizeof line, file)) {
			unsigned long long mask;

			if (sscanf(line, "SigBlk: %llx", &mask) != 1)
				continue;
			assert_true(mask & 1ull << (SIGTERM - 1));
			assert_true(mask & 1ull << (SIGPIPE - 1));
			assert_true(mask & 1ull << (SIGCHLD - 1));
		}
	}
	closedir(dir);
}

static void one_thread_for_all(void **state)
{
	struct engine *first = NULL, *second = NULL;
	struct look looks[2];
	struct reason why = {0};
	sigset_t before, after;
	int threads = count_threads();

	pthread_sigmask(SIG_SETMASK, NULL, &before);
	assert_int_equal(engine_hold(&first, &why), 0);
	assert_int_equal(engine_hold(&second, &why), 0);
	assert_ptr_equal(first, second);
	look_at(first, &looks[0]);
	look_at(second, &looks[1]);
	assert_true(pthread_equal(looks[0].thread, looks[1].thread));
	assert_false(pthread_equal(looks[0].thread, pthread_self()));
	assert_int_equal(sigismember(&looks[0].mask, SIGTERM), 1);
	assert_int_equal(sigismember(&looks[0].mask, SIGPIPE), 1);
	assert_true(count_threads() > threads);
	expect_blocked();
	engine_release(first);
	look_at(second, &looks[0]);
	engine_release(second);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int number = 1; number < NSIG; number++)
		assert_int_equal(sigismember(&before, number), sigismember(&after, number));
	engine_release(NULL);
	/* And again. */
	assert_int_equal(engine_hold(&first, &why), 0);
	look_at(first, &looks[0]);
	engine_release(first);
}

/* Numbers in sentences do not follow the program's locale, which stays what it is. */
static void a_locale_of_its_own(void **state)
{
	struct engine *engine = NULL;
	struct reason why = {0};
	struct look look;

	assert_int_equal(engine_hold(&engine, &why), 0);
	look_at(engine, &look);
	assert_true(look.locale != LC_GLOBAL_LOCALE);
	assert_string_equal(look.number, "0.5");
	assert_true(uselocale((locale_t)0) == LC_GLOBAL_LOCALE);
	engine_release(engine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_thread_for_all),
		cmocka_unit_test(a_locale_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
