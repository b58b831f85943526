/*
 * The operator's key files: made by ssh-keygen and openssl, judged by Flower's own functions.
 */
#include "common/base/exit_code.h"
#include "common/base/files.h"
#include "common/keys/base64.h"
#include "kit/child.h"
#include "kit/dir.h"
#include "kit/log.h"
#include "kit/vectors.h"
#include "supernode/link/auth.h"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <sys/stat.h>

#define FLIPS  400
#define NOW_MS 1000000
#define WALL_S 1790000000.25

static char *load(const char *name, size_t *len_out)
{
	auto_(free_at_exit) char *path = kit_dir_path(name);
	char *text;

	assert_int_equal(file_read(path, 1 << 20, &text, len_out), 0);
	return text;
}

static void store(const char *name, const char *data, size_t len)
{
	free(kit_dir_write(name, data, len));
}

static int auth_of(const char *private, const char *public, struct auth **out, struct reason *why)
{
	auto_(free_at_exit) char *first = kit_dir_path(private);
	auto_(free_at_exit) char *second = public ? kit_dir_path(public) : NULL;
	int r = auth_load(first, second, NULL, out, why);

	assert_int_equal(ERR_peek_error(), 0);
	if (r != 0 && !why->text[0])
		fail_msg("%s: %d without a sentence", private, r);
	return r;
}

static int group_setup(void **state)
{
	auto_(free_at_exit) char *command = NULL;

	if (kit_dir_make(state) < 0 ||
		asprintf(&command, "sh '%s/make_keys.sh' '%s'", FLWR_TEST_DIR, kit_dir) < 0)
		return -1;
	return system(command);
}

static bool is_good(const char *name)
{
	return strncmp(name, "good-", 5) == 0 && !strstr(name, ".pub");
}

/* Write a line for verify_keys.py. */
static void prove(const char *name, struct kit_child *judge)
{
	auto_(free_at_exit) char *public = NULL;
	const struct auth_proof *proof;
	struct auth *auth = NULL, *same = NULL, *read = NULL;
	auto_(free_at_exit) char *text = NULL;
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
	text = load(name, &len);
	assert_int_equal(auth_load_text(text, "the text", &read, &why), 0);
	assert_string_equal(pem, auth_public_key(read, &len));
	proof = auth_proof(auth, NOW_MS, WALL_S, AUTH_REUSE_MS);
	assert_non_null(proof);
	fprintf(judge->to, "%s/%s ", kit_dir, name);
	kit_child_put_hex(judge, pem, len);
	fprintf(judge->to, " %s ", proof->timestamp);
	kit_child_put_hex(judge, proof->signature, proof->signature_len);
	fputc('\n', judge->to);
	auth_free(auth);
	auth_free(same);
	auth_free(read);
}

static void a_text_that_is_no_key(void **state)
{
	static char much[100000];
	struct auth *auth = NULL;
	struct reason why = {0};

	assert_int_equal(auth_load_text("", "the text", &auth, &why), -EBADMSG);
	assert_non_null(strstr(why.text, "the key the text is neither"));
	memset(much, '-', sizeof much - 1);
	assert_int_equal(auth_load_text(much, "the text", &auth, &why), -EFBIG);
	assert_int_equal(ERR_peek_error(), 0);
}

static void check_good(enum kit_python python)
{
	DIR *names = opendir(kit_dir);
	const struct dirent *item;
	struct kit_child judge;
	unsigned keys = 0;

	assert_non_null(names);
	kit_child_start(&judge, python, FLWR_TEST_DIR "/verify_keys.py");
	while ((item = readdir(names)))
		if (is_good(item->d_name)) {
			prove(item->d_name, &judge);
			keys++;
		}
	closedir(names);
	kit_child_close(&judge);
	assert_int_equal(keys, 3 * (6 + 4) + 3 * 4 + 3 * 4);
	while (keys-- > 0)
		kit_child_expect(&judge, "ok");
	kit_child_end(&judge);
}

static void flower_accepts_what_good_keys_sign(void **state)
{
	check_good(KIT_OLDEST);
	check_good(KIT_NEWEST);
}

static void keys_that_are_refused_have_a_sentence(void **state)
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

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct auth *auth = NULL;
		struct reason why = {0};
		int r = auth_of(rows[i].private, rows[i].public, &auth, &why);

		if (r != rows[i].r || !strstr(why.text, rows[i].why) || !strstr(why.text, kit_dir))
			fail_msg("row %zu: %d %s", i, r, why.text);
		assert_int_equal(auth_exit_code(r), rows[i].code);
		assert_null(auth);
	}
}

static void a_public_key_alone_is_refused(void **state)
{
	struct auth *auth = NULL;
	struct reason why = {0};
	int r = auth_load(NULL, "some.pub", NULL, &auth, &why);

	assert_int_equal(r, -ENOENT);
	assert_int_equal(auth_exit_code(r), EXIT_CODE_KEYS_MISSING);
	assert_non_null(strstr(why.text, "private key"));
	assert_int_equal(auth_exit_code(0), 0);
	assert_int_equal(auth_exit_code(-ENOMEM), 0);
}

/* Root reads everything; so somebody else tries. */
static void a_file_that_cannot_be_read_is_named(void **state)
{
	auto_(free_at_exit) char *path = kit_dir_path("good-sec1-384");

	assert_int_equal(chmod(path, 0), 0);
	if (geteuid() != 0) {
		struct auth *auth = NULL;
		struct reason why = {0};

		assert_int_equal(auth_of("good-sec1-384", NULL, &auth, &why), -EACCES);
		assert_non_null(strstr(why.text, "Permission denied"));
	}
	assert_int_equal(chmod(path, 0600), 0);
}

static void a_key_that_others_can_read_is_warned_of(void **state)
{
	static const struct {
		mode_t mode;
		bool warned;
	} rows[] = {{0600, false}, {0400, false}, {0640, true}, {0604, true}, {0644, true}};
	auto_(free_at_exit) char *path = kit_dir_path("good-openssh-384-0");

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct kit_log log;
		struct auth *auth = NULL;
		struct reason why = {0};
		const char *text;

		kit_log_init(&log, NULL, LOG_LEVEL_DEBUG);

		assert_int_equal(chmod(path, rows[i].mode), 0);
		assert_int_equal(auth_load(path, NULL, log.log, &auth, &why), 0);
		text = kit_log_text(&log);
		assert_int_equal(text[0] != '\0', rows[i].warned);
		if (rows[i].warned) {
			assert_non_null(strstr(text, "WARN"));
			assert_non_null(strstr(text, path));
			assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
		}
		auth_free(auth);
		kit_log_done(&log);
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

static void a_changed_file_is_refused_or_the_same_key(void **state)
{
	static const char *const names[] = {"good-openssh-256-0", "good-openssh-521-0",
		"good-params-secp384r1", "good-topk8-secp521r1"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		auto_(free_at_exit) char *original = public_of(names[i]);
		size_t len;
		auto_(free_at_exit) char *text = load(names[i], &len);

		for (size_t n = 0; n < len; n += 29) {
			store("changed", text, n);
			check_changed(original);
		}
		for (int n = 0; len > 0 && n < FLIPS / 4; n++) {
			size_t where = vector_random() % len;
			char was = text[where];

			text[where] = (char)((unsigned)was ^ 1u << vector_random() % 8);
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

static void changed_bytes_are_refused_or_the_same_key(void **state)
{
	auto_(free_at_exit) char *original = public_of("good-openssh-384-0");
	auto_(free_at_exit) unsigned char *bytes = NULL;
	size_t text_len, len;
	auto_(free_at_exit) char *text = load("good-openssh-384-0", &text_len);
	char *body = strchr(text, '\n'), *end = strstr(text, "-----END");

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
		size_t where = vector_random() % len;
		unsigned char was = bytes[where];

		bytes[where] ^= (unsigned char)(1u << vector_random() % 8);
		store_openssh(bytes, len);
		check_changed(original);
		bytes[where] = was;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flower_accepts_what_good_keys_sign),
		cmocka_unit_test(keys_that_are_refused_have_a_sentence),
		cmocka_unit_test(a_text_that_is_no_key),
		cmocka_unit_test(a_public_key_alone_is_refused),
		cmocka_unit_test(a_file_that_cannot_be_read_is_named),
		cmocka_unit_test(a_key_that_others_can_read_is_warned_of),
		cmocka_unit_test(a_changed_file_is_refused_or_the_same_key),
		cmocka_unit_test(changed_bytes_are_refused_or_the_same_key),
	};

	return cmocka_run_group_tests(tests, group_setup, kit_dir_remove);
}
