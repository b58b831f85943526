/*
 * Fuzz target: the YAML file of trusted entities, and the signatures that come with a FAB: nobody
 * can make one without the key.
 */
#include "fuzz.h"

#include "common/fab/trusted.h"

FUZZ_MEMORY(512, 64);

static const unsigned char hash[SHA256_BYTES] = {1};

static void add_text(struct value_map *map, const char *key, const void *data, size_t len)
{
	struct value value;

	CHECK(value_set_bytes(&value, VALUE_STRING, data, len) == 0);
	CHECK(value_map_append(map, key, strlen(key), &value) == 0);
}

static void fuzz_signature(const uint8_t *data, size_t len)
{
	static const char entities[] = "fpk_a: ssh-ed25519 "
				       "AAAAC3NzaC1lZDI1NTE5AAAAIGVYf2vM1U0N2C4yV0w2mCnc4dK8"
				       "JYbqWcX3tcCBJ3sM alice\n";
	auto_(fuzz_file_close) struct fuzz_file file =
		fuzz_file_open(entities, sizeof entities - 1);
	auto_(value_map_done) struct value_map verifications = {0};
	struct trusted *trusted;

	CHECK(trusted_load(file.path, &trusted, NULL) == 0);
	add_text(&verifications, "valid_license", "yes", 3);
	add_text(&verifications, "fpk_a", data, len);
	CHECK(trusted_check(trusted, hash, &verifications, NULL) < 0);
	trusted_free(trusted);
}

void fuzz(const uint8_t *data, size_t len)
{
	auto_(fuzz_file_close) struct fuzz_file file = fuzz_file_open(data, len);
	auto_(value_map_done) struct value_map none = {0};
	struct trusted *trusted = NULL;
	struct reason why = {0};
	int r = trusted_load(file.path, &trusted, &why);

	CHECK(r ? r < 0 && !trusted && why.text[0] : trusted != NULL);
	if (r == 0) {
		CHECK(trusted_check(trusted, hash, &none, &why) < 0);
		trusted_free(trusted);
	}
	fuzz_signature(data, len);
}
