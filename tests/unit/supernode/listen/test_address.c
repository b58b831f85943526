#include "common/base/cleanup.h"
#include "supernode/listen/address.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static void sockets_free(struct address_sockets *sockets)
{
	for (size_t i = 0; i < sockets->n; i++)
		close_fd(&sockets->fds[i]);
	free(sockets->dial);
}

static void any_port_is_dialled_at_the_one_it_got(void **state)
{
	auto_(sockets_free) struct address_sockets sockets = {0};
	struct reason why = {0};

	(void)state;
	assert_int_equal(address_listen("127.0.0.1:0", &sockets, &why), 0);
	assert_int_equal(sockets.n, 1);
	assert_memory_equal(sockets.dial, "127.0.0.1:", 10);
	assert_string_not_equal(sockets.dial, "127.0.0.1:0");
}

static void wildcard_is_dialled_at_loopback(void **state)
{
	auto_(sockets_free) struct address_sockets sockets = {0};

	(void)state;
	assert_int_equal(address_listen("0.0.0.0:0", &sockets, NULL), 0);
	assert_memory_equal(sockets.dial, "127.0.0.1:", 10);
}

static void a_port_in_use_is_named(void **state)
{
	auto_(sockets_free) struct address_sockets first = {0};
	struct address_sockets second = {0};
	struct reason why = {0};

	(void)state;
	assert_int_equal(address_listen("127.0.0.1:0", &first, NULL), 0);
	assert_int_equal(address_listen(first.dial, &second, &why), -EADDRINUSE);
	assert_non_null(strstr(why.text, first.dial));
	assert_non_null(strstr(why.text, "port 0"));
}

static void unresolvable_and_misspelt_addresses_are_refused(void **state)
{
	struct address_sockets sockets = {0};
	struct reason why = {0};

	(void)state;
	assert_true(address_listen("no-such-host.invalid:1", &sockets, &why) < 0);
	assert_non_null(strstr(why.text, "no-such-host.invalid:1"));
	assert_int_equal(address_listen("9094", &sockets, &why), -EINVAL);
}

static void unix_socket_lies_in_the_directory(void **state)
{
	auto_(sockets_free) struct address_sockets sockets = {0};
	char dir[] = "/tmp/address-XXXXXX";
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(address_listen_unix(dir, &sockets, NULL), 0);
	assert_memory_equal(sockets.dial, "unix:/", 6);
	assert_int_equal(stat(sockets.dial + 5, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	unlink(sockets.dial + 5);
	rmdir(dir);
}

static void too_long_a_path_is_refused(void **state)
{
	struct address_sockets sockets = {0};
	struct reason why = {0};
	char dir[200];

	(void)state;
	memset(dir, 'x', sizeof dir);
	dir[sizeof dir - 1] = '\0';
	assert_int_equal(address_listen_unix(dir, &sockets, &why), -ENAMETOOLONG);
	assert_true(why.text[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_port_is_dialled_at_the_one_it_got),
		cmocka_unit_test(wildcard_is_dialled_at_loopback),
		cmocka_unit_test(a_port_in_use_is_named),
		cmocka_unit_test(unresolvable_and_misspelt_addresses_are_refused),
		cmocka_unit_test(unix_socket_lies_in_the_directory),
		cmocka_unit_test(too_long_a_path_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
