/*
 * Apps that are there already, from an earlier install or from Flower's own: when they are used as
 * they are, restored or refused.
 */
#include "common/base/files.h"
#include "install_rig.h"

static void write_file(const char *dir, const char *name, const char *text)
{
	auto_(free_at_exit) char *path = path_join(dir, name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* An app that Flower has installed is used, unless its files differ from the FAB's. */
static void an_app_that_flower_installed_is_used_while_it_is_whole(void **state)
{
	char home[HOME_BYTES], theirs[512];
	auto_(free_at_exit) char *command = NULL;
	struct reason why = {0};
	struct fab fab;

	new_home(home);
	fab_load("real.fab", 4096, &fab);
	assert_true(asprintf(&command, "cp -r '%s/real-home' '%s'", fixture.dir, home) > 0);
	assert_int_equal(system(command), 0);
	snprintf(theirs, sizeof theirs, "%s/apps/%s", home, fixture.name);
	for (int i = 0; i < 4; i++) {
		auto_(free_at_exit) char *dir = NULL;

		if (i == 1)
			write_file(theirs, "data.bin", "an app's own");
		if (i == 2)
			write_file(theirs, "demo_app/client_app.py", "app = 3\n");
		assert_int_equal(install(&fab, home, &dir, &why), 0);
		assert_int_equal(strcmp(dir, theirs) == 0, i < 2);
		assert_int_equal(count_entries(home, "apps"), i < 2 ? 1 : 2);
	}
	slices_done(&fab.content);
}

/* The next use restores a listed file, whatever was done to it; other files stay. */
static void changed_files_are_restored(void **state)
{
	static const char *const changes[] = {"echo 'app = 3' > demo_app/client_app.py",
		"printf 'app = 3\n' > demo_app/client_app.py", "rm demo_app/client_app.py",
		"rm -r demo_app", "rm -r demo_app; ln -s /tmp demo_app",
		"rm -r demo_app; echo > demo_app",
		"rm README.md; mkdir -p README.md/x; echo > README.md/x/y",
		"rm README.md; ln -s demo_app/__init__.py README.md",
		"rm README.md; mkfifo README.md", "echo '# more' >> pyproject.toml",
		"mv demo_app/sub demo_app/gone; ln -s gone demo_app/sub",
		"chmod 000 README.md demo_app; chmod 755 demo_app; rm README.md"};
	auto_(free_at_exit) char *theirs = NULL;
	char home[HOME_BYTES];
	struct fab fab;

	assert_true(asprintf(&theirs, "%s/real-home/apps/%s", fixture.dir, fixture.name) > 0);
	new_home(home);
	fab_load("real.fab", 4096, &fab);
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		auto_(free_at_exit) char *dir = NULL;
		auto_(free_at_exit) char *again = NULL;
		auto_(free_at_exit) char *command = NULL;
		struct reason note = {0}, why = {0};

		assert_int_equal(
			install_with(&fab,
				&(struct fab_install_options){.flwr_home = home, .note = &note},
				&dir, &why),
			0);
		assert_string_equal(note.text, "");
		assert_true(asprintf(&command, "cd '%s' && { %s; } && echo kept > kept.txt", dir,
				    changes[i]) > 0);
		assert_int_equal(system(command), 0);
		assert_int_equal(install_with(&fab,
					 &(struct fab_install_options){
						 .flwr_home = home, .strict = true, .note = &note},
					 &again, &why),
			-EBADMSG);
		assert_non_null(strstr(why.text, "was changed"));
		if (install_with(&fab,
			    &(struct fab_install_options){.flwr_home = home, .note = &note}, &again,
			    &why) != 0)
			fail_msg("%s: %s", changes[i], why.text);
		assert_string_equal(again, dir);
		assert_non_null(strstr(note.text, "was changed"));
		command = (free(command), NULL);
		assert_true(
			asprintf(&command,
				"cd '%s' && rm kept.txt && rm -rf demo_app/gone && diff -r . '%s'",
				dir, theirs) > 0);
		if (system(command) != 0)
			fail_msg("%s", changes[i]);
		assert_int_equal(count_entries(home, "apps"), 1);
	}
	slices_done(&fab.content);
}

/* Under strict, no file that Python would import may lie beside the listed files. */
static void strict_refuses_unlisted_files_that_python_would_import(void **state)
{
	static const struct {
		const char *change;
		bool good;
	} rows[] = {
		{"echo > data.csv", true},
		{"mkdir -p checkpoints/1; echo > checkpoints/1/model.pt", true},
		{"mkdir -p demo_app/__pycache__; echo > demo_app/__pycache__/x.cpython-311.pyc",
			true}, /* but see bytecode_is_removed() */
		{"echo > numpy.py", false},
		{"echo > demo_app/more.py", false},
		{"echo > demo_app/client_app.so", false},
		{"echo > torch.cpython-311-x86_64-linux-gnu.so", false},
		{"echo > torch.pyc", false},
		{"mkdir torch; echo > torch/__init__.py", false},
		{"mkdir -p a/b/c; echo > a/b/c/d.py", false},
		{"ln -s /tmp torch", false},
		{"ln -s /etc/passwd torch.py", false},
	};
	char home[HOME_BYTES];
	struct fab fab;

	fab_load("real.fab", 4096, &fab);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		auto_(free_at_exit) char *dir = NULL;
		auto_(free_at_exit) char *again = NULL;
		auto_(free_at_exit) char *command = NULL;
		struct reason note = {0}, why = {0};
		int r;

		new_home(home);
		assert_int_equal(install_with(&fab,
					 &(struct fab_install_options){
						 .flwr_home = home, .strict = true, .note = &note},
					 &dir, &why),
			0);
		assert_true(asprintf(&command, "cd '%s' && { %s; }", dir, rows[i].change) > 0);
		assert_int_equal(system(command), 0);
		r = install_with(&fab,
			&(struct fab_install_options){
				.flwr_home = home, .strict = true, .note = &note},
			&again, &why);
		if (r != (rows[i].good ? 0 : -EBADMSG))
			fail_msg("%s: %d %s", rows[i].change, r, why.text);
		free(take_pointer(&again));
		assert_int_equal(
			install_with(&fab,
				&(struct fab_install_options){.flwr_home = home, .note = &note},
				&again, &why),
			0);
		assert_string_equal(note.text, "");
	}
	slices_done(&fab.content);
}

/* Any app could have left it, and Python would believe it. */
static void bytecode_is_removed(void **state)
{
	static const char plant[] = "cd '%s' && mkdir -p demo_app/__pycache__ data/__pycache__ && "
				    "touch demo_app/__pycache__/b.pyc data/__pycache__/c.pyc";
	/* Nothing is imported from where no source is listed. */
	static const char look[] =
		"cd '%s' && test ! -e demo_app/__pycache__ -a -e data/__pycache__/c.pyc";
	char home[HOME_BYTES];
	struct fab fab;

	fab_load("real.fab", 4096, &fab);
	for (int strict = 0; strict < 2; strict++) {
		auto_(free_at_exit) char *dir = NULL;
		auto_(free_at_exit) char *again = NULL;
		auto_(free_at_exit) char *command = NULL;
		auto_(free_at_exit) char *check = NULL;
		struct reason note = {0}, why = {0};

		new_home(home);
		assert_int_equal(
			install_with(&fab,
				&(struct fab_install_options){
					.flwr_home = home, .strict = strict, .note = &note},
				&dir, &why),
			0);
		assert_true(asprintf(&command, plant, dir) > 0);
		assert_true(asprintf(&check, look, dir) > 0);
		assert_int_equal(system(command), 0);
		assert_int_equal(
			install_with(&fab,
				&(struct fab_install_options){
					.flwr_home = home, .strict = strict, .note = &note},
				&again, &why),
			0);
		assert_string_equal(note.text, "");
		assert_int_equal(system(check), 0);
	}
	slices_done(&fab.content);
}

/* A directory of the right name says nothing: who could have put it there? */
static void a_home_of_others_is_refused(void **state)
{
	static const char *const planted[] = {"chmod o+w '%s'", "chmod o+w '%s/apps'",
		"chmod o+w '%s'/apps/*", "chown 65534 '%s'", "chown 65534 '%s/apps'",
		"chown 65534 '%s'/apps/*", "cd '%s' && mv apps real && ln -s real apps"};
	struct fab fab;

	fab_load("real.fab", 4096, &fab);
	for (size_t i = 0; i < ARRAY_LEN(planted); i++) {
		auto_(free_at_exit) char *dir = NULL;
		auto_(free_at_exit) char *again = NULL;
		char home[HOME_BYTES], command[512];
		struct reason note = {0}, why = {0};
		int r;

		if (strstr(planted[i], "chown") && geteuid() != 0)
			continue;
		new_home(home);
		assert_int_equal(install(&fab, home, &dir, &why), 0);
		/* The row's one %s is the home. */
		const char *at = strstr(planted[i], "%s");

		snprintf(command, sizeof command, "%.*s%s%s", (int)(at - planted[i]), planted[i],
			home, at + 2);
		assert_int_equal(system(command), 0);
		r = install_with(&fab,
			&(struct fab_install_options){.flwr_home = home, .note = &note}, &again,
			&why);
		if (r != -EPERM && r != -ENOTDIR)
			fail_msg("%s: %d %s", planted[i], r, why.text);
		assert_non_null(strstr(why.text, home));
		assert_null(again);
	}
	slices_done(&fab.content);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_app_that_flower_installed_is_used_while_it_is_whole),
		cmocka_unit_test(changed_files_are_restored),
		cmocka_unit_test(strict_refuses_unlisted_files_that_python_would_import),
		cmocka_unit_test(bytecode_is_removed),
		cmocka_unit_test(a_home_of_others_is_refused),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
