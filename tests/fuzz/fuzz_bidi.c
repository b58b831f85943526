/*
 * Fuzz target: the input as a ServerMessage of the legacy stream, and as records (maps) that answer
 * each kind of instruction.
 */
#include "fuzz.h"

#include "common/records/bidi_records.h"
#include "common/records/maps_codec.h"

#include <errno.h>

/* An empty tensor has two bytes, and becomes an array with three strings. */
FUZZ_MEMORY(2048, 256);

static void read_instruction(const struct slices *bytes)
{
	auto_(record_dict_done) struct record_dict dict = {0};
	struct reason why = {0};
	enum bidi_kind kind = BIDI_NONE, seen = BIDI_NONE;
	int64_t seconds = 0;
	int r = bidi_records_decode(bytes, &kind, &dict, &why);

	CHECK(r == 0 || r == -EBADMSG || r == -EMSGSIZE);
	CHECK((r == 0) == (why.text[0] == '\0'));
	CHECK(r == 0 || dict.n == 0);
	if (r)
		return;
	CHECK(bidi_look(bytes, &seen, &seconds) == 0 && seen == kind);
	CHECK(dict.n == (kind == BIDI_TRAIN || kind == BIDI_EVALUATE ? 2 : 1));
}

static void make_reply(enum bidi_kind kind, const struct record_dict *dict)
{
	auto_(slices_done) struct slices out = {0};
	struct reason why = {0};
	int r = bidi_records_encode(kind, dict, &out, &why);

	CHECK(r == 0 || r == -EINVAL);
	CHECK((r == 0) == (why.text[0] == '\0'));
}

void fuzz(const uint8_t *data, size_t len)
{
	auto_(slices_done) struct slices bytes = fuzz_cut(data, len, len / 2);
	auto_(record_dict_done) struct record_dict dict = {0};

	read_instruction(&bytes);
	if (maps_decode(&bytes, &dict, NULL) < 0)
		return;
	for (unsigned kind = 0; kind < BIDI_N; kind++)
		make_reply((enum bidi_kind)kind, &dict);
}
