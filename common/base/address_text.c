#include "common/base/address_text.h"

#include "common/base/number.h"
#include "common/base/text.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define UNIX_PATH_MAX 108 /* as struct sockaddr_un has it */
#define HOST_BYTES    254 /* a name has 253 at most */

/* "unix:/path", "http://host:1"; but a host may have the name of a scheme, as in "dns:9092". */
static bool has_scheme(const char *text)
{
	static const char *const schemes[] = {
		"dns", "ipv4", "ipv6", "unix", "unix-abstract", "vsock", "xds", NULL};
	size_t len = strcspn(text, ":");
	uint64_t port;

	if (strstr(text, "://"))
		return true;
	for (size_t i = 0; text[len] && schemes[i]; i++) {
		if (strlen(schemes[i]) == len && strncmp(text, schemes[i], len) == 0)
			return number_u64(text + len + 1, &port) == -EINVAL;
	}
	return false;
}

/* Is the text in brackets an IPv6 address, maybe with a zone? */
static bool host6_ok(const char *host, size_t len)
{
	const char *zone = memchr(host, '%', len);
	size_t bare = zone ? (size_t)(zone - host) : len;
	char copy[INET6_ADDRSTRLEN];
	struct in6_addr address;

	if (bare >= sizeof copy || (zone && bare + 1 == len))
		return false;
	memcpy(copy, host, bare);
	copy[bare] = '\0';
	for (size_t i = bare + 1; i < len; i++) {
		if (!isalnum((unsigned char)host[i]) && !strchr(".-_", host[i]))
			return false;
	}
	return inet_pton(AF_INET6, copy, &address) == 1;
}

static bool host_ok(const char *host, size_t len)
{
	char copy[HOST_BYTES];
	struct in_addr address;

	if (len == 0 || len >= sizeof copy || !utf8_valid(host, len))
		return false;
	memcpy(copy, host, len);
	copy[len] = '\0';
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)copy[i];

		if (!isalnum(c) && c != '.' && c != '-' && c != '_' && c < 0x80)
			return false;
		if (c == '.' && (i == 0 || copy[i - 1] == '.'))
			return false;
	}
	/* Numbers with dots are no name. */
	if (strchr(copy, '.') && copy[strspn(copy, "0123456789.")] == '\0')
		return inet_pton(AF_INET, copy, &address) == 1;
	return true;
}

/* A line about the host, -EINVAL; 0 when it is good. */
static int host_check(
	const char *host, size_t len, bool brackets, const char *shown, struct reason *why)
{
	if (brackets && !host6_ok(host, len))
		return reason_code(why, -EINVAL,
			"address %s has no IPv6 address in its brackets: write [::1]:9092, or host:port without brackets",
			shown);
	if (!brackets && memchr(host, ':', len))
		return reason_code(why, -EINVAL,
			"address %s has several colons: write an IPv6 address in brackets, as in [::1]:9092",
			shown);
	if (!brackets && !host_ok(host, len))
		return reason_code(why, -EINVAL,
			"address %s has no valid host: write host:port, as in example.org:9092 or 127.0.0.1:9092",
			shown);
	return 0;
}

/* Say what to write: the text behind the scheme, when that is an address by itself in plain ASCII.
 */
static int scheme_code(const char *text, bool zero_ok, const char *shown, struct reason *why)
{
	const char *rest = strstr(text, "://");
	char bare[HOST_BYTES + sizeof("[]:65535")] = "", quoted[sizeof bare + 2];
	int len = rest ? snprintf(bare, sizeof bare, "%.*s", (int)strcspn(rest + 3, "/"), rest + 3)
		       : 0;

	text_quote(bare, strnlen(bare, sizeof bare), quoted, sizeof quoted);
	if (len > 0 && strlen(quoted) == (size_t)len + 2 && !strstr(bare, "://") &&
		address_check(bare, zero_ok, NULL) == 0)
		return reason_code(why, -EINVAL,
			"address %s must be host:port, without a scheme: write %s", shown, bare);
	return reason_code(why, -EINVAL,
		"address %s must be host:port, without a scheme, as in example.org:9092", shown);
}

int address_check(const char *text, bool zero_ok, struct reason *why)
{
	const char *colon = strrchr(text, ':');
	const char *host = text;
	char shown[REASON_BYTES / 2];
	bool brackets = text[0] == '[';
	size_t len;
	uint64_t port;
	int r;

	text_quote(text, strlen(text), shown, sizeof shown);
	if (has_scheme(text))
		return scheme_code(text, zero_ok, shown, why);
	if (!colon || (brackets && colon[-1] != ']'))
		return reason_code(why, -EINVAL,
			"address %s has no port: write host:port, as in example.org:9092 or [::1]:9092",
			shown);
	len = (size_t)(colon - text);
	if (brackets) {
		host++;
		len -= 2;
	}
	r = host_check(host, len, brackets, shown, why);
	if (r)
		return r;
	if (number_u64(colon + 1, &port) < 0 || port > 65535 || (port == 0 && !zero_ok))
		return reason_code(why, -EINVAL,
			"address %s: the port must be a number from %d to 65535", shown,
			zero_ok ? 0 : 1);
	return 0;
}

int address_check_unix(const char *text, bool zero_ok, struct reason *why)
{
	size_t len;

	if (strncmp(text, "unix:", 5) != 0)
		return address_check(text, zero_ok, why);
	len = strlen(text + 5);
	return len > 0 && len < UNIX_PATH_MAX
		       ? 0
		       : reason_code(why, -EINVAL, "unix: is followed by a path of 1 to %d bytes",
				 UNIX_PATH_MAX - 1);
}

int address_take_scheme(const char *text, enum address_scheme *scheme_out, char **bare_out)
{
	static const char *const schemes[] = {[ADDRESS_BARE] = "",
		[ADDRESS_HTTP] = "http://",
		[ADDRESS_HTTPS] = "https://",
		[ADDRESS_GRPC] = "grpc://"};
	enum address_scheme scheme = ADDRESS_GRPC;
	size_t len;

	while (strncasecmp(text, schemes[scheme], strlen(schemes[scheme])) != 0)
		scheme--;
	text += strlen(schemes[scheme]);
	len = strlen(text);
	if (scheme != ADDRESS_BARE && len > 0 && text[len - 1] == '/')
		len--;
	*bare_out = strndup(text, len);
	if (!*bare_out)
		return -ENOMEM;
	*scheme_out = scheme;
	return 0;
}

int address_take_plain(const char *text, bool *taken_out, char **bare_out, struct reason *why)
{
	enum address_scheme scheme;
	char shown[REASON_BYTES / 2];
	char *bare;
	int r = address_take_scheme(text, &scheme, &bare);

	if (r)
		return r;
	if (scheme == ADDRESS_HTTPS) {
		text_quote(text, strlen(text), shown, sizeof shown);
		free(bare);
		return reason_code(why, -EINVAL,
			"address %s asks for TLS, which is not spoken there: leave out https://",
			shown);
	}
	*taken_out = scheme != ADDRESS_BARE;
	*bare_out = bare;
	return 0;
}
