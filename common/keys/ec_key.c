#include "common/keys/ec_key.h"

#include "common/base/cleanup.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/param_build.h>

#define POINT_MAX_BYTES (1 + 2 * 66) /* P-521, uncompressed */

static const struct ec_curve curves[] = {
	{"prime256v1", "nistp256", "ecdsa-sha2-nistp256", 32},
	{"secp384r1", "nistp384", "ecdsa-sha2-nistp384", 48},
	{"secp521r1", "nistp521", "ecdsa-sha2-nistp521", 66},
};

/* Memory of a computation; freed and wiped together. */
struct key_work {
	EC_GROUP *group;
	EC_POINT *own;   /* what belongs to the number */
	EC_POINT *other; /* what came */
	BIGNUM *number;
};

static void work_done(struct key_work *work)
{
	BN_clear_free(work->number);
	EC_POINT_free(work->own);
	EC_POINT_free(work->other);
	EC_GROUP_free(work->group);
}

void ec_key_free_at_exit(EVP_PKEY **key)
{
	EVP_PKEY_free(*key); /* clears the private number before it frees it */
	*key = NULL;
}

static void build_free_at_exit(OSSL_PARAM_BLD **build)
{
	OSSL_PARAM_BLD_free(*build);
}

static void params_free_at_exit(OSSL_PARAM **params)
{
	OSSL_PARAM_free(*params); /* what is of secure or BN origin is cleared */
}

static void context_free_at_exit(EVP_PKEY_CTX **context)
{
	EVP_PKEY_CTX_free(*context);
}

const struct ec_curve *ec_curve_of_group(const char *group)
{
	for (size_t i = 0; i < ARRAY_LEN(curves); i++)
		if (strcmp(curves[i].group, group) == 0)
			return &curves[i];
	return NULL;
}

const struct ec_curve *ec_curve_of_ssh(const struct ssh_bytes *type)
{
	for (size_t i = 0; i < ARRAY_LEN(curves); i++)
		if (ssh_equals(type, curves[i].ssh_type))
			return &curves[i];
	return NULL;
}

static int work_init(const struct ec_curve *curve, struct key_work *work)
{
	work->group = EC_GROUP_new_by_curve_name(OBJ_txt2nid(curve->group));
	if (!work->group)
		return -EIO;
	work->own = EC_POINT_new(work->group);
	work->other = EC_POINT_new(work->group);
	work->number = BN_secure_new();
	return work->own && work->other && work->number ? 0 : -ENOMEM;
}

/* A key of OpenSSL's from a point and, for a pair, a number. */
static int assemble(const struct ec_curve *curve, const struct key_work *work,
	const EC_POINT *point, bool pair, EVP_PKEY **out)
{
	auto_(build_free_at_exit) OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	auto_(params_free_at_exit) OSSL_PARAM *params = NULL;
	auto_(context_free_at_exit) EVP_PKEY_CTX *context = NULL;
	unsigned char bytes[POINT_MAX_BYTES];
	size_t len = EC_POINT_point2oct(
		work->group, point, POINT_CONVERSION_UNCOMPRESSED, bytes, sizeof bytes, NULL);

	if (!build)
		return -ENOMEM;
	if (!len ||
		!OSSL_PARAM_BLD_push_utf8_string(
			build, OSSL_PKEY_PARAM_GROUP_NAME, curve->group, 0) ||
		!OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, bytes, len))
		return -EIO;
	if (pair && !OSSL_PARAM_BLD_push_BN_pad(
			    build, OSSL_PKEY_PARAM_PRIV_KEY, work->number, curve->bytes))
		return -EIO;
	params = OSSL_PARAM_BLD_to_param(build);
	context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	if (!params || !context || EVP_PKEY_fromdata_init(context) != 1 ||
		EVP_PKEY_fromdata(
			context, out, pair ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params) != 1)
		return -EIO;
	return 0;
}

int ec_key_pair(const struct ec_curve *curve, const struct ssh_bytes *number,
	const struct ssh_bytes *point, EVP_PKEY **out, struct reason *why)
{
	auto_(work_done) struct key_work work = {0};
	struct ssh_bytes digits = *number;
	int r = work_init(curve, &work);

	if (r < 0)
		return r;
	for (; digits.len && !digits.data[0]; digits.len--)
		digits.data++;
	if (digits.len > curve->bytes)
		return reason_code(why, -EBADMSG, "its private number is too large for its curve");
	if (!BN_bin2bn(digits.data, (int)digits.len, work.number))
		return -ENOMEM;
	if (BN_is_zero(work.number) || BN_cmp(work.number, EC_GROUP_get0_order(work.group)) >= 0)
		return reason_code(
			why, -EBADMSG, "its private number is out of the range of its curve");
	BN_set_flags(work.number, BN_FLG_CONSTTIME);
	if (EC_POINT_mul(work.group, work.own, work.number, NULL, NULL, NULL) != 1)
		return -EIO;
	if (point &&
		(EC_POINT_oct2point(work.group, work.other, point->data, point->len, NULL) != 1 ||
			EC_POINT_cmp(work.group, work.own, work.other, NULL) != 0))
		return reason_code(
			why, -EBADMSG, "its public part does not belong to its private part");
	return assemble(curve, &work, work.own, true, out);
}

int ec_key_public(const struct ec_curve *curve, const struct ssh_bytes *point, EVP_PKEY **out)
{
	auto_(work_done) struct key_work work = {0};
	int r = work_init(curve, &work);

	if (r < 0)
		return r;
	/* The point must lie on the curve. The point at infinity does, but is no key. */
	if (EC_POINT_oct2point(work.group, work.other, point->data, point->len, NULL) != 1 ||
		EC_POINT_is_at_infinity(work.group, work.other))
		return -EBADMSG;
	return assemble(curve, &work, work.other, false, out);
}
