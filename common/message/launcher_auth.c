#include "common/message/launcher_auth.h"

#include "common/base/array.h"
#include "common/base/cleanup.h"
#include "common/base/number.h"
#include "common/base/sha256.h"
#include "common/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define SECRET_MAX_BYTES 4096
#define KEY_CONTEXT      "superexec-auth-v1"
#define AHEAD_MAX_S      5
#define AGE_MAX_S        305
#define NONCE_BYTES      16
#define NONCES_MAX       65536 /* at a time: 200 calls a second */

const char *const launcher_headers[PROOF_N] = {
	[PROOF_TIME] = LAUNCHER_TIME_HEADER,
	[PROOF_NONCE] = LAUNCHER_NONCE_HEADER,
	[PROOF_BODY] = LAUNCHER_BODY_HEADER,
	[PROOF_SIGNATURE] = LAUNCHER_SIGNATURE_HEADER,
};

/* A signature is good once: the nonces of those that were seen, as long as they would be. */
struct nonce {
	unsigned char bytes[NONCE_BYTES];
	double end_s;
};

struct launcher_auth {
	unsigned char key[crypto_auth_hmacsha256_BYTES];
	struct nonce *nonces;
	size_t n_nonces, cap;
};

static void hmac(const void *key, size_t key_len, const void *text, size_t len,
	unsigned char out[crypto_auth_hmacsha256_BYTES])
{
	crypto_auth_hmacsha256_state state;

	crypto_auth_hmacsha256_init(&state, key, key_len);
	crypto_auth_hmacsha256_update(&state, text, len);
	crypto_auth_hmacsha256_final(&state, out);
	sodium_memzero(&state, sizeof state);
}

/* Read the secret into a buffer of fixed size, so that no copy stays. The length, or -errno;
 * -EFBIG. */
static ssize_t read_secret(const char *path, unsigned char secret[SECRET_MAX_BYTES + 1])
{
	auto_(close_at_exit) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	size_t len = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	while ((n = read(fd, secret + len, SECRET_MAX_BYTES + 1 - len)) > 0)
		len += (size_t)n;
	if (n < 0)
		return -errno;
	return len > SECRET_MAX_BYTES ? -EFBIG : (ssize_t)len;
}

int launcher_auth_load(const char *path, struct launcher_auth **out, struct reason *why)
{
	struct launcher_auth *auth = calloc(1, sizeof *auth);
	unsigned char secret[SECRET_MAX_BYTES + 1];
	ssize_t len;

	if (!auth)
		return -ENOMEM;
	len = read_secret(path, secret);
	if (len > 0)
		hmac(secret, (size_t)len, KEY_CONTEXT, strlen(KEY_CONTEXT), auth->key);
	sodium_memzero(secret, sizeof secret);
	if (len > 0) {
		*out = auth;
		return 0;
	}
	free(auth);
	if (len == 0)
		return reason_code(why, -EINVAL, "%s is empty: a secret must not be", path);
	if (len == -EFBIG)
		return reason_code(why, -EFBIG, "%s has more than %d bytes: is it the secret?",
			path, SECRET_MAX_BYTES);
	return reason_code(why, (int)len, "%s cannot be read: %s", path, strerror((int)-len));
}

void launcher_auth_free(struct launcher_auth *auth)
{
	if (!auth)
		return;
	sodium_memzero(auth->key, sizeof auth->key);
	free(auth->nonces);
	free(auth);
}

/* The signature as hex. 0 or -ENOMEM. */
static int sign(const struct launcher_auth *auth, const char *method, const char *const texts[],
	char out[PROOF_TEXT_BYTES])
{
	unsigned char signature[crypto_auth_hmacsha256_BYTES];
	auto_(text_done) struct text input = {0};

	if (text_printf(&input, "method=%s\nts=%s\nnonce=%s\nbody_sha256=%s", method,
		    texts[PROOF_TIME], texts[PROOF_NONCE], texts[PROOF_BODY]))
		return -ENOMEM;
	hmac(auth->key, sizeof auth->key, input.data, input.len, signature);
	sodium_bin2hex(out, PROOF_TEXT_BYTES, signature, sizeof signature);
	return 0;
}

int launcher_auth_sign(const struct launcher_auth *auth, const char *method,
	const struct slices *body, double now_s, char out[PROOF_N][PROOF_TEXT_BYTES])
{
	const char *const texts[] = {out[PROOF_TIME], out[PROOF_NONCE], out[PROOF_BODY]};
	unsigned char nonce[NONCE_BYTES];

	_Static_assert(PROOF_TEXT_BYTES >= SHA256_HEX_BYTES, "room for a hash");
	randombytes_buf(nonce, sizeof nonce);
	snprintf(out[PROOF_TIME], PROOF_TEXT_BYTES, "%" PRId64, (int64_t)now_s);
	sodium_bin2hex(out[PROOF_NONCE], PROOF_TEXT_BYTES, nonce, sizeof nonce);
	if (sha256_slices(body, out[PROOF_BODY]) < 0)
		return -ENOMEM;
	return sign(auth, method, texts, out[PROOF_SIGNATURE]);
}

/* Keep the nonce. false: it was seen before, or there are too many. */
static bool nonce_take(struct launcher_auth *auth, const struct nonce *nonce, double now_s)
{
	size_t n = 0;

	for (size_t i = 0; i < auth->n_nonces; i++) {
		if (auth->nonces[i].end_s <= now_s)
			continue;
		if (memcmp(auth->nonces[i].bytes, nonce->bytes, NONCE_BYTES) == 0)
			return false;
		auth->nonces[n++] = auth->nonces[i];
	}
	auth->n_nonces = n;
	if (n == NONCES_MAX ||
		array_reserve(&auth->nonces, &auth->cap, n, 1, sizeof *auth->nonces) < 0)
		return false;
	auth->nonces[auth->n_nonces++] = *nonce;
	return true;
}

bool launcher_auth_verify(struct launcher_auth *auth, const char *method, const struct slices *body,
	double now_s, const char *const texts[PROOF_N])
{
	char expected[PROOF_TEXT_BYTES], body_hash[SHA256_HEX_BYTES];
	struct nonce nonce;
	uint64_t time_s;
	size_t len = 0;

	for (size_t i = 0; i < PROOF_N; i++)
		if (!texts[i])
			return false;
	if (number_u64(texts[PROOF_TIME], &time_s) < 0 || now_s - (double)time_s <= -AHEAD_MAX_S ||
		now_s - (double)time_s >= AGE_MAX_S)
		return false;
	if (strlen(texts[PROOF_NONCE]) != 2 * (size_t)NONCE_BYTES ||
		sodium_hex2bin(nonce.bytes, NONCE_BYTES, texts[PROOF_NONCE],
			2 * (size_t)NONCE_BYTES, NULL, &len, NULL) ||
		len != NONCE_BYTES)
		return false;
	if (sha256_slices(body, body_hash) < 0 || strcmp(body_hash, texts[PROOF_BODY]) != 0)
		return false;
	if (sign(auth, method, texts, expected) < 0 ||
		strlen(texts[PROOF_SIGNATURE]) != strlen(expected) ||
		sodium_memcmp(expected, texts[PROOF_SIGNATURE], strlen(expected)) != 0)
		return false;
	nonce.end_s = (double)time_s + AGE_MAX_S;
	/* The nonce is kept last: a call that is refused must not take memory. */
	return nonce_take(auth, &nonce, now_s);
}
