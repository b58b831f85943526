#include "common/listen/share.h"

#include "kit/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static struct sockaddr_storage at(const char *text)
{
	struct sockaddr_storage address = {0};
	struct sockaddr_in *v4 = (void *)&address;
	struct sockaddr_in6 *v6 = (void *)&address;

	if (strcmp(text, "unix") == 0) {
		address.ss_family = AF_UNIX;
	} else if (strchr(text, ':')) {
		v6->sin6_family = AF_INET6;
		assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
	} else {
		v4->sin_family = AF_INET;
		assert_int_equal(inet_pton(AF_INET, text, &v4->sin_addr), 1);
	}
	return address;
}

static bool same(const char *a, uid_t user_a, const char *b, uid_t user_b)
{
	struct shares shares = {0};
	struct sockaddr_storage first = at(a), second = at(b);
	struct share *one = share_take(&shares, &first, user_a);
	struct share *other = share_take(&shares, &second, user_b);
	bool are = one == other;

	assert_int_equal(one->connections, are ? 2 : 1);
	share_drop(one);
	share_drop(other);
	for (size_t i = 0; i < SHARE_BUCKETS; i++)
		assert_true(LIST_EMPTY(&shares.buckets[i]));
	return are;
}

static void an_address_has_one_share(void **state)
{
	assert_true(same("10.0.0.1", 0, "10.0.0.1", 7));
	assert_false(same("10.0.0.1", 0, "10.0.0.2", 0));
	assert_true(same("10.0.0.1", 0, "::ffff:10.0.0.1", 0));
	assert_true(same("unix", 1000, "unix", 1000));
	assert_false(same("unix", 1000, "unix", 1001));
	assert_false(same("::1", 0, "127.0.0.1", 0));
}

static void an_address_of_ipv6_is_a_network(void **state)
{
	assert_true(same("2001:db8:1:2::1", 0, "2001:db8:1:2:ffff::", 0));
	assert_false(same("2001:db8:1:2::1", 0, "2001:db8:1:3::1", 0));
}

static void shares_live_as_long_as_their_connections(void **state)
{
	struct shares shares = {0};
	struct share *taken[1000];

	for (unsigned i = 0; i < 1000; i++) {
		struct sockaddr_storage address = at("10.0.0.0");

		((struct sockaddr_in *)(void *)&address)->sin_addr.s_addr = htonl(i / 2);
		taken[i] = share_take(&shares, &address, 0);
		assert_int_equal(taken[i]->connections, 1 + i % 2);
	}
	for (unsigned i = 0; i < 1000; i++)
		share_drop(taken[i]);
	share_drop(NULL);
	for (size_t i = 0; i < SHARE_BUCKETS; i++)
		assert_true(LIST_EMPTY(&shares.buckets[i]));
}

static void the_address_that_has_most(void **state)
{
	struct shares shares = {0};
	struct share *taken[3];

	assert_int_equal(shares_most(&shares), 0);
	for (size_t i = 0; i < ARRAY_LEN(taken); i++) {
		struct sockaddr_storage address = at(i == 1 ? "10.0.0.2" : "10.0.0.1");

		taken[i] = share_take(&shares, &address, 0);
	}
	assert_int_equal(shares_most(&shares), 2);
	share_drop(taken[0]);
	assert_int_equal(shares_most(&shares), 1);
	share_drop(taken[1]);
	share_drop(taken[2]);
	assert_int_equal(shares_most(&shares), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_has_one_share),
		cmocka_unit_test(an_address_of_ipv6_is_a_network),
		cmocka_unit_test(shares_live_as_long_as_their_connections),
		cmocka_unit_test(the_address_that_has_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
