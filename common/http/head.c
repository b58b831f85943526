/*
 * head: what the library does not look at. It takes the first Content-Length of several, and one
 * beside chunks: whoever stands before us may have taken another.
 */
#include "common/base/number.h"
#include "common/http/exchange.h"

#include <string.h>
#include <strings.h>

#define STATUS_BAD_REQUEST 400
#define STATUS_CONTENT     415
#define STATUS_HEADERS     431

struct head {
	unsigned headers;
	unsigned lengths, encodings;
	const char *length, *encoding; /* the last of each */
};

static enum MHD_Result count_header(
	void *arg, enum MHD_ValueKind kind, const char *key, const char *value)
{
	struct head *head = arg;

	(void)kind;
	head->headers++;
	if (strcasecmp(key, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0) {
		head->lengths++;
		head->length = value;
	} else if (strcasecmp(key, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
		head->encodings++;
		head->encoding = value;
	}
	return MHD_YES;
}

/* NULL: the end of the body is where everybody sees it. */
static const char *judge_length(const struct head *head, uint64_t *length_out)
{
	*length_out = UINT64_MAX;
	if (head->lengths + head->encodings > 1)
		return "the length of the body is said twice";
	if (head->encodings)
		return head->encoding && strcasecmp(head->encoding, "chunked") == 0
			       ? NULL
			       : "the body has a transfer encoding that is not known here";
	*length_out = 0;
	if (head->lengths && (!head->length || number_u64(head->length, length_out)))
		return "the length of the body is no number";
	return NULL;
}

unsigned head_judge(struct MHD_Connection *connection, const char *version, uint64_t *length_out,
	const char **details_out)
{
	const union MHD_ConnectionInfo *size =
		MHD_lib.get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	struct head head = {0};

	*details_out = "only HTTP/1.0 and HTTP/1.1 are spoken here";
	if (strncmp(version, "HTTP/1.", 7) != 0)
		return STATUS_BAD_REQUEST;
	MHD_lib.get_connection_values(connection, MHD_HEADER_KIND, count_header, &head);
	*details_out = "the headers are too large, or too many";
	if ((size && size->header_size > HTTP_HEAD_MAX) || head.headers > HTTP_HEADERS_MAX)
		return STATUS_HEADERS;
	*details_out = judge_length(&head, length_out);
	return *details_out ? STATUS_BAD_REQUEST : 0;
}

/* Is a header's value this word, perhaps with parameters? */
static bool has_word(const char *value, const char *word)
{
	size_t n = strlen(word);

	if (!value || strncasecmp(value, word, n) != 0)
		return false;
	value += n + strspn(value + n, " \t");
	return *value == '\0' || *value == ';';
}

unsigned head_judge_content(struct MHD_Connection *connection, const char **details_out)
{
	const char *type = MHD_lib.lookup_connection_value(
		connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_TYPE);
	const char *encoding = MHD_lib.lookup_connection_value(
		connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_ENCODING);

	*details_out = "the body must be " HTTP_CONTENT;
	if (!has_word(type, HTTP_CONTENT))
		return STATUS_CONTENT;
	*details_out = "compressed bodies are not taken";
	return encoding && !has_word(encoding, "identity") ? STATUS_CONTENT : 0;
}
