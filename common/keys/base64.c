#include "common/keys/base64.h"

#include "common/base/cleanup.h"

#include <errno.h>
#include <sodium.h>
#include <stdint.h>

struct letters {
	char *data;
	size_t len;
};

static void letters_done(struct letters *letters)
{
	if (letters->data)
		sodium_memzero(letters->data, letters->len);
	free(letters->data);
}

/* Collect the letters that count, in the standard alphabet. 0, -EBADMSG, -ENOMEM. */
static int collect(const char *text, size_t len, struct letters *out)
{
	size_t padding = 0;

	out->data = malloc(len + 1);
	if (!out->data)
		return -ENOMEM;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
			continue;
		if (c == '=') {
			padding++;
			continue;
		}
		if (padding)
			return -EBADMSG;
		if (c == '-')
			c = '+';
		else if (c == '_')
			c = '/';
		/* libsodium takes some characters above 127. */
		if ((unsigned char)c > 0x7f)
			return -EBADMSG;
		out->data[out->len++] = c;
	}
	if (padding && (padding > 2 || (out->len + padding) % 4 != 0))
		return -EBADMSG;
	return 0;
}

int base64_decode(const char *text, size_t len, unsigned char **out, size_t *len_out)
{
	auto_(letters_done) struct letters letters = {0};
	auto_(free_at_exit) unsigned char *bytes = NULL;
	size_t n = 0;
	int r = len > SIZE_MAX / 2 ? -EBADMSG : collect(text, len, &letters);

	if (r < 0)
		return r;
	bytes = malloc(letters.len + 1);
	if (!bytes)
		return -ENOMEM;
	if (letters.len && sodium_base642bin(bytes, letters.len, letters.data, letters.len, NULL,
				   &n, NULL, sodium_base64_VARIANT_ORIGINAL_NO_PADDING) != 0) {
		sodium_memzero(bytes, letters.len);
		return -EBADMSG;
	}
	*out = take_pointer(&bytes);
	*len_out = n;
	return 0;
}

int base64_encode(const void *data, size_t len, char **out)
{
	char *text;

	if (len > SIZE_MAX / 2)
		return -ENOMEM;
	text = malloc(sodium_base64_ENCODED_LEN(len, sodium_base64_VARIANT_ORIGINAL));
	if (!text)
		return -ENOMEM;
	sodium_bin2base64(text, sodium_base64_ENCODED_LEN(len, sodium_base64_VARIANT_ORIGINAL),
		data, len, sodium_base64_VARIANT_ORIGINAL);
	*out = text;
	return 0;
}
