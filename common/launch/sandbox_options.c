#include "common/launch/sandbox_options.h"

#include "common/base/address_text.h"
#include "common/base/cleanup.h"
#include "common/base/home.h"
#include "common/base/text.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DNS_PORT "53"

const char *sandbox_options_any(const struct launch_options *options)
{
	return options->sandbox            ? "sandbox"
	       : options->app_dir_writable ? "app-dir-writable"
	       : options->data_dir.v[0]    ? "data-dir"
	       : options->app_network      ? "app-network"
	       : options->app_env.v[0]     ? "app-env"
					   : NULL;
}

/* The text ends in ":ro" or ":rw", or in neither. */
static size_t path_length(const char *text, bool *writable_out)
{
	size_t len = strlen(text);
	const char *end = len > 3 ? text + len - 3 : "";

	*writable_out = strcmp(end, ":rw") == 0;
	return *writable_out || strcmp(end, ":ro") == 0 ? len - 3 : len;
}

int sandbox_data_dir(const char *text, char **path_out, bool *writable_out, struct reason *why)
{
	auto_(free_at_exit) char *written = text_dup(text, path_length(text, writable_out));
	auto_(free_at_exit) char *path = written ? path_expand(written) : NULL;

	if (!path)
		return -ENOMEM;
	*path_out = realpath(path, NULL);
	if (*path_out)
		return 0;
	return errno == ENOMEM
		       ? -ENOMEM
		       : reason_code(why, -EINVAL, "--data-dir %s: %s", path, strerror(errno));
}

static bool is_number(const char *host)
{
	struct in6_addr any;

	return host[0] == '[' || inet_pton(AF_INET, host, &any) == 1;
}

/* Add the port of "HOST:PORT". */
static int add_port(const char *address, struct text *ports, bool *named, struct reason *why)
{
	struct reason cause = {0};
	auto_(free_at_exit) char *host = NULL;
	const char *colon = strrchr(address, ':');
	int r = address_check(address, false, &cause);

	if (r)
		return reason_code(why, r, "--app-network %s", cause.text);
	host = text_dup(address, (size_t)(colon - address));
	if (!host)
		return -ENOMEM;
	*named = *named || !is_number(host);
	return text_printf(ports, "%s%s", ports->data ? "," : "", colon + 1);
}

int sandbox_ports(const char *network, char **out, struct reason *why)
{
	auto_(text_done) struct text ports = {0};
	bool named = false;
	int r = 0;

	*out = NULL;
	if (!network || strcmp(network, "all") == 0)
		return 0;
	while (r == 0 && *network) {
		size_t len = strcspn(network, ",");
		auto_(free_at_exit) char *address = text_dup(network, len);

		r = address ? add_port(address, &ports, &named, why) : -ENOMEM;
		network += len + (network[len] == ',');
	}
	if (r == 0 && !ports.data)
		return reason_code(why, -EINVAL, "--app-network needs all, or HOST:PORT,...");
	if (r == 0 && named)
		r = text_printf(&ports, "," DNS_PORT);
	if (r == 0)
		*out = text_take(&ports);
	return r || *out ? r : -ENOMEM;
}

static bool is_setting(const char *text)
{
	size_t len = strcspn(text, "=");

	if (!isalpha((unsigned char)text[0]) && text[0] != '_')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)text[i]) && text[i] != '_' &&
			!(text[i] == '*' && i + 1 == len && !text[len]))
			return false;
	return true;
}

static int check_strict(const struct launch_options *options, struct reason *why)
{
	auto_(free_at_exit) char *ports = NULL;
	int r = sandbox_ports(options->app_network, &ports, why);

	for (const char *const *each = options->data_dir.v; r == 0 && *each; each++) {
		auto_(free_at_exit) char *path = NULL;
		bool writable;

		r = sandbox_data_dir(*each, &path, &writable, why);
	}
	for (const char *const *each = options->app_env.v; r == 0 && *each; each++)
		if (!is_setting(*each))
			r = reason_code(why, -EINVAL,
				"--app-env takes the name of a variable, or NAME=VALUE, not %s",
				*each);
	return r;
}

int sandbox_options_check(const struct launch_options *options, struct reason *why)
{
	const char *cage = options->sandbox ? options->sandbox : "node";
	const char *strict = options->data_dir.v[0]  ? "data-dir"
			     : options->app_network  ? "app-network"
			     : options->app_env.v[0] ? "app-env"
						     : NULL;

	if (strict && strcmp(cage, "strict") != 0)
		return reason_code(why, -EINVAL,
			"--%s has no effect without --sandbox strict: in other cages apps have what their user has; give both or none",
			strict);
	if (options->app_dir_writable && strcmp(cage, "off") == 0)
		return reason_code(why, -EINVAL,
			"--app-dir-writable has no effect with --sandbox off: apps can write there; leave one out");
	return strict ? check_strict(options, why) : 0;
}
