/*
 * Fuzz target: the zip directory, the manifest and the list of files of a FAB. Writes nothing.
 */
#include "common/base/text.h"
#include "common/fab/bundle.h"
#include "common/fab/content.h"
#include "common/fab/fab.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Everything that the archive says it has, up to 16 MiB. */
static void read_entries(const struct slices *content)
{
	const struct directory_entry *entry;
	struct bundle *bundle = NULL;
	size_t left = 16 << 20;

	if (bundle_open(content, &bundle, NULL) < 0)
		return;
	if (bundle_rewind(bundle, NULL) == 0)
		while (left > 0 && bundle_next(bundle, &entry, NULL) == 0) {
			const void *block;
			size_t n;

			while (left > 0 && bundle_block(bundle, &block, &n, NULL) == 0)
				left -= n < left ? n : left;
		}
	bundle_free(&bundle);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct content_list list = {0};
	struct manifest manifest = {0};
	struct slices content = {0};
	char *text = text_dup(data, len);

	if (text && content_parse(text, len, 1000, &list, NULL) == 0)
		content_done(&list);
	/* In two pieces, so that entries lie across the cut. */
	if (slices_append_copy(&content, data, len / 2) == 0 &&
		slices_append_copy(&content, data + len / 2, len - len / 2) == 0) {
		if (fab_read_manifest(&content, &manifest, NULL) == 0)
			manifest_done(&manifest);
		read_entries(&content);
	}
	slices_done(&content);
	return 0;
}
