#include "common/keys/openssh.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/keys/base64.h"
#include "common/keys/ec_key.h"

#include <errno.h>
#include <openssl/crypto.h>

#define BEGIN       "-----BEGIN OPENSSH PRIVATE KEY-----"
#define END         "-----END OPENSSH PRIVATE KEY-----"
#define MAGIC       "openssh-key-v1" /* with its NUL */
#define BLOCK_BYTES 8                /* padding without a cipher */

/* Decoded bytes with secrets in them. */
struct secret {
	unsigned char *data;
	size_t len;
};

static void secret_done(struct secret *secret)
{
	if (secret->data)
		OPENSSL_cleanse(secret->data, secret->len);
	free(secret->data);
}

static int damaged(struct reason *why)
{
	return reason_code(why, -EBADMSG, "is damaged or cut off: it is no OpenSSH key");
}

static int wrong_type(const struct ssh_bytes *type, struct reason *why)
{
	char quoted[96];

	text_quote(type->data, type->len, quoted, sizeof quoted);
	return reason_code(why, -ENOTSUP,
		"holds a key of type %s; an ECDSA key on P-256, P-384 or P-521 is needed (" EC_KEY_ADVICE
		")",
		quoted);
}

bool openssh_is_private(const char *text)
{
	return strstr(text, BEGIN) != NULL;
}

/* Read what follows the type of a public or private part: the curve's name, then the point. */
static int read_point(
	struct ssh_bytes *from, const struct ec_curve *curve, struct ssh_bytes *point_out)
{
	struct ssh_bytes name;

	if (ssh_string(from, &name) < 0 || !ssh_equals(&name, curve->ssh))
		return -EBADMSG;
	return ssh_string(from, point_out);
}

/* Read a key in the clear: two equal numbers, the key, a comment, 1 2 3 ... up to a whole block;
 * Python's cryptography adds a whole block where ssh-keygen adds nothing. */
static int read_pair(struct ssh_bytes rest, const struct ec_curve *curve,
	const struct ssh_bytes *public_point, EVP_PKEY **out, struct reason *why)
{
	struct ssh_bytes type, point, number, comment;
	struct reason cause = {0};
	uint32_t a, b;
	int r;

	if (rest.len % BLOCK_BYTES || ssh_number(&rest, &a) < 0 || ssh_number(&rest, &b) < 0 ||
		a != b || ssh_string(&rest, &type) < 0 || !ssh_equals(&type, curve->ssh_type) ||
		read_point(&rest, curve, &point) < 0 || ssh_string(&rest, &number) < 0 ||
		ssh_string(&rest, &comment) < 0 || rest.len > BLOCK_BYTES)
		return damaged(why);
	for (size_t i = 0; i < rest.len; i++)
		if (rest.data[i] != i + 1)
			return damaged(why);
	/* A number is positive: one that looks negative is none. */
	if (!number.len || number.data[0] & 0x80)
		return damaged(why);
	if (point.len != public_point->len ||
		memcmp(point.data, public_point->data, point.len) != 0)
		return reason_code(why, -EBADMSG,
			"is damaged: its public part does not belong to its private part");
	r = ec_key_pair(curve, &number, &point, out, &cause);
	return r == -EBADMSG ? reason_code(why, r, "is damaged: %s", cause.text) : r;
}

static int read_file(struct ssh_bytes rest, EVP_PKEY **out, struct reason *why)
{
	struct ssh_bytes cipher, kdf, options, public, private, type, point;
	const struct ec_curve *curve;
	uint32_t keys;

	if (rest.len < sizeof MAGIC || memcmp(rest.data, MAGIC, sizeof MAGIC) != 0)
		return damaged(why);
	rest.data += sizeof MAGIC;
	rest.len -= sizeof MAGIC;
	if (ssh_string(&rest, &cipher) < 0 || ssh_string(&rest, &kdf) < 0 ||
		ssh_string(&rest, &options) < 0 || ssh_number(&rest, &keys) < 0)
		return damaged(why);
	if (keys != 1)
		return reason_code(why, -ENOTSUP, "does not hold exactly one key");
	if (ssh_string(&rest, &public) < 0 || ssh_string(&rest, &private) < 0 || rest.len ||
		ssh_string(&public, &type) < 0)
		return damaged(why);
	curve = ec_curve_of_ssh(&type);
	if (!curve)
		return wrong_type(&type, why);
	if (!ssh_equals(&cipher, "none") || !ssh_equals(&kdf, "none"))
		return reason_code(why, -ENOTSUP,
			"is protected by a passphrase, which nobody could type in; remove it with: ssh-keygen -p -N '' -f FILE");
	if (options.len || read_point(&public, curve, &point) < 0 || public.len)
		return damaged(why);
	return read_pair(private, curve, &point, out, why);
}

int openssh_private(const char *text, EVP_PKEY **out, struct reason *why)
{
	auto_(secret_done) struct secret secret = {0};
	const char *begin = strstr(text, BEGIN), *end;
	int r;

	if (!begin)
		return damaged(why);
	begin += strlen(BEGIN);
	end = strstr(begin, END);
	if (!end)
		return damaged(why);
	r = base64_decode(begin, (size_t)(end - begin), &secret.data, &secret.len);
	if (r < 0)
		return r == -EBADMSG ? damaged(why) : r;
	return read_file((struct ssh_bytes){.data = secret.data, .len = secret.len}, out, why);
}

int openssh_public(const char *text, size_t len, EVP_PKEY **out, struct reason *why)
{
	auto_(free_at_exit) unsigned char *blob = NULL;
	struct ssh_bytes type, rest, point;
	const struct ec_curve *curve;
	int r = ssh_public_line(text, len, &blob, &type, &rest);

	if (r < 0)
		return r == -EBADMSG ? reason_code(why, r, "is no public key") : r;
	curve = ec_curve_of_ssh(&type);
	if (!curve)
		return wrong_type(&type, why);
	if (read_point(&rest, curve, &point) < 0 || rest.len)
		return damaged(why);
	r = ec_key_public(curve, &point, out);
	return r == -EBADMSG ? damaged(why) : r;
}
