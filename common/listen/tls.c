#include "common/listen/tls.h"

#include "common/base/cleanup.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#define CHAIN_MAX_BYTES (32 << 10) /* of a client's certificates */

struct tls {
	struct tls_files files;
	SSL_CTX *context;
};

/* In the order of preference: length and name each. */
static const unsigned char protocols[] = "\x02h2\x08http/1.1";

/* A client that offers other protocols only is told none: its first bytes will say what it
 * speaks. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
	const unsigned char *in, unsigned in_len, void *arg)
{
	unsigned char *chosen;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&chosen, out_len, protocols, sizeof protocols - 1, in, in_len) !=
		OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* There is nobody to type a password. */
static int no_password(char *buffer, int size, int writing, void *arg)
{
	(void)buffer;
	(void)size;
	(void)writing;
	(void)arg;
	return 0;
}

/* The first error that OpenSSL has noted, and an empty queue. */
static const char *take_error(void)
{
	unsigned long error = ERR_get_error();
	const char *text = ERR_SYSTEM_ERROR(error) ? strerror(ERR_GET_REASON(error))
						   : ERR_reason_error_string(error);

	ERR_clear_error();
	return text ? text : "it cannot be read";
}

static int refuse(struct reason *why, const char *what, const char *path)
{
	return reason_code(
		why, -EINVAL, "the %s in %s cannot be used: %s", what, path, take_error());
}

static int load(SSL_CTX *context, const struct tls_files *files, struct reason *why)
{
	ERR_clear_error();
	if (SSL_CTX_use_certificate_chain_file(context, files->certificate) != 1)
		return refuse(why, "certificate", files->certificate);
	if (SSL_CTX_use_PrivateKey_file(context, files->key, SSL_FILETYPE_PEM) != 1 ||
		SSL_CTX_check_private_key(context) != 1)
		return refuse(why, "key", files->key);
	if (SSL_CTX_load_verify_file(context, files->authorities) != 1)
		return refuse(why, "certificates of authorities", files->authorities);
	return 0;
}

static void set_up(SSL_CTX *context)
{
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					     SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE);
	/* Each connection shows who it is. */
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(context, 0);
	SSL_CTX_set_max_cert_list(context, CHAIN_MAX_BYTES);
	SSL_CTX_set_default_passwd_cb(context, no_password);
	SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
					  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					  SSL_MODE_RELEASE_BUFFERS);
	/* SSL_read() comes back after each record, also one that carries no bytes. */
	SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
}

int tls_reload(struct tls *tls, struct reason *why)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	int r;

	if (!context)
		return -ENOMEM;
	set_up(context);
	r = load(context, &tls->files, why);
	if (r == 0 && tls->files.require_client) {
		SSL_CTX_set_client_CA_list(
			context, SSL_load_client_CA_file(tls->files.authorities));
		SSL_CTX_set_verify(
			context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	}
	if (r) {
		SSL_CTX_free(context);
		return r;
	}
	/* Connections that are there keep the one that they began with. */
	SSL_CTX_free(tls->context);
	tls->context = context;
	return 0;
}

int tls_new(const struct tls_files *files, struct tls **out, struct reason *why)
{
	struct tls *tls = calloc(1, sizeof *tls);
	int r;

	if (!tls)
		return -ENOMEM;
	tls->files = *files;
	r = tls_reload(tls, why);
	if (r) {
		tls_free(tls);
		return r;
	}
	*out = tls;
	return 0;
}

void tls_free(struct tls *tls)
{
	if (!tls)
		return;
	SSL_CTX_free(tls->context);
	free(tls);
}

SSL *tls_accept(struct tls *tls, int fd)
{
	SSL *ssl = SSL_new(tls->context);

	if (!ssl)
		return NULL;
	if (SSL_set_fd(ssl, fd) != 1) {
		SSL_free(ssl);
		return NULL;
	}
	SSL_set_accept_state(ssl);
	return ssl;
}

const char *tls_failure(void)
{
	static const struct {
		int reason;
		const char *text;
	} known[] = {
		{SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE,
			"shows no certificate in its TLS handshake: give it one (--client-certificate): closed"},
		{SSL_R_CERTIFICATE_VERIFY_FAILED,
			"shows a certificate in its TLS handshake that --ssl-ca-certfile does not vouch for, or that is out of date: closed"},
		{SSL_R_TLSV1_ALERT_UNKNOWN_CA,
			"does not trust the certificate of this address: give it --root-certificates: closed"},
		{SSL_R_SSLV3_ALERT_BAD_CERTIFICATE,
			"takes the certificate of this address for a bad one: closed"},
		{SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN,
			"does not trust the certificate of this address: closed"},
		{SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED,
			"says that the certificate of this address has expired: closed"},
		{SSL_R_UNSUPPORTED_PROTOCOL, "speaks a TLS older than 1.2: closed"},
		{SSL_R_NO_SHARED_CIPHER, "has no TLS cipher in common with us: closed"},
	};
	const int reason = ERR_GET_REASON(ERR_peek_last_error());

	ERR_clear_error();
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (known[i].reason == reason)
			return known[i].text;
	return "breaks the rules of TLS: closed";
}
