#include "common/fab/fab.h"

#include "common/base/cleanup.h"
#include "common/base/sha256.h"
#include "common/fab/bundle.h"
#include "common/fab/manifest.h"

#include <errno.h>
#include <string.h>

struct fab_limits fab_limits_default(void)
{
	return (struct fab_limits){
		.received_max_bytes = FAB_RECEIVED_MAX_BYTES,
		.unpacked_max_bytes = FAB_UNPACKED_MAX_BYTES,
		.files_max = FAB_FILES_MAX,
	};
}

int fab_check_hash(const struct slices *content, const char *hash, const struct fab_limits *limits,
	struct reason *why)
{
	char hex[SHA256_HEX_BYTES];
	int r;

	if (content->bytes > limits->received_max_bytes)
		return reason_code(why, -EFBIG, "the FAB has %zu bytes, at most %llu are taken",
			content->bytes, (unsigned long long)limits->received_max_bytes);
	if (!sha256_is_hex(hash))
		return reason_code(why, -EBADMSG, "the FAB's announced hash is no SHA-256 hash");
	r = sha256_slices(content, hex);
	if (r < 0)
		return r;
	if (strcmp(hex, hash) != 0)
		return reason_code(
			why, -EBADMSG, "the FAB has the hash %s, but %s was announced", hex, hash);
	return 0;
}

int fab_read_manifest(const struct slices *content, struct manifest *out, struct reason *why)
{
	auto_(bundle_free) struct bundle *bundle = NULL;
	int r = bundle_open(content, &bundle, why);

	return r < 0 ? r : manifest_read(bundle, out, why);
}
