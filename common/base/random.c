#include "common/base/random.h"

#include <sodium.h>

uint64_t random_u64(void *arg)
{
	uint64_t number;

	(void)arg;
	randombytes_buf(&number, sizeof number);
	return number;
}

double random_01(void *arg)
{
	/* 53 bits: what a double holds. */
	return (double)(random_u64(arg) >> 11) / 9007199254740992.0;
}
