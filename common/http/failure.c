/*
 * failure: libcurl's results in a few names, with an outcome and words for each.
 */
#include "common/http/failure.h"

#include "common/base/cleanup.h"
#include "common/http/failure_internal.h"

#include <errno.h>
#include <openssl/x509_vfy.h>
#include <stdbool.h>

static const struct {
	enum outcome outcome;
	const char *text;
} failures[] = {
	[HTTP_FAILURE_NONE] = {OUTCOME_OK, NULL},
	[HTTP_FAILURE_NOT_RESOLVED] = {OUTCOME_UNAVAILABLE,
		"its host name cannot be resolved: is it right, and does DNS work?"},
	[HTTP_FAILURE_REFUSED] = {OUTCOME_UNAVAILABLE, "connection refused"},
	[HTTP_FAILURE_UNREACHABLE] = {OUTCOME_UNAVAILABLE, NULL},
	[HTTP_FAILURE_NO_CONNECTION] = {OUTCOME_UNAVAILABLE, "no connection in time"},
	[HTTP_FAILURE_TIMEOUT] = {OUTCOME_DEADLINE_EXCEEDED, "no answer in time"},
	[HTTP_FAILURE_CLOSED] = {OUTCOME_UNAVAILABLE, NULL},
	[HTTP_FAILURE_PROXY] = {OUTCOME_UNAVAILABLE, NULL},
	[HTTP_FAILURE_TLS] = {OUTCOME_UNAVAILABLE, NULL},
	[HTTP_FAILURE_UNKNOWN_CA] = {OUTCOME_UNAVAILABLE,
		"its certificate is signed by nobody who is trusted here"},
	[HTTP_FAILURE_EXPIRED] = {OUTCOME_UNAVAILABLE, "its certificate has expired"},
	[HTTP_FAILURE_NOT_YET_VALID] = {OUTCOME_UNAVAILABLE, "its certificate is not valid yet"},
	[HTTP_FAILURE_WRONG_NAME] = {OUTCOME_UNAVAILABLE, "its certificate is for another name"},
	[HTTP_FAILURE_CERTIFICATE] = {OUTCOME_UNAVAILABLE, NULL},
	[HTTP_FAILURE_TRUST] = {OUTCOME_UNAVAILABLE, NULL},
	[HTTP_FAILURE_BROKEN] = {OUTCOME_UNAVAILABLE, "its answer is no proper HTTP"},
	[HTTP_FAILURE_TOO_LARGE] = {OUTCOME_RESOURCE_EXHAUSTED, "its answer is too large"},
	[HTTP_FAILURE_HEAD] = {OUTCOME_UNAVAILABLE, "its answer has too many or too long headers"},
	[HTTP_FAILURE_MEMORY] = {OUTCOME_RESOURCE_EXHAUSTED, "no memory for the call"},
	[HTTP_FAILURE_CANCELLED] = {OUTCOME_CANCELLED, "cancelled by this program"},
	[HTTP_FAILURE_OTHER] = {OUTCOME_UNAVAILABLE, NULL},
};

_Static_assert(ARRAY_LEN(failures) == HTTP_FAILURE_N, "each failure has an outcome");

enum outcome http_failure_outcome(enum http_failure failure)
{
	return failures[failure].outcome;
}

const char *http_failure_text(enum http_failure failure)
{
	return failures[failure].text;
}

static enum http_failure of_connect(CURL *easy)
{
	long code = 0;

	curl_lib.easy_getinfo(easy, CURLINFO_OS_ERRNO, &code);
	if (code == ECONNREFUSED)
		return HTTP_FAILURE_REFUSED;
	return code == ETIMEDOUT ? HTTP_FAILURE_NO_CONNECTION : HTTP_FAILURE_UNREACHABLE;
}

/* Find the step that took too long. */
static enum http_failure of_timeout(CURL *easy)
{
	curl_off_t resolved = 0, connected = 0, secured = 0;
	const char *scheme = NULL;
	bool tls;
	long port = 0;

	curl_lib.easy_getinfo(easy, CURLINFO_NAMELOOKUP_TIME_T, &resolved);
	curl_lib.easy_getinfo(easy, CURLINFO_CONNECT_TIME_T, &connected);
	curl_lib.easy_getinfo(easy, CURLINFO_APPCONNECT_TIME_T, &secured);
	curl_lib.easy_getinfo(easy, CURLINFO_SCHEME, &scheme);
	curl_lib.easy_getinfo(easy, CURLINFO_LOCAL_PORT, &port);
	if (resolved == 0)
		return HTTP_FAILURE_NOT_RESOLVED;
	/* libcurl counts TLS's handshake to connecting; before the handshake there is a port
	 * already. */
	tls = scheme && curl_lib.strequal(scheme, "https");
	if (tls && secured == 0 && port > 0)
		return HTTP_FAILURE_TLS;
	return connected == 0 ? HTTP_FAILURE_NO_CONNECTION : HTTP_FAILURE_TIMEOUT;
}

static enum http_failure of_certificate(CURL *easy)
{
	long result = X509_V_ERR_UNSPECIFIED;

	curl_lib.easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &result);
	switch (result) {
	case X509_V_ERR_UNSPECIFIED: /* from libcurl, which looks at the name by itself */
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return HTTP_FAILURE_WRONG_NAME;
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return HTTP_FAILURE_EXPIRED;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return HTTP_FAILURE_NOT_YET_VALID;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_CERT_SIGNATURE_FAILURE: /* another CA of the same name */
		return HTTP_FAILURE_UNKNOWN_CA;
	default:
		return HTTP_FAILURE_CERTIFICATE;
	}
}

static const struct {
	CURLcode code;
	enum http_failure failure;
} codes[] = {
	{CURLE_OK, HTTP_FAILURE_NONE},
	{CURLE_COULDNT_RESOLVE_HOST, HTTP_FAILURE_NOT_RESOLVED},
	{CURLE_COULDNT_RESOLVE_PROXY, HTTP_FAILURE_PROXY},
	{CURLE_PROXY, HTTP_FAILURE_PROXY},
	{CURLE_SSL_CONNECT_ERROR, HTTP_FAILURE_TLS},
	{CURLE_SSL_CERTPROBLEM, HTTP_FAILURE_TLS},
	{CURLE_SSL_CIPHER, HTTP_FAILURE_TLS},
	{CURLE_SSL_CACERT_BADFILE, HTTP_FAILURE_TRUST},
	{CURLE_GOT_NOTHING, HTTP_FAILURE_CLOSED},
	{CURLE_SEND_ERROR, HTTP_FAILURE_CLOSED},
	{CURLE_RECV_ERROR, HTTP_FAILURE_CLOSED},
	{CURLE_PARTIAL_FILE, HTTP_FAILURE_CLOSED},
	{CURLE_UNSUPPORTED_PROTOCOL, HTTP_FAILURE_BROKEN},
	{CURLE_WEIRD_SERVER_REPLY, HTTP_FAILURE_BROKEN},
	{CURLE_BAD_CONTENT_ENCODING, HTTP_FAILURE_BROKEN},
	{CURLE_HTTP2, HTTP_FAILURE_BROKEN},
	{CURLE_HTTP2_STREAM, HTTP_FAILURE_BROKEN},
	{CURLE_FILESIZE_EXCEEDED, HTTP_FAILURE_TOO_LARGE},
	{CURLE_OUT_OF_MEMORY, HTTP_FAILURE_MEMORY},
	{CURLE_ABORTED_BY_CALLBACK, HTTP_FAILURE_CANCELLED},
};

enum http_failure http_failure_of(CURL *easy, CURLcode code)
{
	long tunnel = 0;

	curl_lib.easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &tunnel);
	if (code != CURLE_OK && code != CURLE_ABORTED_BY_CALLBACK && tunnel >= 300)
		return HTTP_FAILURE_PROXY;
	if (code == CURLE_COULDNT_CONNECT)
		return of_connect(easy);
	if (code == CURLE_OPERATION_TIMEDOUT)
		return of_timeout(easy);
	if (code == CURLE_PEER_FAILED_VERIFICATION)
		return of_certificate(easy);
	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (codes[i].code == code)
			return codes[i].failure;
	return HTTP_FAILURE_OTHER;
}
