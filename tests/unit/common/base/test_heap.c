/*
 * The bytes that are resident and free.
 */
#include "common/base/heap.h"
#include "kit/test.h"

#include <malloc.h>

#define PIECES      50000
#define PIECE_BYTES 2000
#define MIB         (1u << 20)

/* Small pieces, as a flood leaves them; the last one keeps the heap's end from going back. */
static void test_pieces(void **state)
{
	static char *pieces[PIECES];
	char *last;

#ifdef __SANITIZE_ADDRESS__
	/* Its allocator is another. */
	skip();
#endif
	for (size_t i = 0; i < PIECES; i++) {
		pieces[i] = malloc(PIECE_BYTES);
		assert_non_null(pieces[i]);
		memset(pieces[i], 1, PIECE_BYTES);
	}
	last = strdup("stays");
	assert_true(heap_free_bytes() < 16 * MIB);
	for (size_t i = 0; i < PIECES; i++)
		free(pieces[i]);
	assert_true(heap_free_bytes() > 80 * MIB);
	malloc_trim(0);
	assert_true(heap_free_bytes() < 16 * MIB);
	free(last);
}

/* What is free at one look may be wanted at the next. */
static void test_two_looks(void **state)
{
	struct heap_watch watch = {0};
	const uint64_t much = HEAP_SPARE_BYTES + 1;

	assert_false(heap_watch_look(&watch, HEAP_SPARE_BYTES));
	assert_false(heap_watch_look(&watch, HEAP_SPARE_BYTES));
	assert_false(heap_watch_look(&watch, much));
	assert_false(heap_watch_look(&watch, 0));
	assert_false(heap_watch_look(&watch, much));
	assert_true(heap_watch_look(&watch, much));
}

/* What malloc_trim() cannot give back is not tried again and again. */
static void test_what_stays(void **state)
{
	struct heap_watch watch = {0};
	const uint64_t stays = 5 * HEAP_SPARE_BYTES, much = stays + HEAP_SPARE_BYTES + 1;

	assert_false(heap_watch_look(&watch, much));
	assert_true(heap_watch_look(&watch, much));
	heap_watch_given(&watch, stays);
	for (int i = 0; i < 5; i++)
		assert_false(heap_watch_look(&watch, stays + HEAP_SPARE_BYTES));
	assert_false(heap_watch_look(&watch, much));
	assert_true(heap_watch_look(&watch, much));
	heap_watch_given(&watch, stays);
	/* It was wanted again, and is free now. */
	assert_false(heap_watch_look(&watch, 0));
	assert_false(heap_watch_look(&watch, stays));
	assert_true(heap_watch_look(&watch, stays));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_two_looks), cmocka_unit_test(test_what_stays)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
