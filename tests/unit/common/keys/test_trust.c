/*
 * Which files are taken for certificates, and what is said of the others.
 */
#include "common/keys/trust.h"

#include "kit/certificate.h"
#include "kit/dir.h"

#include <fcntl.h>

static char *path; /* of a file of certificates */

static void write_file(const void *data, size_t len)
{
	free(path);
	path = kit_dir_write("ca.pem", data, len);
}

static void expect_pem(const char *from, const char *text)
{
	auto_(free_at_exit) char *pem = NULL;
	struct reason why = {0};

	assert_int_equal(trust_load(from, &pem, &why), 0);
	assert_string_equal(pem, text);
	assert_string_equal(why.text, "");
}

static void expect_refused(const void *data, size_t len)
{
	struct reason why = {0};
	char sentence[256];
	char *pem = NULL;

	write_file(data, len);
	assert_int_equal(trust_load(path, &pem, &why), -EINVAL);
	assert_null(pem);
	snprintf(sentence, sizeof sentence,
		"%s has no certificate in PEM form (\"-----BEGIN CERTIFICATE-----\") that can be "
		"read",
		path);
	assert_string_equal(why.text, sentence);
}

static void a_file_of_certificates_is_handed_on_as_it_is(void **state)
{
	char text[2048];

	write_file(kit_certificate, strlen(kit_certificate));
	expect_pem(path, kit_certificate);
	/* Words around it, and another one, are fine. */
	snprintf(text, sizeof text, "# my CA\n%s\n%s", kit_certificate, kit_certificate);
	write_file(text, strlen(text));
	expect_pem(path, text);
}

static void a_file_without_a_certificate_is_refused(void **state)
{
	static const char key[] = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
	static const char der[] = "\x30\x82\x01\x7e\x30";
	struct reason why = {0};
	char text[2048];
	char *pem = NULL;

	expect_refused("", 0);
	expect_refused(key, strlen(key));
	expect_refused(der, sizeof der);
	expect_refused(kit_certificate, strlen(kit_certificate) - 30);
	memcpy(text, kit_certificate, sizeof kit_certificate);
	memset(text + 40, 'A', 40);
	expect_refused(text, strlen(text));
	expect_refused(kit_certificate, sizeof kit_certificate); /* with its NUL */
	unlink(path);
	assert_int_equal(trust_load(path, &pem, &why), -ENOENT);
	snprintf(text, sizeof text, "the certificates in %s cannot be read: %s", path,
		strerror(ENOENT));
	assert_string_equal(why.text, text);
	assert_int_equal(trust_load(kit_dir, &pem, &why), -EISDIR);
}

static void the_systems_certificates_are_found(void **state)
{
	char *pem = NULL;
	struct reason why = {0};

	write_file(kit_certificate, strlen(kit_certificate));
	setenv("SSL_CERT_FILE", path, 1);
	expect_pem(NULL, kit_certificate);
	/* What is named is meant. */
	write_file("", 0);
	assert_int_equal(trust_load(NULL, &pem, &why), -EINVAL);
	unsetenv("SSL_CERT_FILE");
	if (trust_load(NULL, &pem, &why) == 0) {
		assert_non_null(strstr(pem, "-----BEGIN CERTIFICATE-----"));
		free(pem);
	} else {
		assert_non_null(strstr(why.text, "--root-certificates"));
	}
}

static void certificates_as_text(void **state)
{
	struct reason why = {0};
	char *pem = NULL;

	assert_int_equal(trust_take(kit_certificate, "root_certificates_pem", &pem, &why), 0);
	assert_string_equal(pem, kit_certificate);
	free(pem);
	assert_int_equal(trust_take("", "root_certificates_pem", &pem, &why), -EINVAL);
	assert_non_null(strstr(why.text, "root_certificates_pem has no certificate"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_of_certificates_is_handed_on_as_it_is),
		cmocka_unit_test(a_file_without_a_certificate_is_refused),
		cmocka_unit_test(the_systems_certificates_are_found),
		cmocka_unit_test(certificates_as_text),
	};

	return cmocka_run_group_tests(tests, kit_dir_make, kit_dir_remove);
}
