#include "kit/records.h"

#include "common/records/maps_codec.h"
#include "kit/test.h"

const struct record *kit_record(const struct record_dict *dict, const char *name)
{
	for (size_t i = 0; i < dict->n; i++)
		if (strcmp(dict->v[i].name, name) == 0)
			return &dict->v[i];
	fail_msg("no record %s", name);
	return NULL;
}

const struct value *kit_value(const struct value_map *map, const char *key)
{
	const struct value *value = value_map_get(map, key);

	if (!value)
		fail_msg("no value %s", key);
	return value;
}

const struct value *kit_record_value(
	const struct record_dict *dict, const char *name, const char *key)
{
	return kit_value(&kit_record(dict, name)->values, key);
}

void kit_assert_same_records(const struct record_dict *a, const struct record_dict *b)
{
	auto_(slices_done) struct slices x = {0}, y = {0};

	assert_int_equal(maps_encode(a, &x), 0);
	assert_int_equal(maps_encode(b, &y), 0);
	assert_true(slices_equal(&x, &y));
}
