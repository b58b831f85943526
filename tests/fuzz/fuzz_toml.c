/*
 * Fuzz target: TOML as an app's manifest has it, whoever wrote that: its tables flattened, and what
 * becomes of it. An app's directory has the name of one directory.
 */
#include "fuzz.h"

#include "common/config/toml.h"
#include "common/fab/manifest.h"

/* Names that are flattened, each with those above it, may have 1 MiB, and are there twice. */
FUZZ_MEMORY(3072, 256);

static void fuzz_tables(const char *text, size_t len)
{
	auto_(value_map_done) struct value_map values = {0};
	struct toml *doc = NULL;

	if (toml_parse(text, len, &doc, NULL))
		return;
	if (toml_flatten(doc, "", &values, NULL) == 0)
		fuzz_check_map(&values);
	for (size_t i = 0; i < values.n; i++)
		CHECK(values.v[i].value.kind == VALUE_BOOL ||
			values.v[i].value.kind == VALUE_SINT ||
			values.v[i].value.kind == VALUE_DOUBLE ||
			values.v[i].value.kind == VALUE_STRING);
	toml_free(doc);
}

static void check_name(const char *text)
{
	CHECK(text && fuzz_is_clean(text, strlen(text), ""));
}

static void check_manifest(const struct manifest *manifest)
{
	static const char hash[] =
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	auto_(free_at_exit) char *directory = manifest_directory(manifest, hash, 64);

	check_name(manifest->publisher);
	check_name(manifest->name);
	check_name(manifest->version);
	check_name(directory);
	CHECK(!strchr(directory, '/') && directory[0] != '.');
	CHECK(strlen(directory) <= 255);
	fuzz_check_map(&manifest->config);
}

void fuzz(const uint8_t *data, size_t len)
{
	struct manifest manifest;

	fuzz_tables((const char *)data, len);
	if (manifest_parse((const char *)data, len, &manifest, NULL))
		return;
	check_manifest(&manifest);
	manifest_done(&manifest);
}
