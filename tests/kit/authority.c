#include "kit/authority.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define DAY_S 86400L

static void add_extension(X509 *certificate, int kind, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, kind, value);

	assert_non_null(extension);
	assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

static X509 *make(const char *name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *signs, int days)
{
	static long serial;
	X509 *certificate = X509_new();
	X509_NAME *subject = X509_get_subject_name(certificate);

	assert_int_equal(X509_set_version(certificate, 2), 1);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -30 * DAY_S);
	X509_gmtime_adj(X509_getm_notAfter(certificate), days * DAY_S);
	X509_NAME_add_entry_by_txt(
		subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(certificate, issuer ? X509_get_subject_name(issuer) : subject);
	X509_set_pubkey(certificate, key);
	if (issuer)
		add_extension(certificate, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
	else
		add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
	assert_true(X509_sign(certificate, signs, EVP_sha256()) > 0);
	return certificate;
}

static char *path_of(const char *name, const char *ending)
{
	char file[64];

	snprintf(file, sizeof file, "%s.%s", name, ending);
	return kit_dir_path(file);
}

static char *write_certificate(const char *name, X509 *certificate)
{
	char *path = path_of(name, "pem");
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(PEM_write_X509(file, certificate), 1);
	fclose(file);
	return path;
}

struct kit_authority kit_authority_make(const char *name)
{
	struct kit_authority authority = {.key = EVP_EC_gen("P-256")};

	authority.certificate = make(name, authority.key, NULL, authority.key, 30);
	authority.file = write_certificate(name, authority.certificate);
	return authority;
}

void kit_authority_done(struct kit_authority *authority)
{
	EVP_PKEY_free(authority->key);
	X509_free(authority->certificate);
	free(authority->file);
	*authority = (struct kit_authority){0};
}

void kit_authority_sign(const struct kit_authority *authority, const char *name, int days)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = make(name, key, authority->certificate, authority->key, days);
	char *path = path_of(name, "key");
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(file);
	free(path);
	free(write_certificate(name, certificate));
	X509_free(certificate);
	EVP_PKEY_free(key);
}
