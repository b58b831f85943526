#include "common/fab/trusted.h"

#include "common/base/array.h"
#include "common/base/cleanup.h"
#include "common/base/files.h"
#include "common/base/text.h"
#include "common/keys/base64.h"
#include "common/keys/ssh.h"

#include <errno.h>
#include <jansson.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <yaml.h>

#define KEY_TYPE        "ssh-ed25519"
#define KEY_BYTES       32
#define SIGNATURE_BYTES 64
#define TIME_BYTES      8
#define QUOTED_BYTES    96

/* A verification that is no key's: a SuperLink that verifies apps says so in it. */
#define LICENSE "valid_license"

struct entity {
	char *id;
	unsigned char key[KEY_BYTES];
};

struct trusted {
	struct entity *v;
	size_t n;
};

static void trusted_free_at_exit(struct trusted **trusted)
{
	trusted_free(*trusted);
}

static void json_free_at_exit(json_t **json)
{
	json_decref(*json);
}

static void key_free_at_exit(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

static void md_free_at_exit(EVP_MD_CTX **md)
{
	EVP_MD_CTX_free(*md);
}

void trusted_free(struct trusted *trusted)
{
	if (!trusted)
		return;
	for (size_t i = 0; i < trusted->n; i++)
		free(trusted->v[i].id);
	free(trusted->v);
	free(trusted);
}

static const struct entity *find(const struct trusted *trusted, const char *id)
{
	for (size_t i = 0; i < trusted->n; i++)
		if (strcmp(trusted->v[i].id, id) == 0)
			return &trusted->v[i];
	return NULL;
}

/* ---- the file. Causes continue a sentence that begins with its name ---- */

static int refuse(struct reason *why, int code, const char *id, const char *rule)
{
	char quoted[QUOTED_BYTES];

	text_quote(id, strlen(id), quoted, sizeof quoted);
	return reason_code(why, code, "the entity %s %s", quoted, rule);
}

static int read_key(const char *id, const char *line, size_t len, unsigned char key[KEY_BYTES],
	struct reason *why)
{
	auto_(free_at_exit) unsigned char *blob = NULL;
	struct ssh_bytes type, rest, bytes;
	int r = ssh_public_line(line, len, &blob, &type, &rest);

	if (r == -EBADMSG)
		return refuse(why, r, id, "has no public key (" KEY_TYPE " AAAA...)");
	if (r < 0)
		return r;
	if (!ssh_equals(&type, KEY_TYPE))
		return refuse(why, -ENOTSUP, id,
			"has a key of another type than " KEY_TYPE
			" (make one with: ssh-keygen -t ed25519)");
	if (ssh_string(&rest, &bytes) < 0 || bytes.len != KEY_BYTES || rest.len)
		return refuse(why, -EBADMSG, id, "has a public key that is damaged");
	memcpy(key, bytes.data, KEY_BYTES);
	return 0;
}

static int add(
	struct trusted *trusted, const char *id, const char *line, size_t len, struct reason *why)
{
	struct entity entity;
	int r;

	if (!id[0] || strcmp(id, LICENSE) == 0)
		return refuse(why, -EBADMSG, id, "has no id of a public key (fpk_...)");
	if (find(trusted, id))
		return refuse(why, -EBADMSG, id, "is there twice");
	r = read_key(id, line, len, entity.key, why);
	if (r < 0)
		return r;
	if (array_grow(&trusted->v, trusted->n, sizeof *trusted->v) < 0)
		return -ENOMEM;
	entity.id = strdup(id);
	if (!entity.id)
		return -ENOMEM;
	trusted->v[trusted->n++] = entity;
	return 0;
}

/* The next event; what was in *event before is freed. 0, -EBADMSG, -ENOMEM. */
static int next(yaml_parser_t *parser, yaml_event_t *event, struct reason *why)
{
	yaml_event_delete(event);
	if (yaml_parser_parse(parser, event))
		return 0;
	memset(event, 0, sizeof *event);
	if (parser->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	return reason_code(why, -EBADMSG, "no YAML: line %zu: %s", parser->problem_mark.line + 1,
		parser->problem ? parser->problem : "unknown cause");
}

static int expect(
	yaml_parser_t *parser, yaml_event_t *event, yaml_event_type_t type, struct reason *why)
{
	int r = next(parser, event, why);

	if (r < 0 || event->type == type)
		return r;
	return reason_code(why, -EBADMSG,
		"it must be one map of public key ids to keys (fpk_...: " KEY_TYPE
		" AAAA...): line %zu is something else",
		event->start_mark.line + 1);
}

/* Read on from the id at hand to the key that follows it. */
static int read_entry(
	struct trusted *trusted, yaml_parser_t *parser, yaml_event_t *event, struct reason *why)
{
	auto_(free_at_exit) char *id = NULL;
	int r;

	if (strlen((const char *)event->data.scalar.value) != event->data.scalar.length)
		return reason_code(why, -EBADMSG, "there is a NUL in it");
	id = strdup((const char *)event->data.scalar.value);
	if (!id)
		return -ENOMEM;
	r = expect(parser, event, YAML_SCALAR_EVENT, why);
	if (r < 0)
		return r;
	return add(trusted, id, (const char *)event->data.scalar.value, event->data.scalar.length,
		why);
}

static int read_yaml(struct trusted *trusted, const char *text, size_t len, struct reason *why)
{
	static const yaml_event_type_t head[] = {YAML_STREAM_START_EVENT, YAML_DOCUMENT_START_EVENT,
		YAML_MAPPING_START_EVENT},
				       tail[] = {YAML_DOCUMENT_END_EVENT, YAML_STREAM_END_EVENT};
	auto_(yaml_event_delete) yaml_event_t event = {0};
	auto_(yaml_parser_delete) yaml_parser_t parser = {0};
	int r = 0;

	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(head); i++)
		r = expect(&parser, &event, head[i], why);
	while (r == 0 && (r = next(&parser, &event, why)) == 0 &&
		event.type != YAML_MAPPING_END_EVENT) {
		if (event.type != YAML_SCALAR_EVENT)
			return reason_code(why, -EBADMSG, "line %zu has something else than an id",
				event.start_mark.line + 1);
		r = read_entry(trusted, &parser, &event, why);
	}
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(tail); i++)
		r = expect(&parser, &event, tail[i], why);
	if (r == 0 && trusted->n == 0)
		return reason_code(why, -EBADMSG, "it names no entity, so that no app could run");
	return r;
}

int trusted_load(const char *path, struct trusted **out, struct reason *why)
{
	auto_(trusted_free_at_exit) struct trusted *trusted = NULL;
	auto_(free_at_exit) char *text = NULL;
	struct reason cause = {0};
	size_t len;
	int r = file_read(path, TRUSTED_FILE_MAX_BYTES, &text, &len);

	if (r < 0) {
		const char *fault = strerrordesc_np(-r);

		return r == -ENOMEM ? r
				    : reason_code(why, r, "cannot read the trusted entities %s: %s",
					      path, fault ? fault : "unknown error");
	}
	trusted = calloc(1, sizeof *trusted);
	if (!trusted)
		return -ENOMEM;
	r = read_yaml(trusted, text, len, &cause);
	if (r < 0)
		return r == -ENOMEM ? r
				    : reason_code(why, r, "the file of trusted entities %s: %s",
					      path, cause.text);
	*out = take_pointer(&trusted);
	return 0;
}

/* ---- signatures ---- */

/*
 * Write the bytes that are signed: the time of signing, seconds since 1970 as 8 bytes, highest
 * first, then the FAB's hash.
 */
static void write_message(uint64_t signed_at, const unsigned char sha256[SHA256_BYTES],
	unsigned char out[TIME_BYTES + SHA256_BYTES])
{
	for (int i = 0; i < TIME_BYTES; i++)
		out[i] = (unsigned char)(signed_at >> 8 * (TIME_BYTES - 1 - i));
	memcpy(out + TIME_BYTES, sha256, SHA256_BYTES);
}

/* 1 it is the key's signature, 0 it is not, -ENOMEM. */
static int verify(const unsigned char key[KEY_BYTES], const unsigned char *message, size_t len,
	const unsigned char signature[SIGNATURE_BYTES])
{
	auto_(key_free_at_exit) EVP_PKEY *pkey =
		EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, KEY_BYTES);
	auto_(md_free_at_exit) EVP_MD_CTX *md = EVP_MD_CTX_new();
	int good;

	if (!pkey || !md)
		return -ENOMEM;
	good = EVP_DigestVerifyInit(md, NULL, NULL, NULL, pkey) == 1 &&
	       EVP_DigestVerify(md, signature, SIGNATURE_BYTES, message, len) == 1;
	ERR_clear_error();
	return good;
}

/* Check a verification, {"signed_at": seconds, "signature": base64url}: 1 it is the entity's, 0 it
 * is not, -ENOMEM. */
static int check_one(const struct entity *entity, const unsigned char sha256[SHA256_BYTES],
	const struct value *verification)
{
	auto_(json_free_at_exit) json_t *json = NULL;
	auto_(free_at_exit) unsigned char *signature = NULL;
	unsigned char message[TIME_BYTES + SHA256_BYTES];
	const json_t *signed_at, *letters;
	size_t len;
	int r;

	if (verification->kind != VALUE_STRING)
		return 0;
	json = json_loadb(verification->s.data, verification->s.len, 0, NULL);
	signed_at = json_object_get(json, "signed_at");
	letters = json_object_get(json, "signature");
	if (!json_is_integer(signed_at) || json_integer_value(signed_at) < 0 ||
		!json_is_string(letters))
		return 0;
	r = base64_decode(
		json_string_value(letters), json_string_length(letters), &signature, &len);
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	if (len != SIGNATURE_BYTES)
		return 0;
	write_message((uint64_t)json_integer_value(signed_at), sha256, message);
	return verify(entity->key, message, sizeof message, signature);
}

static bool has_license(const struct value_map *verifications)
{
	const struct value *license = value_map_get(verifications, LICENSE);

	return license && license->kind == VALUE_STRING && license->s.len > 0;
}

int trusted_check(const struct trusted *trusted, const unsigned char sha256[SHA256_BYTES],
	const struct value_map *verifications, struct reason *why)
{
	char quoted[QUOTED_BYTES];
	const char *wrong = NULL;

	if (!has_license(verifications))
		return reason_code(why, -EACCES,
			"the FAB could not be verified: the SuperLink does not support the verification of apps");
	for (size_t i = 0; i < verifications->n; i++) {
		const struct value_entry *entry = &verifications->v[i];
		const struct entity *entity = find(trusted, entry->key);
		int r = entity ? check_one(entity, sha256, &entry->value) : 0;

		if (r != 0)
			return r < 0 ? r : 0;
		if (entity)
			wrong = entity->id;
	}
	if (!wrong)
		return reason_code(why, -EACCES,
			"the FAB could not be verified: no trusted entity has signed it");
	text_quote(wrong, strlen(wrong), quoted, sizeof quoted);
	return reason_code(why, -EACCES,
		"the FAB could not be verified: the signature of the trusted entity %s is not for this FAB",
		quoted);
}
