/*
 * Fuzz target: the zip directory and the entries of a FAB, and its manifest. Writes nothing.
 */
#include "fuzz.h"

#include "common/fab/bundle.h"
#include "common/fab/fab.h"

#include <errno.h>

FUZZ_MEMORY(4096, 16);

/* An entry has as many bytes as its directory says, if all of them come. */
static void read_entry(struct bundle *bundle, const struct directory_entry *entry, size_t *left)
{
	const void *block;
	size_t n, total = 0;
	int r;

	while ((r = bundle_block(bundle, &block, &n, NULL)) == 0) {
		total += n;
		CHECK(total <= entry->bytes);
		if (n > *left)
			return;
		*left -= n;
	}
	CHECK(r < 0 || total == entry->bytes);
}

static void read_entries(const struct slices *content)
{
	const struct directory_entry *entry;
	struct bundle *bundle = NULL;
	size_t left = 16 << 20;
	int r = bundle_open(content, &bundle, NULL);

	CHECK(r != -ELIBACC);
	if (r < 0)
		return;
	if (bundle_rewind(bundle, NULL) == 0)
		while (bundle_next(bundle, &entry, NULL) == 0) {
			CHECK(fuzz_is_clean(entry->name, entry->name_len, ""));
			CHECK(entry->name_len > 0 && entry->name[0] != '/');
			CHECK(entry->name_len <= DIRECTORY_NAME_MAX_BYTES);
			read_entry(bundle, entry, &left);
		}
	bundle_free(&bundle);
}

void fuzz(const uint8_t *data, size_t len)
{
	auto_(slices_done) struct slices content = fuzz_cut(data, len, len / 2);
	struct manifest manifest = {0};

	if (fab_read_manifest(&content, &manifest, NULL) == 0) {
		fuzz_check_map(&manifest.config);
		manifest_done(&manifest);
	}
	read_entries(&content);
}
