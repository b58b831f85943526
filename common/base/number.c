/*
 * number: strict parsers.
 */
#include "common/base/number.h"

#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Parse all digits at the beginning of text; *end is behind them. */
static int digits_parse(const char *text, uint64_t *out, const char **end)
{
	uint64_t value = 0;
	bool fits = true;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	for (; *text >= '0' && *text <= '9'; text++) {
		fits = fits && !__builtin_mul_overflow(value, 10, &value) &&
		       !__builtin_add_overflow(value, (uint64_t)(*text - '0'), &value);
	}
	*end = text;
	if (fits)
		*out = value;
	return fits ? 0 : -ERANGE;
}

int number_u64(const char *text, uint64_t *out)
{
	const char *end = text;
	uint64_t value = 0;
	int r = digits_parse(text, &value, &end);

	if (r == -EINVAL || *end)
		return -EINVAL;
	if (r == 0)
		*out = value;
	return r;
}

int number_i64(const char *text, int64_t *out)
{
	bool negative = *text == '-';
	uint64_t magnitude;
	int r = number_u64(text + negative, &magnitude);

	if (r < 0)
		return r;
	if (magnitude > (uint64_t)INT64_MAX + negative)
		return -ERANGE;
	/* The subtraction is unsigned: the smallest number has no positive counterpart. */
	*out = (int64_t)(negative ? 0 - magnitude : magnitude);
	return 0;
}

int number_double(const char *text, double *out)
{
	locale_t c_locale;
	char *end;
	double value;

	if (!*text || isspace((unsigned char)*text))
		return -EINVAL;
	c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	if (!c_locale)
		return -ENOMEM;
	value = strtod_l(text, &end, c_locale);
	freelocale(c_locale);
	if (end == text || *end || isnan(value))
		return -EINVAL;
	if (isinf(value))
		return strpbrk(text, "0123456789") ? -ERANGE : -EINVAL;
	*out = value;
	return 0;
}

locale_t number_locale_enter(void)
{
	locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);

	return c_locale ? uselocale(c_locale) : (locale_t)0;
}

void number_locale_leave(locale_t before)
{
	if (before)
		freelocale(uselocale(before));
}

static int shift_of_unit(const char *unit)
{
	static const char letters[] = "KMGT";
	const char *at;

	if (!*unit)
		return 0;
	at = strchr(letters, toupper((unsigned char)*unit));
	if (!at || (unit[1] && strcmp(unit + 1, "iB") != 0))
		return -EINVAL;
	return 10 * (int)(at - letters + 1);
}

int number_bytes(const char *text, uint64_t *out)
{
	const char *unit = text;
	uint64_t value = 0;
	int r = digits_parse(text, &value, &unit);
	int shift;

	if (r == -EINVAL)
		return r;
	shift = shift_of_unit(unit);
	if (shift < 0)
		return -EINVAL;
	if (r < 0 || value > UINT64_MAX >> shift)
		return -ERANGE;
	*out = value << shift;
	return 0;
}
