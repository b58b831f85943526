#include "common/keys/ssh.h"

#include "common/base/cleanup.h"
#include "common/keys/base64.h"

#include <errno.h>

int ssh_number(struct ssh_bytes *from, uint32_t *out)
{
	const unsigned char *p = from->data;

	if (from->len < 4)
		return -EBADMSG;
	*out = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	from->data += 4;
	from->len -= 4;
	return 0;
}

int ssh_string(struct ssh_bytes *from, struct ssh_bytes *out)
{
	struct ssh_bytes rest = *from;
	uint32_t len;

	if (ssh_number(&rest, &len) < 0 || len > rest.len)
		return -EBADMSG;
	*out = (struct ssh_bytes){.data = rest.data, .len = len};
	from->data = rest.data + len;
	from->len = rest.len - len;
	return 0;
}

bool ssh_equals(const struct ssh_bytes *bytes, const char *text)
{
	return bytes->len == strlen(text) && memcmp(bytes->data, text, bytes->len) == 0;
}

/* The word at *text, up to end; *text moves behind it. */
static struct ssh_bytes next_word(const char **text, const char *end)
{
	const char *start = *text, *stop;

	while (start < end && (*start == ' ' || *start == '\t'))
		start++;
	for (stop = start; stop < end && !strchr(" \t\r\n", *stop);)
		stop++;
	*text = stop;
	return (struct ssh_bytes){
		.data = (const unsigned char *)start, .len = (size_t)(stop - start)};
}

int ssh_public_line(const char *text, size_t len, unsigned char **blob_out,
	struct ssh_bytes *type_out, struct ssh_bytes *rest_out)
{
	auto_(free_at_exit) unsigned char *blob = NULL;
	const char *end = text + len;
	struct ssh_bytes named = next_word(&text, end);
	struct ssh_bytes letters = next_word(&text, end);
	struct ssh_bytes rest, type;
	size_t blob_len;
	int r;

	if (!named.len || !letters.len)
		return -EBADMSG;
	r = base64_decode((const char *)letters.data, letters.len, &blob, &blob_len);
	if (r < 0)
		return r;
	rest = (struct ssh_bytes){.data = blob, .len = blob_len};
	if (ssh_string(&rest, &type) < 0 || type.len != named.len ||
		memcmp(type.data, named.data, type.len) != 0)
		return -EBADMSG;
	*type_out = type;
	*rest_out = rest;
	*blob_out = take_pointer(&blob);
	return 0;
}
