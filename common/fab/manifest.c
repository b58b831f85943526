#include "common/fab/manifest.h"

#include "common/base/cleanup.h"
#include "common/base/sha256.h"
#include "common/config/toml.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static void toml_free_at_exit(struct toml **doc)
{
	toml_free(*doc);
}

/* The fault of a text that becomes part of a directory's name; NULL: none. Flower itself allows
 * everything but '/'. */
static const char *name_fault(const char *text)
{
	if (text[0] == '\0')
		return "is empty";
	/* Names with a dot in front are ours, for what is being unpacked. */
	if (text[0] == '.')
		return "starts with a dot";
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		if (*c < 0x20 || *c == 0x7f || (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0))
			return "has a control character";
		if (*c == '/' || *c == '\\')
			return "has a slash or backslash";
	}
	return NULL;
}

/* A copy of the string at path. 0, -EBADMSG or -ENOMEM. */
static int take_string(const struct toml *doc, const char *path, char **out, struct reason *why)
{
	const char *text = toml_string(doc, path);

	if (!text)
		return reason_code(
			why, -EBADMSG, "the FAB's pyproject.toml has no string at %s", path);
	*out = strdup(text);
	return *out ? 0 : -ENOMEM;
}

int manifest_check_names(const struct manifest *manifest, struct reason *why)
{
	const struct {
		const char *path, *text;
	} names[] = {{"tool.flwr.app.publisher", manifest->publisher},
		{"project.name", manifest->name}, {"project.version", manifest->version}};
	size_t publisher_len = strlen(manifest->publisher), len = 0;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *fault = name_fault(names[i].text);

		if (fault)
			return reason_code(why, -EBADMSG,
				"the FAB's pyproject.toml: %s %s, so it cannot be part of a directory's name",
				names[i].path, fault);
		len += strlen(names[i].text) + 1;
	}
	if (len + SHA256_HEX_BYTES - 1 > NAME_MAX)
		return reason_code(why, -EBADMSG,
			"the FAB's publisher, name and version are too long for a directory's name");
	if (strncmp(manifest->fab_id, manifest->publisher, publisher_len) != 0 ||
		manifest->fab_id[publisher_len] != '/' ||
		strcmp(manifest->fab_id + publisher_len + 1, manifest->name) != 0)
		return reason_code(why, -EBADMSG, "the FAB's id is another than its name");
	return 0;
}

static int take_config(const struct toml *doc, struct value_map *out, struct reason *why)
{
	struct reason cause = {0};
	int r = toml_flatten(doc, "tool.flwr.app.config", out, &cause);

	if (r != -EINVAL)
		return r;
	return reason_code(why, -EBADMSG, "the FAB's pyproject.toml: %s", cause.text);
}

static int fill(const struct toml *doc, struct manifest *out, struct reason *why)
{
	int r = take_string(doc, "tool.flwr.app.publisher", &out->publisher, why);

	if (r == 0)
		r = take_string(doc, "project.name", &out->name, why);
	if (r == 0)
		r = take_string(doc, "project.version", &out->version, why);
	if (r == 0)
		r = take_string(doc, "tool.flwr.app.components.clientapp", &out->clientapp, why);
	if (r == 0)
		r = take_config(doc, &out->config, why);
	if (r < 0)
		return r;
	if (asprintf(&out->fab_id, "%s/%s", out->publisher, out->name) < 0) {
		out->fab_id = NULL;
		return -ENOMEM;
	}
	return manifest_check_names(out, why);
}

int manifest_parse(const char *text, size_t len, struct manifest *out, struct reason *why)
{
	auto_(toml_free_at_exit) struct toml *doc = NULL;
	auto_(manifest_done) struct manifest manifest = {0};
	struct reason cause = {0};
	int r;

	if (!utf8_valid(text, len))
		return reason_code(why, -EBADMSG, "the FAB's pyproject.toml is not UTF-8");
	r = toml_parse(text, len, &doc, &cause);
	if (r == -EINVAL)
		return reason_code(why, -EBADMSG, "the FAB's pyproject.toml: %s", cause.text);
	if (r == 0)
		r = fill(doc, &manifest, why);
	if (r < 0)
		return r;
	*out = manifest;
	manifest = (struct manifest){0};
	return 0;
}

int manifest_read(struct bundle *bundle, struct manifest *out, struct reason *why)
{
	auto_(text_done) struct text text = {0};
	int r = bundle_read(bundle, BUNDLE_PYPROJECT, FAB_PYPROJECT_MAX_BYTES, &text, why);

	return r < 0 ? r : manifest_parse(text.data ? text.data : "", text.len, out, why);
}

char *manifest_directory(const struct manifest *manifest, const char *hash, int digits)
{
	char *name;

	if (asprintf(&name, "%s.%s.%s.%.*s", manifest->publisher, manifest->name, manifest->version,
		    digits, hash) < 0)
		return NULL;
	return name;
}
