/*
 * options: the options of a call for libcurl, and its callbacks.
 */
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/number.h"
#include "common/base/text.h"
#include "common/http/call.h"
#include "common/http/status.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* An idle connection is used again for less than the 5 s after which Flower's server ends it. */
#define IDLE_MAX_S 4L
/*
 * A peer whose machine does not answer any more is found after a minute, whether we send or wait.
 * The kernel takes a peer that answers but does not read for a dead one after the same time, and
 * Flower's server does not read while it is busy: so no less.
 */
#define DEAD_AFTER_MS      60000
#define KEEPALIVE_S        20L
#define CONNECT_TIMEOUT_MS 20000L
#define SEND_BUFFER_BYTES  (128L << 10) /* for bodies over that: as much as a core keeps near */
#define RECV_BUFFER_BYTES  (128L << 10)
#define ERROR_BODY_BYTES   ((uint64_t)64 << 10)
#define ASK_BYTES          9 /* a frame's head of HTTP/2 */
#define HEADER_BYTES       4096
#define STATUS_FIRST_BAD   300
#define REFUSAL_MS         5000 /* that a refusal's words may take after its head */

/* ---- what libcurl asks ---- */

static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	const unsigned int dead_ms = DEAD_AFTER_MS;
	int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

	(void)arg;
	(void)purpose;
	if (fd >= 0)
		setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead_ms, sizeof dead_ms);
	return fd;
}

static size_t read_body(char *buffer, size_t size, size_t n, void *arg)
{
	struct http_call *call = arg;

	return http_source_read(&call->source, buffer, size * n);
}

static int seek_body(void *arg, curl_off_t offset, int origin)
{
	struct http_call *call = arg;

	if (origin != SEEK_SET || offset < 0 || http_source_seek(&call->source, (size_t)offset) < 0)
		return CURL_SEEKFUNC_FAIL;
	return CURL_SEEKFUNC_OK;
}

static size_t give_up(struct http_call *call, enum http_failure failure)
{
	call->failure = failure;
	return 0; /* less than was given: libcurl ends the call and its connection */
}

static long call_status(const struct http_call *call)
{
	long status = 0;

	curl_lib.easy_getinfo(call->transfer.easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

static bool is_refused(const struct http_call *call)
{
	return !call->asks && call_status(call) >= STATUS_FIRST_BAD;
}

/* The first bytes of an answer that is too large. Without memory for them there are none. */
static void keep_head(struct http_call *call, const char *data, size_t len)
{
	uint64_t bytes = http_sink_bytes(&call->sink);

	if (bytes >= HTTP_KEPT_HEAD_BYTES)
		return;
	call->sink.max_bytes = HTTP_KEPT_HEAD_BYTES;
	if (len > HTTP_KEPT_HEAD_BYTES - bytes)
		len = (size_t)(HTTP_KEPT_HEAD_BYTES - bytes);
	(void)http_sink_add(&call->sink, data, len);
}

static size_t write_body(char *data, size_t size, size_t n, void *arg)
{
	struct http_call *call = arg;
	size_t len = size * n;
	int r = http_sink_add(&call->sink, data, len);

	/* A refusal's body is read for a sentence, not for a book, which need not have an end. */
	if (is_refused(call) && (r < 0 || http_sink_bytes(&call->sink) > ERROR_BODY_BYTES)) {
		http_sink_done(&call->sink);
		call->enough = true;
		return 0;
	}
	if (r == -EMSGSIZE && call->keeps_head)
		keep_head(call, data, len);
	if (r == -EMSGSIZE)
		return give_up(call, HTTP_FAILURE_TOO_LARGE);
	if (r < 0)
		return give_up(call, HTTP_FAILURE_MEMORY);
	call->enough = call->asks && http_sink_bytes(&call->sink) >= ASK_BYTES;
	return call->enough ? 0 : len;
}

static void refusal_due(void *arg)
{
	struct http_call *call = arg;

	call->enough = true;
	http_transfer_end(&call->transfer, CURLE_OPERATION_TIMEDOUT);
}

/* The status says enough by itself: a call without a time-out does not wait for ever for the rest.
 */
static enum http_failure limit_refusal(struct http_call *call)
{
	if (call->impatience || !is_refused(call))
		return HTTP_FAILURE_NONE;
	call->impatience = timer_new(http_loop(call->client->http), refusal_due, call);
	if (!call->impatience)
		return HTTP_FAILURE_MEMORY;
	timer_set(call->impatience, clock_after(clock_now_ms(), REFUSAL_MS));
	return HTTP_FAILURE_NONE;
}

/* The value of line when it is the header of that name; NULL: it is another one. */
static const char *value_of(const char *line, const char *name)
{
	size_t len = strlen(name);

	if (strncasecmp(line, name, len) != 0 || line[len] != ':')
		return NULL;
	line += len + 1;
	return line + strspn(line, " \t");
}

/* The answer's end is unknown when it has two lengths that differ, or one that is no number. */
static enum http_failure take_length(struct http_call *call, const char *value)
{
	uint64_t length;

	if (number_u64(value, &length) < 0 ||
		(call->head.has_length && call->head.length != length))
		return HTTP_FAILURE_BROKEN;
	call->head.has_length = true;
	call->head.length = length;
	if (is_refused(call))
		return HTTP_FAILURE_NONE;
	if (length <= call->sink.max_bytes)
		call->sink.expected = length;
	else if (!call->keeps_head)
		call->head.too_long = true; /* what it is may stand further down */
	else if (call->sink.max_bytes > HTTP_KEPT_HEAD_BYTES)
		call->sink.max_bytes = HTTP_KEPT_HEAD_BYTES; /* write_body() ends the call then */
	return HTTP_FAILURE_NONE;
}

/* The call has asked for none, and nothing here undoes it. */
static enum http_failure take_encoding(const struct http_call *call, const char *value)
{
	if (call->asks || is_refused(call) || strcasecmp(value, "identity") == 0)
		return HTTP_FAILURE_NONE;
	return HTTP_FAILURE_BROKEN;
}

static enum http_failure take_line(struct http_call *call, const char *line)
{
	const char *value;

	if (strncmp(line, "HTTP/", strlen("HTTP/")) == 0)
		call->head = (struct http_head){0}; /* what came before was another head */
	else if ((value = value_of(line, "content-length")))
		return take_length(call, value);
	else if ((value = value_of(line, "content-encoding")))
		return take_encoding(call, value);
	else if ((value = value_of(line, "date")))
		call->head.date_s = (double)curl_lib.getdate(value, NULL);
	else if ((value = value_of(line, "content-type")))
		call->head.grpc |= strncmp(value, "application/grpc", 16) == 0;
	else if (value_of(line, "grpc-status"))
		call->head.grpc = true;
	else if (!line[0])
		return call->head.too_long ? HTTP_FAILURE_TOO_LARGE : limit_refusal(call);
	return HTTP_FAILURE_NONE;
}

static size_t write_head(char *data, size_t size, size_t n, void *arg)
{
	struct http_call *call = arg;
	enum http_failure failure;
	size_t len = size * n, end = len;
	char line[HEADER_BYTES];

	call->head_bytes += len;
	if (call->head_bytes > HTTP_HEAD_BYTES_MAX || ++call->head_lines > HTTP_HEAD_LINES_MAX)
		return give_up(call, HTTP_FAILURE_HEAD);
	while (end > 0 && strchr("\r\n \t", data[end - 1]))
		end--;
	if (end >= sizeof line)
		return len; /* none of those that matter */
	memcpy(line, data, end);
	line[end] = '\0';
	failure = take_line(call, line);
	return failure == HTTP_FAILURE_NONE ? len : give_up(call, failure);
}

/* Note what both ends have agreed on, now that there is a connection. */
static int connected(void *arg, char *peer_ip, char *own_ip, int peer_port, int own_port)
{
	struct http_call *call = arg;
	const struct curl_tlssessioninfo *tls = NULL;
	const unsigned char *name = NULL;
	unsigned int len = 0;

	(void)peer_ip;
	(void)own_ip;
	(void)peer_port;
	(void)own_port;
	curl_lib.easy_getinfo(call->transfer.easy, CURLINFO_TLS_SSL_PTR, &tls);
	if (tls && tls->backend == CURLSSLBACKEND_OPENSSL && tls->internals)
		SSL_get0_alpn_selected(tls->internals, &name, &len);
	call->h2 = len == 2 && memcmp(name, "h2", 2) == 0;
	return CURL_PREREQFUNC_OK;
}

/*
 * Verify as OpenSSL does it by itself. But where a signature is wrong, because another authority
 * has the name of one that is trusted, OpenSSL leaves more errors behind than that the certificate
 * is not good, and libcurl reads the first of them.
 */
static int verify(X509_STORE_CTX *store, void *arg)
{
	int good = X509_verify_cert(store);

	(void)arg;
	ERR_clear_error();
	return good;
}

static CURLcode set_verify(CURL *easy, void *tls, void *arg)
{
	(void)easy;
	(void)arg;
	SSL_CTX_set_cert_verify_callback(tls, verify, NULL);
	return CURLE_OK;
}

/* ---- what libcurl is told ---- */

/* The first failure sticks. */
struct setter {
	CURL *easy;
	CURLcode code;
};

#define SET(setter, option, value)                                                                 \
	do {                                                                                       \
		if ((setter)->code == CURLE_OK)                                                    \
			(setter)->code =                                                           \
				curl_lib.easy_setopt((setter)->easy, CURLOPT_##option, value);     \
	} while (0)

static void set_connection(struct setter *s, const struct http_client *client, bool direct)
{
	SET(s, NOSIGNAL, 1L);
	/* The end of a call during a look-up of a name would wait for that otherwise. */
	SET(s, QUICK_EXIT, 1L);
	SET(s, OPENSOCKETFUNCTION, open_socket);
	SET(s, TCP_KEEPALIVE, 1L);
	SET(s, TCP_KEEPIDLE, KEEPALIVE_S);
	SET(s, TCP_KEEPINTVL, KEEPALIVE_S);
	SET(s, CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	SET(s, MAXAGE_CONN, IDLE_MAX_S);
	SET(s, SUPPRESS_CONNECT_HEADERS, 1L);
	if (client->loopback || direct)
		SET(s, PROXY, ""); /* not even the environment's */
}

static void set_trust(struct setter *s, const struct http_client *client, bool verified)
{
	struct curl_blob pem = {.flags = CURL_BLOB_NOCOPY};

	SET(s, SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(s, SSL_VERIFYPEER, verified ? 1L : 0L);
	SET(s, SSL_VERIFYHOST, verified ? 2L : 0L);
	/* libcurl's own lists of certificates are left out. */
	SET(s, CAPATH, NULL);
	SET(s, CAINFO, NULL);
	if (!verified || !client->ca_pem)
		return;
	SET(s, SSL_CTX_FUNCTION, set_verify);
	pem.data = client->ca_pem;
	pem.len = strlen(client->ca_pem);
	SET(s, CAINFO_BLOB, &pem);
	if (!client->key_pem)
		return;
	pem.data = client->chain_pem;
	pem.len = strlen(client->chain_pem);
	SET(s, SSLCERT_BLOB, &pem);
	pem.data = client->key_pem;
	pem.len = strlen(client->key_pem);
	SET(s, SSLKEY_BLOB, &pem);
}

static void set_post(struct setter *s, struct http_call *call)
{
	SET(s, POST, 1L);
	SET(s, HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(s, POSTFIELDSIZE_LARGE, (curl_off_t)call->source.body.bytes);
	if (call->source.body.bytes == 0)
		SET(s, POSTFIELDS, "");
	SET(s, READFUNCTION, read_body);
	SET(s, READDATA, call);
	/* Lets libcurl begin anew when the server has just closed the idle connection. */
	SET(s, SEEKFUNCTION, seek_body);
	SET(s, SEEKDATA, call);
	if (call->source.body.bytes > SEND_BUFFER_BYTES)
		SET(s, UPLOAD_BUFFERSIZE, SEND_BUFFER_BYTES);
	if (call->progress.what)
		SET(s, BUFFERSIZE, RECV_BUFFER_BYTES);
}

static void set_ask(struct setter *s, struct http_call *call)
{
	SET(s, PREREQFUNCTION, connected);
	SET(s, PREREQDATA, call);
	SET(s, HTTPGET, 1L);
	SET(s, HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	SET(s, HTTP09_ALLOWED, 1L);
	SET(s, CERTINFO, 1L);
	SET(s, FRESH_CONNECT, 1L);
	SET(s, FORBID_REUSE, 1L);
}

static void set_answer(struct setter *s, struct http_call *call)
{
	SET(s, HEADERFUNCTION, write_head);
	SET(s, HEADERDATA, call);
	SET(s, WRITEFUNCTION, write_body);
	SET(s, WRITEDATA, call);
	SET(s, ERRORBUFFER, call->words);
}

static bool is_header_text(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || (unsigned char)*text > '~')
			return false;
	return true;
}

static int add_header(struct http_call *call, const char *name, const char *value)
{
	auto_(text_done) struct text line = {0};
	struct curl_slist *list;

	if (!is_header_text(name) || !is_header_text(value))
		return -EINVAL;
	if (text_printf(&line, "%s: %s", name, value) < 0)
		return -ENOMEM;
	list = curl_lib.slist_append(call->headers, line.data);
	if (!list)
		return -ENOMEM;
	call->headers = list;
	return 0;
}

static int set_headers(
	struct setter *s, struct http_call *call, const struct http_call_options *options)
{
	/* No wait for a 100 Continue, which may cost a second. */
	struct curl_slist *list = curl_lib.slist_append(NULL, "Expect:");
	int r = list ? 0 : -ENOMEM;

	call->headers = list;
	if (r == 0)
		r = add_header(call, "accept-encoding", "identity");
	for (size_t i = 0; i < options->n_headers && r == 0; i++)
		r = add_header(call, options->headers[i].name, options->headers[i].value);
	SET(s, HTTPHEADER, call->headers);
	if (call->client->user_agent)
		SET(s, USERAGENT, call->client->user_agent);
	return r;
}

int http_call_options_set(struct http_call *call, const struct http_call_options *options)
{
	const struct http_client *client = call->client;
	const struct http_ask *ask = options->ask;
	bool tls = ask ? ask->tls : client->ca_pem != NULL;
	struct setter setter = {.easy = call->transfer.easy};
	auto_(text_done) struct text url = {0};
	int r;

	if (text_printf(&url, "%s://%s%s", tls ? "https" : "http", client->address, options->path) <
		0)
		return -ENOMEM;
	SET(&setter, URL, url.data);
	SET(&setter, PROTOCOLS_STR, tls ? "https" : "http");
	SET(&setter, TIMEOUT_MS, (long)options->timeout_ms);
	set_connection(&setter, client, ask && ask->direct);
	set_trust(&setter, client, !ask || !ask->unverified);
	if (ask)
		set_ask(&setter, call);
	else
		set_post(&setter, call);
	set_answer(&setter, call);
	r = set_headers(&setter, call, options);
	if (r < 0)
		return r;
	return setter.code == CURLE_OK ? 0 : setter.code == CURLE_OUT_OF_MEMORY ? -ENOMEM : -EINVAL;
}
