#include "common/keys/trust.h"

#include "common/base/cleanup.h"
#include "common/base/files.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define TRUST_MAX_BYTES ((size_t)8 << 20)

/* Debian, then Red Hat, SUSE, Alpine. */
static const char *const system_files[] = {
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem",
	"/etc/ssl/cert.pem",
};

/* Has pem a certificate that can be read? */
static bool has_certificate(const char *pem, size_t len)
{
	BIO *bio = BIO_new_mem_buf(pem, (int)len);
	X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	bool found = certificate != NULL;

	X509_free(certificate);
	BIO_free(bio);
	ERR_clear_error(); /* or OpenSSL's other users would find it there */
	return found;
}

static int no_certificate(const char *what, struct reason *why)
{
	return reason_code(why, -EINVAL,
		"%s has no certificate in PEM form (\"-----BEGIN CERTIFICATE-----\") that can be read",
		what);
}

static int load_file(const char *path, char **pem_out, struct reason *why)
{
	auto_(free_at_exit) char *pem = NULL;
	size_t len;
	int r = file_read(path, TRUST_MAX_BYTES, &pem, &len);

	if (r < 0)
		return reason_code(
			why, r, "the certificates in %s cannot be read: %s", path, strerror(-r));
	/* The file is handed on as text. */
	if (strlen(pem) != len || !has_certificate(pem, len))
		return no_certificate(path, why);
	*pem_out = take_pointer(&pem);
	return 0;
}

int trust_load(const char *path, char **pem_out, struct reason *why)
{
	const char *file = path ? path : getenv(X509_get_default_cert_file_env());

	if (!path && (!file || !file[0]))
		file = getenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"); /* as gRPC, thus Flower, does */

	if (file && file[0])
		return load_file(file, pem_out, why);
	if (load_file(X509_get_default_cert_file(), pem_out, NULL) == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(system_files); i++)
		if (load_file(system_files[i], pem_out, NULL) == 0)
			return 0;
	return reason_code(why, -ENOENT,
		"this system has no list of trusted certificates (package ca-certificates): name a file with --root-certificates");
}

int trust_take(const char *pem, const char *what, char **pem_out, struct reason *why)
{
	if (strlen(pem) > TRUST_MAX_BYTES || !has_certificate(pem, strlen(pem)))
		return no_certificate(what, why);
	*pem_out = strdup(pem);
	return *pem_out ? 0 : -ENOMEM;
}
