#include "supernode/link/probe_words.h"

#include "common/base/cleanup.h"
#include "common/base/text.h"

#include <string.h>

#define NAMES_BYTES    256
#define STRANGER_BYTES 16

/* before, the address, after. */
static const struct {
	const char *before;
	const char *after;
} sentences[HTTP_FAILURE_N] = {
	[HTTP_FAILURE_NOT_RESOLVED] = {"the host name of ",
		" cannot be resolved: is it right, and does DNS work?"},
	[HTTP_FAILURE_REFUSED] = {"",
		" refuses connections: does the SuperLink run, and is the port right?"},
	[HTTP_FAILURE_UNREACHABLE] = {"",
		" cannot be reached: is the address right, and is the network up?"},
	[HTTP_FAILURE_NO_CONNECTION] = {"",
		" does not answer: is the address right, or does a firewall drop what is sent there?"},
	[HTTP_FAILURE_TIMEOUT] = {"",
		" takes connections but says nothing: is the port right, or does the SuperLink hang?"},
	[HTTP_FAILURE_CLOSED] = {"",
		" takes connections and closes them without an answer: is the port right, and does the SuperLink behind it run?"},
	[HTTP_FAILURE_UNKNOWN_CA] = {"the TLS certificate of ",
		" is signed by nobody who is trusted here: give the certificate of the SuperLink's CA with --root-certificates"},
	[HTTP_FAILURE_EXPIRED] = {"the TLS certificate of ",
		" has expired: have it renewed, or set the clock of this machine right"},
	[HTTP_FAILURE_NOT_YET_VALID] = {"the TLS certificate of ",
		" is not valid yet: set the clock of this machine right"},
};

bool probe_is_certificate(enum http_failure failure)
{
	return failure == HTTP_FAILURE_UNKNOWN_CA || failure == HTTP_FAILURE_EXPIRED ||
	       failure == HTTP_FAILURE_NOT_YET_VALID || failure == HTTP_FAILURE_WRONG_NAME ||
	       failure == HTTP_FAILURE_CERTIFICATE || failure == HTTP_FAILURE_TRUST;
}

static void say_name(const char *address, const struct http_result *result, struct reason *why)
{
	char names[NAMES_BYTES];

	text_quote(result->names, strlen(result->names), names, sizeof names);
	reason_set(why,
		"the TLS certificate of %s is for other names (%s): use one of them with --superlink, or have a certificate issued for this one",
		address, result->names[0] ? names : "none is in it");
}

void probe_say_failure(const char *address, const struct http_result *result, struct reason *why)
{
	const char *after = sentences[result->failure].after;

	if (after)
		reason_set(why, "%s%s%s", sentences[result->failure].before, address, after);
	else if (result->failure == HTTP_FAILURE_WRONG_NAME)
		say_name(address, result, why);
	else if (result->failure == HTTP_FAILURE_CERTIFICATE)
		reason_set(why, "the TLS certificate of %s is not accepted (%s): have it replaced",
			address, result->details);
	else if (result->failure == HTTP_FAILURE_TRUST)
		reason_set(why,
			"the trusted certificates cannot be read (%s): see --root-certificates",
			result->details);
	else if (result->failure == HTTP_FAILURE_PROXY)
		reason_set(why,
			"the proxy on the way to %s does not let us through (%s): see https_proxy and no_proxy in the environment",
			address, result->details);
	else if (result->failure == HTTP_FAILURE_TLS)
		reason_set(why,
			"no TLS connection to %s comes about (%s): is the port right, and does the SuperLink run?",
			address, result->details);
	else
		reason_set(why, "%s cannot be asked what it is: %s", address, result->details);
}

void probe_say_status(const char *address, const struct http_result *result, struct reason *why)
{
	reason_set(why,
		"%s answers with HTTP status %d, as proxies do: does the SuperLink behind it run?",
		address, result->status);
}

void probe_say_password(const char *address, struct reason *why)
{
	reason_set(why,
		"the proxy on the way to %s wants a password (HTTP status 407): see http_proxy and no_proxy in the environment",
		address);
}

void probe_say_stranger(const char *address, const struct slices *body, struct reason *why)
{
	char bytes[STRANGER_BYTES], quoted[STRANGER_BYTES * 4 + 3];
	size_t n = body->bytes < sizeof bytes ? body->bytes : sizeof bytes;

	slices_read(body, 0, bytes, n);
	text_quote(bytes, n, quoted, sizeof quoted);
	reason_set(why,
		"%s is no SuperLink: it speaks neither gRPC nor HTTP (its first bytes are %s): is the port right?",
		address, quoted);
}

void probe_say_tls(const char *address, struct reason *why)
{
	reason_set(why, "%s answers with TLS: leave out --insecure", address);
}

void probe_say_plain(const char *address, struct reason *why)
{
	reason_set(why, "%s does not speak TLS: use --insecure if that is intended", address);
}
