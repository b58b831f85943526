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

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_pieces)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
