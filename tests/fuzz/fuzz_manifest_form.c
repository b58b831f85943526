/*
 * Fuzz target: the answer of the process that reads a manifest out of a bundle, which an app's
 * bundle may have taken over. What is taken is a manifest like any other, and is written again byte
 * for byte.
 */
#include "fuzz.h"

#include "common/fab/manifest.h"
#include "common/fab/manifest_form.h"

#include <errno.h>

FUZZ_MEMORY(64, 128);

static void check_manifest(const struct manifest *manifest, const uint8_t *data, size_t len)
{
	auto_(text_done) struct text again = {0};

	CHECK(manifest_check_names(manifest, NULL) == 0);
	/* A key may be there twice: later readers of a map know that. */
	for (size_t i = 0; i < manifest->config.n; i++) {
		const char *key = manifest->config.v[i].key;

		CHECK(utf8_valid(key, strlen(key)));
	}
	CHECK(manifest_form_write(manifest, NULL, &again) == 0);
	CHECK(again.len == len && memcmp(again.data, data, len) == 0);
}

void fuzz(const uint8_t *data, size_t len)
{
	struct manifest manifest = {0};
	struct reason why = {0};
	int r = manifest_form_read(data, len, &manifest, &why);

	if (r) {
		CHECK(r == -EBADMSG && !manifest.name);
		CHECK(why.text[0] || (len == 5 && data[0] == 'R'));
		CHECK(fuzz_is_clean(why.text, strlen(why.text), ""));
		return;
	}
	check_manifest(&manifest, data, len);
	manifest_done(&manifest);
}
