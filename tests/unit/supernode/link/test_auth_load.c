/*
 * The operator's key files: made by ssh-keygen and openssl, judged by Flower's own functions.
 */
#include "common/base/cleanup.h"
#include "common/base/exit_code.h"
#include "common/base/files.h"
#include "common/keys/base64.h"
#include "supernode/link/auth.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <sys/stat.h>

#define FLIPS  400
#define NOW_MS 1000000
#define WALL_S 1790000000.25

static char dir[] = "/tmp/flwr-test-keys-XXXXXX";

static char *at(const char *name)
{
	return path_join(dir, name);
}

static char *load(const char *name, size_t *len_out)
{
	auto_(free_at_exit) char *path = at(name);
	char *text;

	assert_int_equal(file_read(path, 1 << 20, &text, len_out), 0);
	return text;
}

static void store(const char *name, const char *data, size_t len)
{
	auto_(free_at_exit) char *path = at(name);
	auto_(close_at_exit) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, data, len), 0);
}

static int auth_of(const char *private, const char *public, struct auth **out, struct reason *why)
{
	auto_(free_at_exit) char *first = at(private);
	auto_(free_at_exit) char *second = public ? at(public) : NULL;
	int r = auth_load(first, second, NULL, out, why);

	assert_int_equal(ERR_peek_error(), 0);
	if (r != 0 && !why->text[0])
		fail_msg("%s: %d without a sentence", private, r);
	return r;
}

static int group_setup(void **state)
{
	auto_(free_at_exit) char *command = NULL;

	(void)state;
	if (!mkdtemp(dir) ||
		asprintf(&command, "sh '%s/make_keys.sh' '%s'", FLWR_TEST_DIR, dir) < 0)
		return -1;
	return system(command);
}

static int group_teardown(void **state)
{
	(void)state;
	return dir_remove(dir);
}

static void write_hex(FILE *file, const void *data, size_t len)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < len; i++)
		fprintf(file, "%02x", bytes[i]);
}

static bool is_good(const char *name)
{
	return strncmp(name, "good-", 5) == 0 && !strstr(name, ".pub");
}

/* One line for verify_keys.py. */
static void prove(const char *name, FILE *file)
{
	auto_(free_at_exit) char *public = NULL;
	const struct auth_proof *proof;
	struct auth *auth = NULL, *same = NULL;
	struct reason why = {0};
	const char *pem;
	size_t len;

	if (auth_of(name, NULL, &auth, &why) != 0)
		fail_msg("%s", why.text);
	assert_true(asprintf(&public, "%s.pub", name) > 0);
	if (auth_of(name, public, &same, &why) != 0)
		fail_msg("%s", why.text);
	pem = auth_public_key(auth, &len);
	assert_string_equal(pem, auth_public_key(same, &len));
	proof = auth_proof(auth, NOW_MS, WALL_S, AUTH_REUSE_MS);
	assert_non_null(proof);
	fprintf(file, "%s/%s ", dir, name);
	write_hex(file, pem, len);
	fprintf(file, " %s ", proof->timestamp);
	write_hex(file, proof->signature, proof->signature_len);
	fputc('\n', file);
	auth_free(auth);
	auth_free(same);
}

static void judge(const char *python, const char *list, unsigned keys)
{
	auto_(free_at_exit) char *command = NULL;
	char answer[16];
	FILE *pipe;

	assert_true(asprintf(&command, "'%s' '%s/verify_keys.py' '%s'", python, FLWR_TEST_DIR,
			    list) > 0);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	for (unsigned i = 0; i < keys; i++) {
		assert_non_null(fgets(answer, sizeof answer, pipe));
		assert_string_equal(answer, "ok\n");
	}
	assert_int_equal(pclose(pipe), 0);
}

static void test_good(void **state)
{
	auto_(free_at_exit) char *list = at("list");
	FILE *file = fopen(list, "w");
	DIR *names = opendir(dir);
	const struct dirent *item;
	unsigned keys = 0;

	(void)state;
	assert_non_null(file);
	assert_non_null(names);
	while ((item = readdir(names)))
		if (is_good(item->d_name)) {
			prove(item->d_name, file);
			keys++;
		}
	closedir(names);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(keys, 3 * (6 + 4) + 3 * 4 + 3 * 4);
	if (!getenv("FLWR_TEST_PYTHON"))
		fail_msg("FLWR_TEST_PYTHON is not set: configure with FLWR_PYTHON_ENV");
	judge(getenv("FLWR_TEST_PYTHON"), list, keys);
	if (getenv("FLWR_TEST_PYTHON_NEW"))
		judge(getenv("FLWR_TEST_PYTHON_NEW"), list, keys);
	else
		print_message("FLWR_TEST_PYTHON_NEW is not set: judged by the oldest only\n");
}

static void test_refused(void **state)
{
	static const struct {
		const char *private, *public;
		int r, code;
		const char *why;
	} rows[] = {
		{"locked-openssh-256", NULL, -ENOTSUP, 302, "passphrase"},
		{"locked-openssh-384", NULL, -ENOTSUP, 302, "ssh-keygen -p"},
		{"locked-openssh-521", NULL, -ENOTSUP, 302, "passphrase"},
		{"locked-sec1", NULL, -ENOTSUP, 302, "passphrase"},
		{"locked-pkcs8", NULL, -ENOTSUP, 302, "openssl pkey"},
		{"other-rsa", NULL, -ENOTSUP, 302, "ssh-rsa"},
		{"other-rsa", NULL, -ENOTSUP, 302, "ssh-keygen -t ecdsa -b 384"},
		{"other-rsa-pem", NULL, -ENOTSUP, 302, "type RSA"},
		{"other-rsa-pem", NULL, -ENOTSUP, 302, "ssh-keygen -t ecdsa -b 384"},
		{"other-ed25519", NULL, -ENOTSUP, 302, "ssh-ed25519"},
		{"other-ed25519-pem", NULL, -ENOTSUP, 302, "ED25519"},
		{"other-k1", NULL, -ENOTSUP, 302, "secp256k1"},
		{"other-224", NULL, -ENOTSUP, 302, "secp224r1"},
		{"other-brainpool", NULL, -ENOTSUP, 302, "brainpool"},
		{"good-sec1-256.pub", NULL, -EBADMSG, 302, "public key"},
		{"good-params-secp384r1.pub", NULL, -EBADMSG, 302, "public key"},
		{"bad-empty", NULL, -EBADMSG, 302, "neither"},
		{"bad-text", NULL, -EBADMSG, 302, "neither"},
		{"bad-cut-openssh", NULL, -EBADMSG, 302, "damaged"},
		{"bad-cut-sec1", NULL, -EBADMSG, 302, "damaged"},
		{"bad-head", NULL, -EBADMSG, 302, "damaged"},
		{"bad-mixed", NULL, -EBADMSG, 302, "does not belong"},
		{"bad-large", NULL, -EFBIG, 302, "65536"},
		{"gone", NULL, -ENOENT, 301, "No such file"},
		{".", NULL, -EISDIR, 302, "directory"},
		{"good-sec1-384", "gone", -ENOENT, 301, "No such file"},
		{"good-sec1-384", "good-openssh-384-0.pub", -EBADMSG, 302, "does not belong"},
		{"good-sec1-384", "good-params-secp384r1.pub", -EBADMSG, 302, "does not belong"},
		{"good-sec1-384", "good-params-prime256v1.pub", -EBADMSG, 302, "does not belong"},
		{"good-sec1-384", "other-rsa.pub", -ENOTSUP, 302, "ssh-rsa"},
		{"good-sec1-384", "other-k1.pub", -ENOTSUP, 302, "secp256k1"},
		{"good-sec1-384", "bad-text", -EBADMSG, 302, "no public key"},
		{"good-sec1-384", "bad-empty", -EBADMSG, 302, "no public key"},
		{"good-sec1-384", "good-sec1-384", -EBADMSG, 302, "damaged or no key"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct auth *auth = NULL;
		struct reason why = {0};
		int r = auth_of(rows[i].private, rows[i].public, &auth, &why);

		if (r != rows[i].r || !strstr(why.text, rows[i].why) || !strstr(why.text, dir))
			fail_msg("row %zu: %d %s", i, r, why.text);
		assert_int_equal(auth_exit_code(r), rows[i].code);
		assert_null(auth);
	}
}

static void test_a_public_key_alone(void **state)
{
	struct auth *auth = NULL;
	struct reason why = {0};
	int r = auth_load(NULL, "some.pub", NULL, &auth, &why);

	(void)state;
	assert_int_equal(r, -ENOENT);
	assert_int_equal(auth_exit_code(r), EXIT_CODE_KEYS_MISSING);
	assert_non_null(strstr(why.text, "private key"));
	assert_int_equal(auth_exit_code(0), 0);
	assert_int_equal(auth_exit_code(-ENOMEM), 0);
}

/* Root reads everything; so somebody else tries. */
static void test_unreadable(void **state)
{
	auto_(free_at_exit) char *path = at("good-sec1-384");

	(void)state;
	assert_int_equal(chmod(path, 0), 0);
	if (geteuid() != 0) {
		struct auth *auth = NULL;
		struct reason why = {0};

		assert_int_equal(auth_of("good-sec1-384", NULL, &auth, &why), -EACCES);
		assert_non_null(strstr(why.text, "Permission denied"));
	}
	assert_int_equal(chmod(path, 0600), 0);
}

static void test_readers_are_named(void **state)
{
	static const struct {
		mode_t mode;
		bool warned;
	} rows[] = {{0600, false}, {0400, false}, {0640, true}, {0604, true}, {0644, true}};
	auto_(free_at_exit) char *path = at("good-openssh-384-0");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		auto_(close_at_exit) int out = memfd_new("log");
		struct log *log = log_new(out, NULL, LOG_LEVEL_DEBUG);
		struct auth *auth = NULL;
		struct reason why = {0};
		char text[1024];
		ssize_t n;

		assert_int_equal(chmod(path, rows[i].mode), 0);
		assert_int_equal(auth_load(path, NULL, log, &auth, &why), 0);
		n = pread(out, text, sizeof text - 1, 0);
		assert_true(n >= 0);
		text[n] = '\0';
		assert_int_equal(n > 0, rows[i].warned);
		if (n > 0) {
			assert_non_null(strstr(text, "WARN"));
			assert_non_null(strstr(text, path));
			assert_ptr_equal(strchr(text, '\n'), text + n - 1);
		}
		auth_free(auth);
		log_free(log);
	}
	assert_int_equal(chmod(path, 0600), 0);
}

/* It is refused, or the change was where it does not matter (a comment): then it is the same key.
 */
static void check_changed(const char *original)
{
	auto_(free_at_exit) char *text = NULL;
	struct auth *auth = NULL;
	struct reason why = {0};
	size_t len;
	int r = auth_of("changed", NULL, &auth, &why);

	if (r == 0)
		assert_string_equal(auth_public_key(auth, &len), original);
	else if (r != -EBADMSG && r != -ENOTSUP)
		fail_msg("%d %s", r, why.text);
	auth_free(auth);
	/* And as a public key: of another key, or none. */
	auth = NULL;
	if (auth_of("good-sec1-384", "changed", &auth, &why) == 0)
		fail_msg("taken as a public key");
}

static char *public_of(const char *name)
{
	struct auth *auth = NULL;
	struct reason why = {0};
	size_t len;
	char *pem;

	assert_int_equal(auth_of(name, NULL, &auth, &why), 0);
	pem = strdup(auth_public_key(auth, &len));
	auth_free(auth);
	return pem;
}

static void test_changed_text(void **state)
{
	static const char *const names[] = {"good-openssh-256-0", "good-openssh-521-0",
		"good-params-secp384r1", "good-topk8-secp521r1"};
	unsigned seed = (unsigned)getpid();

	(void)state;
	print_message("seed %u\n", seed);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		auto_(free_at_exit) char *original = public_of(names[i]);
		size_t len;
		auto_(free_at_exit) char *text = load(names[i], &len);

		for (size_t n = 0; n < len; n += 29) {
			store("changed", text, n);
			check_changed(original);
		}
		for (int n = 0; len > 0 && n < FLIPS / 4; n++) {
			size_t where = (size_t)rand_r(&seed) % len;
			char was = text[where];

			text[where] = (char)((unsigned)was ^ 1u << (unsigned)rand_r(&seed) % 8);
			store("changed", text, len);
			check_changed(original);
			text[where] = was;
		}
	}
}

/* The bytes of an OpenSSH file, as a file again. */
static void store_openssh(const unsigned char *bytes, size_t len)
{
	auto_(free_at_exit) unsigned char *letters = malloc(len * 2 + 8);
	auto_(free_at_exit) char *text = NULL;

	assert_true(EVP_EncodeBlock(letters, bytes, (int)len) >= 0);
	assert_true(asprintf(&text,
			    "-----BEGIN OPENSSH PRIVATE KEY-----\n%s\n"
			    "-----END OPENSSH PRIVATE KEY-----\n",
			    len ? (const char *)letters : "") > 0);
	store("changed", text, strlen(text));
}

static void test_changed_bytes(void **state)
{
	auto_(free_at_exit) char *original = public_of("good-openssh-384-0");
	auto_(free_at_exit) unsigned char *bytes = NULL;
	size_t text_len, len;
	auto_(free_at_exit) char *text = load("good-openssh-384-0", &text_len);
	char *body = strchr(text, '\n'), *end = strstr(text, "-----END");
	unsigned seed = (unsigned)getpid();

	(void)state;
	print_message("seed %u\n", seed);
	assert_int_equal(base64_decode(body, (size_t)(end - body), &bytes, &len), 0);
	store_openssh(bytes, len);
	check_changed(original);
	for (size_t n = 0; n < len; n++) {
		/* Each byte once as the highest number: lengths among them. */
		unsigned char was = bytes[n];

		store_openssh(bytes, n);
		check_changed(original);
		bytes[n] = 0xff;
		store_openssh(bytes, len);
		check_changed(original);
		bytes[n] = was;
	}
	for (int n = 0; len > 0 && n < FLIPS; n++) {
		size_t where = (size_t)rand_r(&seed) % len;
		unsigned char was = bytes[where];

		bytes[where] ^= (unsigned char)(1u << (unsigned)rand_r(&seed) % 8);
		store_openssh(bytes, len);
		check_changed(original);
		bytes[where] = was;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_a_public_key_alone),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_readers_are_named),
		cmocka_unit_test(test_changed_text),
		cmocka_unit_test(test_changed_bytes),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
