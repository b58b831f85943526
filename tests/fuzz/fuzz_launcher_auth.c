/*
 * Fuzz target: the headers with which a launcher shows that it knows the secret: the input's lines
 * (the first four), and the rest as the call's body. Nobody can make them up, nor change a single
 * one of those that a launcher has made.
 */
#include "fuzz.h"

#include "common/base/text.h"
#include "common/message/launcher_auth.h"

#define METHOD "/flwr.proto.Runtime/ClaimTask"
#define NOW_S  1700000000

FUZZ_MEMORY(512, 16); /* OpenSSL sets itself up in the first one */

/* A launcher's own headers with one of the input's among them. */
static void check_changed(
	struct launcher_auth *auth, const char *const texts[PROOF_N], const struct slices *body)
{
	char made[PROOF_N][PROOF_TEXT_BYTES];

	CHECK(launcher_auth_sign(auth, METHOD, body, NOW_S, made) == 0);
	for (size_t i = 0; i < PROOF_N; i++) {
		const char *changed[PROOF_N] = {made[0], made[1], made[2], made[3]};

		changed[i] = texts[i];
		CHECK(!launcher_auth_verify(auth, METHOD, body, NOW_S, changed) ||
			strcmp(texts[i], made[i]) == 0);
	}
}

void fuzz(const uint8_t *data, size_t len)
{
	auto_(free_at_exit) char *text = text_dup(data, len);
	auto_(fuzz_file_close) struct fuzz_file file = fuzz_file_open("secret", 6);
	auto_(slices_done) struct slices body = {0};
	struct launcher_auth *auth = NULL;
	const char *texts[PROOF_N];
	char *rest = text;

	CHECK(text && launcher_auth_load(file.path, &auth, NULL) == 0);
	for (size_t i = 0; i < PROOF_N; i++)
		texts[i] = strsep(&rest, "\n");
	if (rest)
		CHECK(slices_append_copy(&body, rest, strlen(rest)) == 0);
	CHECK(!launcher_auth_verify(auth, METHOD, &body, NOW_S, texts));
	check_changed(auth, texts, &body);
	launcher_auth_free(auth);
}
