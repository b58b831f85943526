/*
 * npy: the head is a Python literal of a dict with three known keys; a small parser for just that.
 * Heads come from other machines: nothing in them is trusted.
 */
#include "libflwr/app/npy.h"

#include "libflwr/app/dtype.h"

#include "common/base/cleanup.h"
#include "common/base/number.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define MAGIC         "\x93NUMPY"
#define MAGIC_BYTES   6
#define PREFIX_BYTES  10 /* of format 1.0: magic, version, length u16 */
#define GROWTH_DIGITS 21 /* NumPy leaves room for an axis to grow to so many digits */

struct literal {
	const char *at;             /* NUL-terminated */
	bool descr, fortran, shape; /* were there */
};

static void skip_space(struct literal *literal)
{
	literal->at += strspn(literal->at, " \t\r\n\f");
}

/* Is the next token this one? It is passed then. */
static bool take(struct literal *literal, const char *token)
{
	skip_space(literal);
	if (strncmp(literal->at, token, strlen(token)) != 0)
		return false;
	literal->at += strlen(token);
	return true;
}

/* A text in quotes, without escapes. false: there is none. */
static bool take_text(struct literal *literal, const char **text_out, size_t *len_out)
{
	char quote;
	size_t len;

	skip_space(literal);
	quote = *literal->at;
	if (quote != '\'' && quote != '"')
		return false;
	len = strcspn(literal->at + 1, "'\"\\");
	if (literal->at[1 + len] != quote)
		return false;
	*text_out = literal->at + 1;
	*len_out = len;
	literal->at += len + 2;
	return true;
}

/* The list of a structured type, to its end; what is in it matters to nobody here. */
static bool skip_list(struct literal *literal)
{
	const char *text;
	size_t len, depth = 0;

	do {
		skip_space(literal);
		if (*literal->at == '\'' || *literal->at == '"') {
			if (!take_text(literal, &text, &len))
				return false;
			continue;
		}
		if (*literal->at == '\0')
			return false;
		if (strchr("[(", *literal->at))
			depth++;
		if (strchr("])", *literal->at))
			depth--;
		literal->at++;
	} while (depth);
	return true;
}

static int read_descr(
	struct literal *literal, struct npy *out, struct text *descr, struct reason *why)
{
	const char *text = literal->at;
	char name[16] = "";
	size_t len;

	skip_space(literal);
	if (*literal->at == '[') {
		text = literal->at;
		if (!skip_list(literal))
			return reason_code(why, -EBADMSG, "its head has a list without an end");
		len = (size_t)(literal->at - text);
	} else if (!take_text(literal, &text, &len)) {
		return reason_code(why, -EBADMSG, "its head has no text after 'descr'");
	} else {
		snprintf(name, sizeof name, "%.*s", len < sizeof name ? (int)len : 0, text);
		if (strchr(name, 'O'))
			return reason_code(why, -EBADMSG,
				"it holds Python objects, which are never unpickled");
	}
	out->dtype = dtype_of(name, &out->swapped);
	literal->descr = true;
	return descr ? text_add(descr, text, len) : 0;
}

/* A length; Python 2 wrote an L behind it. */
static bool take_length(struct literal *literal, int64_t *out)
{
	char digits[20];
	size_t len;

	skip_space(literal);
	len = strspn(literal->at, "0123456789");
	if (len == 0 || len >= sizeof digits)
		return false;
	memcpy(digits, literal->at, len);
	digits[len] = '\0';
	literal->at += len;
	if (*literal->at == 'L')
		literal->at++;
	return number_i64(digits, out) == 0;
}

static int read_shape(struct literal *literal, struct npy *out, struct reason *why)
{
	out->ndim = 0;
	if (!take(literal, "("))
		return reason_code(why, -EBADMSG, "its head has no tuple after 'shape'");
	while (!take(literal, ")")) {
		if (out->ndim == NPY_DIMENSIONS_MAX)
			return reason_code(why, -EBADMSG, "it has more than %d dimensions",
				NPY_DIMENSIONS_MAX);
		if (!take_length(literal, &out->shape[out->ndim]))
			return reason_code(why, -EBADMSG, "its shape has a length that is none");
		out->ndim++;
		if (!take(literal, ",")) {
			/* (3) is a number in Python, no tuple. */
			if (out->ndim < 2 || !take(literal, ")"))
				return reason_code(why, -EBADMSG, "its shape is no tuple");
			break;
		}
	}
	literal->shape = true;
	return 0;
}

static int read_order(struct literal *literal, struct npy *out, struct reason *why)
{
	if (take(literal, "True"))
		out->fortran = true;
	else if (take(literal, "False"))
		out->fortran = false;
	else
		return reason_code(why, -EBADMSG, "its 'fortran_order' is neither True nor False");
	literal->fortran = true;
	return 0;
}

static int read_entry(
	struct literal *literal, struct npy *out, struct text *descr, struct reason *why)
{
	const char *key;
	size_t len;

	if (!take_text(literal, &key, &len) || !take(literal, ":"))
		return reason_code(why, -EBADMSG, "its head is no dict of NumPy's");
	if (len == 5 && memcmp(key, "descr", len) == 0 && !literal->descr)
		return read_descr(literal, out, descr, why);
	if (len == 13 && memcmp(key, "fortran_order", len) == 0 && !literal->fortran)
		return read_order(literal, out, why);
	if (len == 5 && memcmp(key, "shape", len) == 0 && !literal->shape)
		return read_shape(literal, out, why);
	return reason_code(
		why, -EBADMSG, "its head has another key than NumPy's three, or one twice");
}

static int read_literal(const char *text, struct npy *out, struct text *descr, struct reason *why)
{
	struct literal literal = {.at = text};
	int r = 0;

	if (!take(&literal, "{"))
		return reason_code(why, -EBADMSG, "its head is no dict of NumPy's");
	while (r == 0 && !take(&literal, "}")) {
		r = read_entry(&literal, out, descr, why);
		if (r == 0 && !take(&literal, ",")) {
			if (!take(&literal, "}"))
				return reason_code(why, -EBADMSG, "its head has no end");
			break;
		}
	}
	if (r < 0)
		return r;
	skip_space(&literal);
	if (*literal.at || !literal.descr || !literal.fortran || !literal.shape)
		return reason_code(
			why, -EBADMSG, "its head does not say all of type, order and shape");
	return 0;
}

/* The text of the head, NUL-terminated, owned by the caller. 0, -EBADMSG or -ENOMEM. */
static int copy_head(
	const struct slices *bytes, struct npy *out, char **text_out, struct reason *why)
{
	uint8_t prefix[PREFIX_BYTES + 2];
	size_t prefix_bytes, len;
	char *text;

	if (slices_read(bytes, 0, prefix, PREFIX_BYTES) < 0 ||
		memcmp(prefix, MAGIC, MAGIC_BYTES) != 0)
		return reason_code(why, -EBADMSG, "it does not begin as a .npy does");
	if (prefix[6] < 1 || prefix[6] > 3 || prefix[7] != 0)
		return reason_code(why, -EBADMSG,
			"it is a .npy of format %d.%d, which is not known", prefix[6], prefix[7]);
	prefix_bytes = prefix[6] == 1 ? PREFIX_BYTES : PREFIX_BYTES + 2;
	if (slices_read(bytes, 0, prefix, prefix_bytes) < 0)
		return reason_code(why, -EBADMSG, "its head is not all there");
	len = (size_t)prefix[8] | (size_t)prefix[9] << 8;
	if (prefix_bytes > PREFIX_BYTES)
		len |= (size_t)prefix[10] << 16 | (size_t)prefix[11] << 24;
	if (len > NPY_HEAD_MAX)
		return reason_code(
			why, -EBADMSG, "its head has %zu bytes, more than %d", len, NPY_HEAD_MAX);
	text = malloc(len + 1);
	if (!text)
		return -ENOMEM;
	text[len] = '\0';
	if (slices_read(bytes, prefix_bytes, text, len) < 0 || strlen(text) != len) {
		free(text);
		return reason_code(why, -EBADMSG, "its head is not all there");
	}
	out->head_bytes = prefix_bytes + len;
	*text_out = text;
	return 0;
}

int npy_size(struct npy *npy, size_t element_bytes, size_t *bytes_out, struct reason *why)
{
	size_t count = 1, nonzero = element_bytes ? element_bytes : 1;
	bool empty = false;

	if (npy->ndim > NPY_DIMENSIONS_MAX)
		return reason_code(why, -ERANGE, "it has %zu dimensions, more than %d", npy->ndim,
			NPY_DIMENSIONS_MAX);
	for (size_t i = 0; i < npy->ndim; i++) {
		int64_t length = npy->shape[i];

		if (length < 0 || length > INT32_MAX)
			return reason_code(why, -ERANGE,
				"its dimension %zu is %" PRId64 " long, not 0 to 2147483647", i,
				length);
		empty = empty || length == 0;
		/* Strides count without the zeros and must fit, too. */
		if (length &&
			(!size_mul(nonzero, (size_t)length, &nonzero) || nonzero > INT64_MAX / 2))
			return reason_code(why, -ERANGE, "its shape is larger than any memory");
		if (length)
			count *= (size_t)length;
	}
	npy->count = empty ? 0 : count;
	*bytes_out = npy->count * element_bytes;
	return 0;
}

int npy_read(const struct slices *bytes, struct npy *out, struct text *descr, struct reason *why)
{
	auto_(free_at_exit) char *text = NULL;
	size_t size;
	int r;

	*out = (struct npy){0};
	r = copy_head(bytes, out, &text, why);
	if (r == 0)
		r = read_literal(text, out, descr, why);
	if (r < 0)
		return r;
	if (npy_size(out, dtype_row(out->dtype)->size, &size, why) < 0)
		return -EBADMSG;
	if (size > bytes->bytes - out->head_bytes)
		return reason_code(why, -EBADMSG,
			"it has %zu bytes of elements, and should have %zu",
			bytes->bytes - out->head_bytes, size);
	return 0;
}

static int add_shape(struct text *head, const struct npy *npy)
{
	int r = text_add(head, "(", 1);

	for (size_t i = 0; r == 0 && i < npy->ndim; i++)
		r = text_printf(head, "%s%" PRId64, i ? ", " : "", npy->shape[i]);
	if (r == 0)
		r = text_printf(head, npy->ndim == 1 ? ",)" : ")");
	return r;
}

int npy_write(struct text *head, const struct npy *npy)
{
	const struct dtype *row = dtype_row(npy->dtype);
	const char own = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? '<' : '>';
	static const char prefix[PREFIX_BYTES] = MAGIC "\x01";
	size_t start = head->len, room = 0, len;

	if (text_add(head, prefix, sizeof prefix) < 0 ||
		text_printf(head, "{'descr': '%c%s', 'fortran_order': %s, 'shape': ",
			row->part == 1 ? '|' : own, row->code,
			npy->fortran ? "True" : "False") < 0 ||
		add_shape(head, npy) < 0 || text_add(head, ", }", 3) < 0)
		return -ENOMEM;
	if (npy->ndim) {
		int64_t axis = npy->shape[npy->fortran ? npy->ndim - 1 : 0];

		room = GROWTH_DIGITS - (size_t)snprintf(NULL, 0, "%" PRId64, axis);
	}
	len = head->len - start + room + 1;
	len = (len / NPY_ALIGN + 1) * NPY_ALIGN; /* where all is full already, NumPy adds 64 more */
	while (head->len - start < len - 1) {
		if (text_add(head, " ", 1) < 0)
			return -ENOMEM;
	}
	if (text_add(head, "\n", 1) < 0)
		return -ENOMEM;
	len -= PREFIX_BYTES;
	head->data[start + 8] = (char)(len & 0xff);
	head->data[start + 9] = (char)(len >> 8);
	return 0;
}
