#include "common/message/scalar_map.h"

#include "common/base/cleanup.h"
#include "common/message/envelope.h"
#include "common/message/value_codec.h"

#include <assert.h>
#include <errno.h>

static const enum value_kind kind_of_case[] = {
	[FLWR__SCALAR__SCALAR_DOUBLE] = VALUE_DOUBLE,
	[FLWR__SCALAR__SCALAR_UINT64] = VALUE_UINT,
	[FLWR__SCALAR__SCALAR_SINT64] = VALUE_SINT,
	[FLWR__SCALAR__SCALAR_BOOL] = VALUE_BOOL,
	[FLWR__SCALAR__SCALAR_STRING] = VALUE_STRING,
	[FLWR__SCALAR__SCALAR_BYTES] = VALUE_BYTES,
};

/* A map's entries have a key even when it is empty. */
static const char *key_of(const Flwr__ScalarEntry *entry)
{
	return entry->has_key_case ? entry->key : "";
}

static int entry_check(const Flwr__ScalarEntry *entry)
{
	struct wire_reader reader;

	if (strlen(key_of(entry)) > ENVELOPE_STRING_MAX)
		return -EMSGSIZE;
	if (!entry->value || entry->value->scalar_case == FLWR__SCALAR__SCALAR__NOT_SET)
		return -EBADMSG;
	if (entry->value->scalar_case != FLWR__SCALAR__SCALAR_STRING)
		return 0;
	wire_reader_init(&reader, &entry->value->string);
	return value_string_check(&reader);
}

int scalar_map_check(Flwr__ScalarEntry *const *entries, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = entry_check(entries[i]);
	return r;
}

/* Numbers have 8 bytes on both sides; strings and bytes are seen as bytes. */
static int scalar_take(const Flwr__Scalar *from, struct value *out)
{
	struct value value = {.kind = kind_of_case[from->scalar_case]};

	if (value.kind == VALUE_BOOL) {
		value.b = from->bool_;
	} else if (value.kind == VALUE_STRING || value.kind == VALUE_BYTES) {
		value.s = (struct value_bytes){
			.data = malloc(from->bytes.bytes + 1), .len = from->bytes.bytes};
		if (!value.s.data)
			return -ENOMEM;
		slices_read(&from->bytes, 0, value.s.data, value.s.len);
		value.s.data[value.s.len] = '\0';
	} else {
		value.u = from->uint64;
	}
	*out = value;
	return 0;
}

int scalar_map_take(Flwr__ScalarEntry *const *entries, size_t n, struct value_map *out)
{
	int r = scalar_map_check(entries, n);

	for (size_t i = 0; i < n && r == 0; i++) {
		const char *key = key_of(entries[i]);
		struct value value = {0};

		r = scalar_take(entries[i]->value, &value);
		if (r == 0)
			r = value_map_append(out, key, strlen(key), &value);
	}
	return r < 0 ? r : value_map_unique(out);
}

struct scalar_form {
	Flwr__ScalarEntry entry;
	Flwr__Scalar scalar;
	struct slices bytes; /* of a string or bytes */
};

static int scalar_form_make(const struct value_entry *from, struct scalar_form *form)
{
	const struct value *value = &from->value;
	Flwr__Scalar *scalar = &form->scalar;

	form->entry = (Flwr__ScalarEntry)FLWR__SCALAR_ENTRY__INIT;
	form->entry.has_key_case = FLWR__SCALAR_ENTRY__HAS_KEY_KEY;
	form->entry.key = from->key;
	form->entry.value = scalar;
	*scalar = (Flwr__Scalar)FLWR__SCALAR__INIT;
	while (kind_of_case[scalar->scalar_case] != value->kind) {
		scalar->scalar_case++;
		assert(scalar->scalar_case < ARRAY_LEN(kind_of_case));
	}
	if (value->kind == VALUE_BOOL)
		scalar->bool_ = value->b;
	else if (value->kind != VALUE_STRING && value->kind != VALUE_BYTES)
		scalar->uint64 = value->u;
	else if (slices_append_copy(&form->bytes, value->s.data, value->s.len) < 0)
		return -ENOMEM;
	else
		scalar->bytes = form->bytes;
	return 0;
}

int scalar_entries_make(const struct value_map *map, struct scalar_entries *out)
{
	int r = 0;

	*out = (struct scalar_entries){
		.v = calloc(map->n + 1, sizeof *out->v),
		.forms = calloc(map->n + 1, sizeof *out->forms),
	};
	if (!out->v || !out->forms)
		return -ENOMEM;
	for (; out->n < map->n && r == 0; out->n++) {
		out->v[out->n] = &out->forms[out->n].entry;
		r = scalar_form_make(&map->v[out->n], &out->forms[out->n]);
	}
	return r;
}

void scalar_entries_done(struct scalar_entries *entries)
{
	for (size_t i = 0; i < entries->n; i++)
		slices_done(&entries->forms[i].bytes);
	free(entries->v);
	free(entries->forms);
	*entries = (struct scalar_entries){0};
}
