#include "common/keys/key_file.h"

#include "common/base/cleanup.h"
#include "common/base/files.h"
#include "common/keys/ec_key.h"
#include "common/keys/openssh.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#define NUMBER_MAX_BYTES 66                         /* P-521 */
#define POINT_MAX_BYTES  (1 + 2 * NUMBER_MAX_BYTES) /* uncompressed */

/* A file's text, wiped when it goes: read to here, so that it has never been elsewhere. */
struct key_text {
	char *data; /* KEY_FILE_MAX_BYTES and a NUL */
	size_t len;
};

static void key_text_done(struct key_text *text)
{
	if (text->data)
		OPENSSL_cleanse(text->data, KEY_FILE_MAX_BYTES + 1);
	free(text->data);
}

static void bio_free_at_exit(BIO **bio)
{
	BIO_free(*bio);
}

static void bn_free_at_exit(BIGNUM **number)
{
	BN_clear_free(*number);
}

/* A descriptor that was handed in is read from its beginning, even if somebody has read it before.
 */
static int open_text(const char *path)
{
	int fd = fd_named(path);

	if (fd == -1)
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	else if (fd >= 0)
		lseek(fd, 0, SEEK_SET);
	else
		return fd;
	return fd < 0 ? -errno : fd;
}

/* Standard input becomes /dev/null, so that no other file gets its number. */
static void close_text(const int *fd)
{
	auto_(close_at_exit) int none = -1;

	if (*fd > STDIN_FILENO) {
		close(*fd);
	} else if (*fd == STDIN_FILENO) {
		none = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (none < 0 || dup2(none, STDIN_FILENO) < 0)
			close(STDIN_FILENO);
	}
}

/* Warn of readers, but take the key: many systems that hand out secrets as files cannot do it
 * otherwise. */
static void warn_of_readers(int fd, const char *path, struct log *log)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_mode & (S_IRGRP | S_IROTH))
		log_warn(log, "the private key %s can be read by others than its owner (mode %03o)",
			path, (unsigned int)st.st_mode & 0777);
}

/* private_log: where to say that a private key can be read by others; NULL: it is a public one. */
static int read_text(
	const char *path, struct log *private_log, struct key_text *out, struct reason *why)
{
	auto_(close_text) int fd = open_text(path);
	const char *text;
	int r;

	out->data = calloc(1, KEY_FILE_MAX_BYTES + 1);
	if (!out->data)
		return -ENOMEM;
	r = fd < 0 ? fd : fd_read_all(fd, out->data, KEY_FILE_MAX_BYTES, &out->len);
	if (r == 0 && private_log)
		warn_of_readers(fd, path, private_log);
	if (r == 0)
		return r;
	text = strerrordesc_np(-r);
	if (r == -EFBIG)
		return reason_code(
			why, r, "%s is no key: it has over %d bytes", path, KEY_FILE_MAX_BYTES);
	return reason_code(
		why, r, "cannot read the key %s: %s", path, text ? text : "unknown error");
}

/* ---- PEM ---- */

static int passphrase_asked(char *out, int bytes, int writing, void *asked)
{
	(void)out;
	(void)bytes;
	(void)writing;
	*(bool *)asked = true;
	return -1;
}

/* -EBADMSG in the end: what OpenSSL finds wrong is no sentence for people. */
static int no_pem(const char *text, bool asked, bool private, struct reason *why)
{
	if (asked)
		return reason_code(why, -ENOTSUP,
			"is protected by a passphrase, which nobody could type in; remove it with: openssl pkey -in FILE -out NEW_FILE");
	if (private && (strstr(text, "PUBLIC KEY-----") || strncmp(text, "ecdsa-sha2-", 11) == 0))
		return reason_code(why, -EBADMSG, "holds a public key, not a private one");
	if (strstr(text, "-----BEGIN "))
		return reason_code(why, -EBADMSG, "is damaged or no key");
	return reason_code(
		why, -EBADMSG, "is neither in OpenSSH's format nor PEM (" EC_KEY_ADVICE ")");
}

/* NULL with a sentence: none that would do (-ENOTSUP). */
static const struct ec_curve *curve_of(const EVP_PKEY *key, struct reason *why)
{
	const char *type = EVP_PKEY_get0_type_name(key);
	const struct ec_curve *curve = NULL;
	char group[64] = "";
	size_t len;

	if (!EVP_PKEY_is_a(key, "EC")) {
		reason_set(why,
			"holds a key of type %s; an ECDSA key on P-256, P-384 or P-521 is needed (" EC_KEY_ADVICE
			")",
			type ? type : "unknown");
		return NULL;
	}
	if (EVP_PKEY_get_group_name(key, group, sizeof group, &len) == 1)
		curve = ec_curve_of_group(group);
	if (!curve)
		reason_set(why,
			"holds a key on the curve %s; P-256, P-384 or P-521 is needed (" EC_KEY_ADVICE
			")",
			group[0] ? group : "of its own");
	return curve;
}

static int take_point(const EVP_PKEY *key, unsigned char bytes[POINT_MAX_BYTES],
	struct ssh_bytes *out, struct reason *why)
{
	size_t len = 0;

	if (EVP_PKEY_get_octet_string_param(
		    key, OSSL_PKEY_PARAM_PUB_KEY, bytes, POINT_MAX_BYTES, &len) != 1)
		return reason_code(why, -EBADMSG, "is damaged: its public part is missing");
	*out = (struct ssh_bytes){.data = bytes, .len = len};
	return 0;
}

/* The pair is put together anew: so its public key has the form that SuperLinks know, whatever form
 * the file's has. */
static int remake(const EVP_PKEY *key, EVP_PKEY **out, struct reason *why)
{
	auto_(bn_free_at_exit) BIGNUM *number = NULL;
	unsigned char digits[NUMBER_MAX_BYTES], bytes[POINT_MAX_BYTES];
	const struct ec_curve *curve = curve_of(key, why);
	struct ssh_bytes scalar, point;
	struct reason cause = {0};
	int r = curve ? take_point(key, bytes, &point, why) : -ENOTSUP;

	if (r < 0)
		return r;
	if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &number) != 1 ||
		BN_bn2binpad(number, digits, (int)curve->bytes) < 0)
		return reason_code(why, -EBADMSG, "is damaged: its private part is missing");
	scalar = (struct ssh_bytes){.data = digits, .len = curve->bytes};
	r = ec_key_pair(curve, &scalar, &point, out, &cause);
	OPENSSL_cleanse(digits, sizeof digits);
	return r == -EBADMSG ? reason_code(why, r, "is damaged: %s", cause.text) : r;
}

static int pem_private(const struct key_text *text, EVP_PKEY **out, struct reason *why)
{
	auto_(bio_free_at_exit) BIO *bio = BIO_new_mem_buf(text->data, (int)text->len);
	auto_(ec_key_free_at_exit) EVP_PKEY *key = NULL;
	bool asked = false;

	if (!bio)
		return -ENOMEM;
	key = PEM_read_bio_PrivateKey(bio, NULL, passphrase_asked, &asked);
	return key ? remake(key, out, why) : no_pem(text->data, asked, true, why);
}

static int pem_public(const struct key_text *text, EVP_PKEY **out, struct reason *why)
{
	auto_(bio_free_at_exit) BIO *bio = BIO_new_mem_buf(text->data, (int)text->len);
	auto_(ec_key_free_at_exit) EVP_PKEY *key = NULL;
	unsigned char bytes[POINT_MAX_BYTES];
	const struct ec_curve *curve;
	struct ssh_bytes point;
	bool asked = false;
	int r;

	if (!bio)
		return -ENOMEM;
	key = PEM_read_bio_PUBKEY(bio, NULL, passphrase_asked, &asked);
	if (!key)
		return no_pem(text->data, asked, false, why);
	curve = curve_of(key, why);
	r = curve ? take_point(key, bytes, &point, why) : -ENOTSUP;
	if (r == 0)
		r = ec_key_public(curve, &point, out);
	return r;
}

/* ---- either ---- */

/* A cause continues a sentence that begins with the file's name. */
static int finish(int r, const char *path, const struct reason *cause, struct reason *why)
{
	/* The queue of errors belongs to the whole thread: ours must not be read as another part's.
	 */
	ERR_clear_error();
	if (r == 0 || r == -ENOMEM)
		return r;
	return reason_code(why, r, "the key %s %s", path,
		cause->text[0] ? cause->text : "cannot be used: OpenSSL refuses it");
}

/* what: the file's path, or a name of the text. */
static int read_private(struct key_text *text, const char *what, EVP_PKEY **out, struct reason *why)
{
	struct reason cause = {0};
	int r = openssh_is_private(text->data) ? openssh_private(text->data, out, &cause)
					       : pem_private(text, out, &cause);

	return finish(r, what, &cause, why);
}

int key_file_private(const char *path, struct log *log, EVP_PKEY **out, struct reason *why)
{
	auto_(key_text_done) struct key_text text = {0};
	int r = read_text(path, log, &text, why);

	return r < 0 ? r : read_private(&text, path, out, why);
}

int key_text_private(const char *given, const char *what, EVP_PKEY **out, struct reason *why)
{
	auto_(key_text_done) struct key_text text = {.len = strlen(given)};

	if (text.len > KEY_FILE_MAX_BYTES)
		return reason_code(why, -EFBIG, "the key %s is none: it has over %d bytes", what,
			KEY_FILE_MAX_BYTES);
	text.data = calloc(1, KEY_FILE_MAX_BYTES + 1);
	if (!text.data)
		return -ENOMEM;
	memcpy(text.data, given, text.len);
	return read_private(&text, what, out, why);
}

int key_file_public(const char *path, EVP_PKEY **out, struct reason *why)
{
	auto_(key_text_done) struct key_text text = {0};
	struct reason cause = {0};
	int r = read_text(path, NULL, &text, why);

	if (r < 0)
		return r;
	if (strstr(text.data, "-----BEGIN "))
		r = pem_public(&text, out, &cause);
	else
		r = openssh_public(text.data, text.len, out, &cause);
	return finish(r, path, &cause, why);
}
