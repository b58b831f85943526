/*
 * Tests of the place where state is kept, and of its users.
 */
#include "common/base/files.h"
#include "kit/dir.h"
#include "supernode/state_dir.h"

#include <sys/stat.h>

static struct auth *key;

static int open_state(const char *dir, const char *superlink, struct state_dir *out)
{
	struct state_dir_options options = {.dir = dir, .superlink = superlink};
	struct reason why = {0};
	int r = state_dir_open(&options, key, NULL, out, &why);

	assert_int_equal(r == -EBUSY, why.text[0] != '\0');
	return r;
}

static void one_folder_for_each_superlink_and_key(void **state)
{
	struct state_dir first, again, other;

	assert_int_equal(open_state(kit_dir, "a.example:1/../x", &first), 0);
	assert_null(strstr(first.path + strlen(kit_dir) + 1, "/"));
	/* In use; another SuperLink's is not. */
	assert_int_equal(open_state(kit_dir, "a.example:1/../x", &again), -EBUSY);
	assert_int_equal(open_state(kit_dir, "b.example:1", &other), 0);
	assert_string_not_equal(first.path, other.path);
	state_dir_close(&first);
	assert_int_equal(open_state(kit_dir, "a.example:1/../x", &again), 0);
	state_dir_close(&again);
	state_dir_close(&other);
}

static void nothing_is_kept_for_a_key_of_the_nodes_own(void **state)
{
	struct state_dir_options options = {.dir = kit_dir};
	struct state_dir out;

	assert_int_equal(state_dir_open(&options, NULL, NULL, &out, NULL), 0);
	assert_null(out.path);
	state_dir_close(&out);
	options.none = true;
	assert_int_equal(state_dir_open(&options, key, NULL, &out, NULL), 0);
	assert_null(out.path);
	state_dir_close(&out);
}

static void a_place_that_others_can_change_is_not_used(void **state)
{
	auto_(free_at_exit) char *open_to_all = path_join(kit_dir, "open");
	auto_(free_at_exit) char *file = path_join(kit_dir, "file");
	struct state_dir out, good;

	assert_int_equal(mkdir(open_to_all, 0700), 0);
	assert_int_equal(chmod(open_to_all, 0777), 0);
	assert_int_equal(open_state(open_to_all, "x:1", &out), 0);
	assert_null(out.path);
	/* A link in the folder's place, and a folder that the group can write to. */
	assert_int_equal(open_state(kit_dir, "x:1", &good), 0);
	assert_int_equal(chmod(good.path, 0770), 0);
	assert_int_equal(open_state(kit_dir, "x:1", &out), 0);
	assert_null(out.path);
	assert_int_equal(rmdir(good.path), 0);
	assert_int_equal(symlink(open_to_all, good.path), 0);
	assert_int_equal(open_state(kit_dir, "x:1", &out), 0);
	assert_null(out.path);
	state_dir_close(&good);
	/* No directory at all. */
	fclose(fopen(file, "w"));
	assert_int_equal(open_state(file, "x:1", &out), 0);
	assert_null(out.path);
}

static void the_usual_places(void **state)
{
	static const char *const names[] = {"STATE_DIRECTORY", "XDG_STATE_HOME", "FLWR_HOME"};
	auto_(free_at_exit) char *places = NULL;
	struct state_dir out;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		auto_(free_at_exit) char *place = path_join(kit_dir, names[i]);

		setenv(names[i], place, 1);
	}
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		assert_int_equal(open_state(NULL, "y:1", &out), 0);
		assert_non_null(strstr(out.path, names[i]));
		assert_int_equal(strstr(out.path, "/flwr-native/") != NULL, i > 0);
		state_dir_close(&out);
		unsetenv(names[i]);
	}
	/* systemd may give several. */
	assert_true(asprintf(&places, "%s/one:%s/two", kit_dir, kit_dir) > 0);
	setenv("STATE_DIRECTORY", places, 1);
	assert_int_equal(open_state(NULL, "y:1", &out), 0);
	assert_non_null(strstr(out.path, "/one/y_1-"));
	state_dir_close(&out);
	unsetenv("STATE_DIRECTORY");
}

static int setup(void **state)
{
	return auth_new(&key) == 0 ? kit_dir_make(state) : -1;
}

static int teardown(void **state)
{
	auth_free(key);
	return kit_dir_remove(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_folder_for_each_superlink_and_key),
		cmocka_unit_test(nothing_is_kept_for_a_key_of_the_nodes_own),
		cmocka_unit_test(a_place_that_others_can_change_is_not_used),
		cmocka_unit_test(the_usual_places),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
