/*
 * The files of TLS, good ones and others, and what a client sees of them.
 */
#include "common/listen/tls.h"

#include "kit/authority.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

static struct rig {
	struct kit_authority authority, other;
	char *certificate, *key;
	struct tls_files files;
} rig;

static int setup(void **state)
{
	assert_int_equal(kit_dir_make(state), 0);
	rig.authority = kit_authority_make("authority");
	rig.other = kit_authority_make("other");
	kit_authority_sign(&rig.authority, "server", 30);
	rig.certificate = kit_dir_path("server.pem");
	rig.key = kit_dir_path("server.key");
	rig.files = (struct tls_files){
		.certificate = rig.certificate, .key = rig.key, .authorities = rig.authority.file};
	return 0;
}

static int teardown(void **state)
{
	kit_authority_done(&rig.authority);
	kit_authority_done(&rig.other);
	free(rig.certificate);
	free(rig.key);
	return kit_dir_remove(state);
}

/* The handshake of a client with this context; what each side makes of it: 1, or no success. */
static void greet(struct tls *tls, SSL_CTX *context, int *client_out, int *server_out,
	X509 **certificate_out, char protocol_out[16])
{
	int ends[2], client = -1, server = -1;
	const unsigned char *name = NULL;
	unsigned len = 0;
	char byte;
	SSL *ssl, *ours;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	ours = tls_accept(tls, ends[0]);
	ssl = SSL_new(context);
	assert_non_null(ours);
	SSL_set_fd(ssl, ends[1]);
	for (int i = 0; i < 10; i++) {
		client = SSL_connect(ssl);
		server = SSL_do_handshake(ours);
	}
	/* With TLS 1.3 a client hears afterwards that its certificate is refused. */
	if (client == 1 && SSL_read(ssl, &byte, 1) <= 0 &&
		SSL_get_error(ssl, -1) != SSL_ERROR_WANT_READ)
		client = -1;
	SSL_get0_alpn_selected(ssl, &name, &len);
	snprintf(protocol_out, 16, "%.*s", (int)len, name ? (const char *)name : "");
	*certificate_out = SSL_get1_peer_certificate(ssl);
	*client_out = client;
	*server_out = server;
	SSL_free(ssl);
	SSL_free(ours);
	close(ends[0]);
	close(ends[1]);
}

static SSL_CTX *client_new(const char *trusts, const char *name)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	char file[32];

	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	assert_int_equal(SSL_CTX_load_verify_file(context, trusts), 1);
	if (name) {
		snprintf(file, sizeof file, "%s.pem", name);
		auto_(free_at_exit) char *certificate = kit_dir_path(file);

		snprintf(file, sizeof file, "%s.key", name);
		auto_(free_at_exit) char *key = kit_dir_path(file);

		assert_int_equal(
			SSL_CTX_use_certificate_file(context, certificate, SSL_FILETYPE_PEM), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM), 1);
	}
	return context;
}

/* Does a client that trusts this authority, with the certificate of this name, get through? */
static bool gets_through(struct tls *tls, const char *trusts, const char *name, int version)
{
	SSL_CTX *context = client_new(trusts, name);
	X509 *certificate;
	char protocol[16];
	int client, server;

	SSL_CTX_set_max_proto_version(context, version);
	SSL_CTX_set_min_proto_version(context, version);
	SSL_CTX_set_security_level(context, 0);
	greet(tls, context, &client, &server, &certificate, protocol);
	X509_free(certificate);
	SSL_CTX_free(context);
	return client == 1 && server == 1;
}

static void a_client_sees_the_certificate(void **state)
{
	struct tls *tls;

	assert_int_equal(tls_new(&rig.files, &tls, NULL), 0);
	assert_true(gets_through(tls, rig.authority.file, NULL, TLS1_2_VERSION));
	assert_true(gets_through(tls, rig.authority.file, NULL, TLS1_3_VERSION));
	assert_false(gets_through(tls, rig.authority.file, NULL, TLS1_1_VERSION));
	tls_failure();
	assert_false(gets_through(tls, rig.other.file, NULL, TLS1_3_VERSION));
	assert_non_null(strstr(tls_failure(), "--root-certificates"));
	tls_free(tls);
}

static void both_protocols_are_offered_http2_first(void **state)
{
	static const struct {
		const char *offers;
		const char *chosen;
	} rows[] = {
		{"\x08http/1.1\x02h2", "h2"},
		{"\x08http/1.1", "http/1.1"},
		{"\x08grpc-exp\x02h2", "h2"},
		{"\x03xyz", ""},
		{"", ""},
	};
	struct tls *tls;

	assert_int_equal(tls_new(&rig.files, &tls, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		SSL_CTX *context = client_new(rig.authority.file, NULL);
		X509 *certificate;
		char protocol[16];
		int client, server;

		SSL_CTX_set_alpn_protos(context, (const unsigned char *)rows[i].offers,
			(unsigned)strlen(rows[i].offers));
		greet(tls, context, &client, &server, &certificate, protocol);
		assert_int_equal(server, 1);
		assert_string_equal(protocol, rows[i].chosen);
		X509_free(certificate);
		SSL_CTX_free(context);
	}
	tls_free(tls);
}

static void clients_must_show_a_certificate_when_that_is_wanted(void **state)
{
	struct tls *tls;
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	kit_authority_sign(&rig.authority, "worker", 30);
	kit_authority_sign(&rig.authority, "late", -1);
	kit_authority_sign(&rig.other, "stranger", 30);
	rig.files.require_client = true;
	assert_int_equal(tls_new(&rig.files, &tls, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		assert_true(gets_through(tls, rig.authority.file, "worker", versions[i]));
		assert_false(gets_through(tls, rig.authority.file, NULL, versions[i]));
		assert_false(gets_through(tls, rig.authority.file, "stranger", versions[i]));
		assert_false(gets_through(tls, rig.authority.file, "late", versions[i]));
	}
	tls_free(tls);
}

static void files_are_read_again(void **state)
{
	struct tls *tls;
	struct reason why = {0};
	SSL_CTX *context = client_new(rig.authority.file, NULL);
	X509 *first, *second, *third;
	char protocol[16];
	int client, server;

	assert_int_equal(tls_new(&rig.files, &tls, NULL), 0);
	greet(tls, context, &client, &server, &first, protocol);
	kit_authority_sign(&rig.authority, "server", 30);
	assert_int_equal(tls_reload(tls, NULL), 0);
	greet(tls, context, &client, &server, &second, protocol);
	assert_int_equal(client, 1);
	assert_int_not_equal(X509_cmp(first, second), 0);
	/* What cannot be used changes nothing. */
	kit_file_write(rig.key, "no key");
	assert_int_equal(tls_reload(tls, &why), -EINVAL);
	assert_non_null(strstr(why.text, rig.key));
	greet(tls, context, &client, &server, &third, protocol);
	assert_int_equal(client, 1);
	assert_int_equal(X509_cmp(second, third), 0);
	X509_free(first);
	X509_free(second);
	X509_free(third);
	SSL_CTX_free(context);
	tls_free(tls);
}

static void files_that_cannot_be_used_are_named(void **state)
{
	auto_(free_at_exit) char *garbage = kit_dir_write_text("garbage", "-----BEGIN");
	auto_(free_at_exit) char *other_key = NULL;
	struct tls *tls = NULL;

	kit_authority_sign(&rig.authority, "another", 30);
	other_key = kit_dir_path("another.key");
	for (int i = 0; i < 6; i++) {
		struct tls_files files = rig.files;
		const char **at = i % 3 == 0   ? &files.certificate
				  : i % 3 == 1 ? &files.key
					       : &files.authorities;
		struct reason why = {0};

		*at = i < 3 ? garbage : "/nowhere/file";
		assert_int_equal(tls_new(&files, &tls, &why), -EINVAL);
		assert_non_null(strstr(why.text, *at));
	}
	rig.files.key = other_key;
	{
		struct reason why = {0};

		assert_int_equal(tls_new(&rig.files, &tls, &why), -EINVAL);
		assert_non_null(strstr(why.text, "key values mismatch"));
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_client_sees_the_certificate),
		TEST(both_protocols_are_offered_http2_first),
		TEST(clients_must_show_a_certificate_when_that_is_wanted),
		TEST(files_are_read_again),
		TEST(files_that_cannot_be_used_are_named),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
